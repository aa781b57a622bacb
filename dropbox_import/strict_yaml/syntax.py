"""What is wrong with text that the YAML reader refuses: one sentence for each thing that people and editors do."""

from __future__ import annotations

import re

import yaml

from dropbox_import.errors import Mistake
from dropbox_import.strict_yaml.nodes import Mark, Scalar
from dropbox_import.strict_yaml.text import place, shown

_CURLY_DOUBLE = "“”„‟«»"
_CURLY = _CURLY_DOUBLE + "‘’‚‛"
_STRAIGHT = "write straight quotes, which a word processor or a mail program changed"
_TAB = "use spaces to indent; set the editor to put spaces for the Tab key"
_MOST = 20


def quotes_from_a_word_processor(scalar: Scalar) -> list[Mistake]:
    """A mistake if the text is wrapped in curly quotes, which YAML does not take for quotes."""
    text = scalar.text
    if (
        scalar.plain
        and text
        and (text[0] in _CURLY or (text[-1] in _CURLY_DOUBLE and not any(mark in text[:-1] for mark in _CURLY_DOUBLE)))
    ):
        mark = scalar.mark if text[0] in _CURLY else Mark(scalar.mark.file, scalar.mark.line, scalar.mark.column + len(text) - 1)
        return [mark.mistake("curly quotes are no quotes in YAML; they would become part of the text", _STRAIGHT)]
    return []


def explain(error: yaml.YAMLError, text: str, file: str) -> list[Mistake]:
    """At least one mistake. Tabs and curly quotes are looked for in all lines, since they explain most refusals."""
    lines = text.splitlines()
    found: list[Mistake] = []
    for number, line in enumerate(lines, 1):
        indent = line[: len(line) - len(line.lstrip(" \t"))]
        if "\t" in indent and line.strip():
            found.append(
                Mistake(
                    file, number, indent.index("\t") + 1, "a tab stands at the beginning of this line; YAML takes only spaces there", _TAB
                )
            )
    own = _explain_one(error, text, lines, file)
    if not any(mistake.line == own.line for mistake in found):
        found.append(own)
    return sorted(found, key=lambda mistake: (mistake.line, mistake.column))[:_MOST]


def _explain_one(error: yaml.YAMLError, text: str, lines: list[str], file: str) -> Mistake:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Mark(file).mistake("the file is not YAML", "write it again with a text editor")
    at = error.problem_mark
    problem, context = error.problem or "", error.context or ""
    begin = error.context_mark or at
    here, there = Mark(file, at.line + 1, at.column + 1), Mark(file, begin.line + 1, begin.column + 1)
    line = lines[at.line] if at.line < len(lines) else ""
    started = lines[begin.line] if begin.line < len(lines) else ""
    for mark, words in ((here, line), (there, started)):
        curly = re.search(rf"(?<=[:\-,\[{{\s])[{_CURLY}]", words)
        if curly:
            return Mark(file, mark.line, curly.start() + 1).mistake("curly quotes are no quotes in YAML", _STRAIGHT)
    if "escape" in problem or "expected escape sequence" in problem:
        return there.mistake(
            "a backslash inside double quotes begins an escape, and this one does not exist",
            "write / instead of \\ in a path, or put the text into single quotes",
        )
    if "'\\t'" in problem:
        return here.mistake("a tab stands here; YAML takes only spaces between a key and its value", "use a space instead of the tab")
    if "mapping values are not allowed" in problem:
        return here.mistake(
            "a colon stands where no key can end",
            "put a text with a colon and a space into quotes; "
            "else check that the line above ends with a colon and that keys of one level begin in one column",
        )
    if "while scanning a quoted scalar" in context or "while scanning a double-quoted" in context:
        return there.mistake("the quote that opens here is not closed", "close it; a quote inside single quotes is written twice: 'it''s'")
    if "flow sequence" in context:
        return there.mistake(*_open("[", "]", begin, at, text))
    if "flow mapping" in context:
        return there.mistake(*_open("{", "}", begin, at, text))
    if "scanning an alias" in context or "scanning an anchor" in context:
        return there.mistake("a text that begins with * or & has a meaning of its own in YAML", 'put it into quotes: "*.czi"')
    if "cannot start any token" in problem:
        character = shown(line[at.column : at.column + 1])
        return here.mistake(f"a text cannot begin with {character} without quotes", 'put it into quotes: "…"')
    if "tag" in context or "directive" in context:
        return here.mistake("a text cannot begin with ! or % without quotes", 'put it into quotes: "…"')
    if "simple key" in context or "could not find expected ':'" in problem:
        return there.mistake(
            "this line has no colon after its key", 'write "key: value" (a space follows the colon), or indent it as part of the line above'
        )
    if "block mapping" in context or "block collection" in context or "document start" in problem:
        return here.mistake(
            "this line is not in step with the lines above",
            "keys of one level begin in the same column; items of a list begin with - in the same column",
        )
    if "block scalar" in context:
        return here.mistake("the text after | or > is not indented as it should be", "indent its lines by two spaces more than its key")
    return here.mistake("this cannot be read as YAML", "compare it with the example in the user guide")


def _open(opening: str, closing: str, begin: yaml.Mark, at: yaml.Mark, text: str) -> tuple[str, str]:
    if at.index >= len(text.rstrip()):
        return (
            f"the {opening} that opens here is not closed before the end of the file",
            f"add {closing}; or the file was cut while it was written",
        )
    mark = place(text, at.index, "")
    if at.line > begin.line:
        return (
            f"the {opening} that opens here is not closed, and line {mark.line} does not go on with it",
            f"add the missing {closing}; else separate the parts with commas, and put texts with any of , : [ ] {{ }} into quotes",
        )
    return (
        f"inside the {opening} that opens here, something unexpected stands in line {mark.line}, column {mark.column}",
        f"separate the parts with commas, close with {closing}, and put texts with any of , : [ ] {{ }} into quotes",
    )
