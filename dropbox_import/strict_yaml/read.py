"""`load`: text to a tree of nodes, within limits, with every refusal in words."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from dropbox_import.errors import Mistake
from dropbox_import.strict_yaml.json_text import read_json
from dropbox_import.strict_yaml.nodes import Document, Limits, Mapping, Mark, Node, Scalar, Sequence, Unreadable
from dropbox_import.strict_yaml.syntax import explain, quotes_from_a_word_processor
from dropbox_import.strict_yaml.text import decode, shown

_FAST: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PATIENT = 64_000  # letters; the pure reader needs a second for so many, and a minute for a megabyte
_STYLES = {None: "plain", "": "plain", "'": "single", '"': "double", "|": "block", ">": "block"}
_KEY_LINE = re.compile(
    r"""^(?:"([^"\\\r\n]{1,80})"|'([^'\r\n]{1,80})'|([^\s#'"{}\[\],&*!|>%@`:-][^:#{}\[\]\r\n]{0,80}?))[ \t]*:(?=\s|$)(.*)$""",
    re.MULTILINE,
)
_FIRST_LINE = re.compile(r"^([ \t]*)(?![ \t]|#|---|%|\r?$)", re.MULTILINE)


def load(data: bytes, file: str, *, limits: Limits | None = None) -> Document:
    """Reads YAML, or JSON where `file` ends in .json. Raises Unreadable with all that is wrong with the writing of it."""
    limits = limits or Limits()
    text, notices = decode(data, file, limits)
    if file.lower().endswith(".json"):
        return Document(read_json(text, file, limits), notices)
    return Document(_read_yaml(text, file, limits), notices)


def top_level_keys(head: bytes, name: str) -> dict[str, str]:
    """The keys that stand at the top of a file, with their text where that is on the same line: a look that reads as far as it can,
    for the question what kind of file it is. `head` may be cut anywhere. Empty for what is no mapping."""
    try:
        text, _ = decode(head, name, Limits(size=len(head)))
    except Unreadable:
        text = head.decode("utf-8", errors="replace").replace("\0", "")
    first = _FIRST_LINE.search(text)
    if first and first.group(1):
        # All keys of the top level may stand further in, as long as they stand in one column.
        text = re.sub(rf"^{first.group(1)}", "", text, flags=re.MULTILINE)
    found: dict[str, str] = {}
    for match in _KEY_LINE.finditer(text):
        key = match.group(1) or match.group(2) or match.group(3)
        found.setdefault(key.strip(), match.group(4).split(" #")[0].strip())
    if text.lstrip().startswith("{"):
        found = _keys_of_braces(text)
    return found


def _keys_of_braces(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    depth, key = 0, ""
    for token in re.finditer(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|\'[^\']*+(?:\'|\Z)|[{}\[\],:]|[^\s{}\[\],:"\']+', text):
        word = token.group()
        if word in "{[":
            depth += 1
            if depth == 2 and key:
                found.setdefault(key, "")
        elif word in "}]":
            depth -= 1
        elif word == "," and depth == 1:
            key = ""
        elif word == ":" and depth == 1:
            found.setdefault(key, "")
        elif depth == 1 and key in found and not found[key]:
            found[key] = word.strip("\"'")
        elif depth == 1:
            key = word.strip("\"'")
        if depth == 0:
            break
    return found


def _read_yaml(text: str, file: str, limits: Limits) -> Node | None:
    tree = _Tree(text, file, limits)
    try:
        root = tree.read(_FAST)
    except yaml.YAMLError as error:
        if len(text) > _PATIENT:
            raise Unreadable([*tree.mistakes, *explain(error, text, file)]) from None
        # The pure reader takes the escapes that the fast one refuses, and its words are the same everywhere.
        tree = _Tree(text, file, limits)
        try:
            root = tree.read(yaml.SafeLoader)
        except yaml.YAMLError as error:
            told = {mistake.line for mistake in tree.mistakes}
            more = [mistake for mistake in explain(error, text, file) if mistake.line not in told]
            raise Unreadable([*tree.mistakes, *more]) from None
        except (ValueError, OverflowError):
            raise Unreadable(
                [*tree.mistakes, Mark(file).mistake("an escape in double quotes names no character", "put the text into single quotes")]
            ) from None
    if tree.mistakes:
        raise Unreadable(tree.mistakes)
    return root


class _Tree:
    """One reading of one file. Mistakes that leave the rest readable are collected; those that do not are raised."""

    def __init__(self, text: str, file: str, limits: Limits) -> None:
        self.text, self.file, self.limits = text, file, limits
        self.mistakes: list[Mistake] = []
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.aliases = 0
        self.nodes = 0

    def read(self, loader: type) -> Node | None:
        events = iter(yaml.parse(self.text, Loader=loader))
        root: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.mistakes.append(
                        self.mark(event).mistake(
                            "a second document begins here; a file holds one",
                            "remove the line --- and what follows it, or make it a file of its own",
                        )
                    )
                    break
            elif isinstance(event, yaml.NodeEvent):
                root = self.node(event, events, 1)
        if isinstance(root, Scalar) and root.plain and not root.text:
            return None
        return root

    def mark(self, event: yaml.Event) -> Mark:
        start = event.start_mark
        return Mark(self.file, start.line + 1, start.column + 1) if start else Mark(self.file)

    def stop(self, mark: Mark, sentence: str, hint: str) -> Unreadable:
        return Unreadable([*self.mistakes, mark.mistake(sentence, hint)])

    def count(self, mark: Mark, many: int) -> None:
        self.nodes += many
        if self.nodes > self.limits.nodes:
            raise self.stop(
                mark,
                f"the file holds more than {self.limits.nodes:,} values, counting each use of an alias",
                "write less, or attach a table",
            )

    def node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        mark = self.mark(event)
        if depth > self.limits.depth:
            raise self.stop(
                mark,
                f"lists and mappings are nested more than {self.limits.depth} deep",
                "nothing here needs so many levels; look for brackets that are not closed",
            )
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, mark)
        before = self.nodes
        self.count(mark, 1)
        anchor = getattr(event, "anchor", None)
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!":
            self.mistakes.append(
                mark.mistake(f"{shown(str(tag), 30)}: YAML tags are not used here", "put the text into quotes if it begins with !")
            )
        made: Node
        if isinstance(event, yaml.ScalarEvent):
            made = Scalar(mark, event.value, _STYLES.get(event.style, "plain"))
            self.mistakes.extend(quotes_from_a_word_processor(made))
        elif isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(below := next(events), yaml.SequenceEndEvent):
                items.append(self.node(below, events, depth + 1))
            made = Sequence(mark, tuple(items))
        else:
            made = self.mapping(event, events, depth, mark)
        if anchor:
            self.anchors[anchor] = (made, self.nodes - before)
        return made

    def alias(self, event: yaml.AliasEvent, mark: Mark) -> Node:
        name = shown(str(event.anchor), 30)
        if event.anchor not in self.anchors:
            raise self.stop(
                mark,
                f"*{name}: there is no anchor of that name before this place",
                f'put the text into quotes if it begins with a star: "*{name}"',
            )
        self.aliases += 1
        if self.aliases > self.limits.aliases:
            raise self.stop(mark, f"more than {self.limits.aliases} aliases are used", "write the values out")
        made, cost = self.anchors[event.anchor]
        self.count(mark, cost)
        return made

    def mapping(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int, mark: Mark) -> Mapping:
        entries: list[tuple[Scalar, Node]] = []
        seen: dict[str, Mark] = {}
        while not isinstance(below := next(events), yaml.MappingEndEvent):
            key = self.node(below, events, depth + 1)
            value = self.node(next(events), events, depth + 1)
            if not isinstance(key, Scalar):
                self.mistakes.append(
                    key.mark.mistake(
                        "a key must be a text, not a list or a mapping", "write key: value; put a text that begins with [ or { into quotes"
                    )
                )
            elif key.text in seen:
                self.mistakes.append(twice(key, seen[key.text]))
            else:
                seen[key.text] = key.mark
                entries.append((key, value))
        return Mapping(mark, tuple(entries), bool(getattr(event, "flow_style", False)))


def twice(key: Scalar, first: Mark) -> Mistake:
    return key.mark.mistake(
        f"{shown(key.text)}: this key stands here twice, first in line {first.line}",
        "keep one of the two; key-values that repeat a key are written as a list: [[key, value], [key, value]]",
    )
