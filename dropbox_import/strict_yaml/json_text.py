"""Strict JSON with places: what `json` reads, and where each part stands."""

from __future__ import annotations

import json
import re

from dropbox_import.errors import Mistake
from dropbox_import.strict_yaml.nodes import Limits, Mapping, Mark, Node, Scalar, Sequence, Unreadable
from dropbox_import.strict_yaml.text import LINE_BREAK, shown

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'(?:[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_WORD = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![\w.+-])|true\b|false\b|null\b")


def read_json(text: str, file: str, limits: Limits) -> Node | None:
    """The tree of a JSON text; None if there is nothing in it. Raises Unreadable."""
    reader = _Json(text, file, limits)
    if reader.space(0) == len(text):
        return None
    root, index = reader.value(0, 1)
    index = reader.space(index)
    if index < len(text):
        raise reader.stop(index, "something follows after the end of the JSON text", "remove it; a file holds one object")
    if reader.mistakes:
        raise Unreadable(reader.mistakes)
    return root


class _Json:
    def __init__(self, text: str, file: str, limits: Limits) -> None:
        self.text, self.file, self.limits = text, file, limits
        self.mistakes: list[Mistake] = []
        self.nodes = 0
        self.starts = [0, *(found.end() for found in LINE_BREAK.finditer(text))]
        self.line = 0

    def mark(self, index: int) -> Mark:
        while self.line and self.starts[self.line] > index:
            self.line -= 1
        while self.line + 1 < len(self.starts) and self.starts[self.line + 1] <= index:
            self.line += 1
        return Mark(self.file, self.line + 1, index - self.starts[self.line] + 1)

    def stop(self, index: int, sentence: str, hint: str) -> Unreadable:
        if index >= len(self.text.rstrip()):
            sentence, hint = (
                "the JSON text ends too early: the file was cut, or is still being written",
                "write it to the end, or write it elsewhere and rename it",
            )
        return Unreadable([*self.mistakes, self.mark(min(index, len(self.text))).mistake(sentence, hint)])

    def space(self, index: int) -> int:
        found = _SPACE.match(self.text, index)
        return found.end() if found else index

    def value(self, index: int, depth: int) -> tuple[Node, int]:
        index = self.space(index)
        self.nodes += 1
        if depth > self.limits.depth:
            raise self.stop(index, f"lists and objects are nested more than {self.limits.depth} deep", "nothing here needs so many levels")
        if self.nodes > self.limits.nodes:
            raise self.stop(index, f"the file holds more than {self.limits.nodes:,} values", "write less, or attach a table")
        first = self.text[index : index + 1]
        if first == "{":
            return self.object(index, depth)
        if first == "[":
            return self.array(index, depth)
        if first == '"':
            return self.string(index)
        word = _WORD.match(self.text, index)
        if not word:
            raise self.stop(
                index, "no JSON value begins here", 'write texts in double quotes; JSON knows "text", 12, true, false, null, [ ] and { }'
            )
        return Scalar(self.mark(index), "" if word.group() == "null" else word.group()), word.end()

    def string(self, index: int) -> tuple[Scalar, int]:
        found = _STRING.match(self.text, index + 1)
        end = found.end() if found else index + 1
        closing = self.text[end : end + 1]
        if closing == '"':
            return Scalar(self.mark(index), str(json.loads(self.text[index : end + 1])), "double"), end + 1
        if closing in ("", "\n", "\r"):
            where = index if closing else end
            raise self.stop(where, "the quote that opens here is not closed on its line", "close it; write \\n for a line break")
        hint = "write \\\\ for a backslash, \\n for a line break; in paths write /"
        raise self.stop(end, "this text holds an escape or a control character that JSON does not have", hint)

    def array(self, start: int, depth: int) -> tuple[Sequence, int]:
        mark = self.mark(start)
        items: list[Node] = []
        index = self.space(start + 1)
        if self.text[index : index + 1] == "]":
            return Sequence(mark), index + 1
        while True:
            item, index = self.value(index, depth + 1)
            items.append(item)
            index, more = self.comma(index, "]")
            if not more:
                return Sequence(mark, tuple(items)), index

    def object(self, start: int, depth: int) -> tuple[Mapping, int]:
        mark = self.mark(start)
        entries: list[tuple[Scalar, Node]] = []
        seen: dict[str, Mark] = {}
        index = self.space(start + 1)
        if self.text[index : index + 1] == "}":
            return Mapping(mark, flow=True), index + 1
        while True:
            index = self.space(index)
            if self.text[index : index + 1] != '"':
                raise self.stop(
                    index, "a key in double quotes is expected here", "remove a comma that nothing follows, and put keys into double quotes"
                )
            key, index = self.string(index)
            index = self.space(index)
            if self.text[index : index + 1] != ":":
                raise self.stop(index, "a colon is expected here, after the key", 'write "key": value')
            value, index = self.value(index + 1, depth + 1)
            if key.text in seen:
                self.mistakes.append(
                    key.mark.mistake(
                        f"{shown(key.text)}: this key stands here twice, first in line {seen[key.text].line}", "keep one of the two"
                    )
                )
            else:
                seen[key.text] = key.mark
                entries.append((key, value))
            index, more = self.comma(index, "}")
            if not more:
                return Mapping(mark, tuple(entries), flow=True), index

    def comma(self, index: int, closing: str) -> tuple[int, bool]:
        index = self.space(index)
        found = self.text[index : index + 1]
        if found == closing:
            return index + 1, False
        if found != ",":
            raise self.stop(index, f"a comma or {closing} is expected here", "separate the parts with commas")
        return index + 1, True
