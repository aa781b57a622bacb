"""From a tree of nodes to checked data: the field types that sidecar and config share, and their mistakes in words.

Each field type takes what a user typed (`Typed` = without quotes) and says in one sentence what it wants instead.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from dropbox_import import strict_yaml
from dropbox_import.errors import Mistake
from dropbox_import.strict_yaml import MOST_MISTAKES, Node, shown

LONGEST_NAME = 255
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_TRUE_WORDS = {"yes", "on", "y"}
_FALSE_WORDS = {"no", "off", "n"}


class Typed(str):
    """A text that stands in the file without quotes: it may be meant as a number, as true or false, or as nothing."""

    __slots__ = ()


class Part(BaseModel):
    """Base of all that is checked: unknown keys are mistakes, and nothing is changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Checked = TypeVar("Checked", bound=BaseModel)


def told(sentence: str, hint: str = "") -> PydanticCustomError:
    """A mistake in our own words, at the place of the value that is being checked. `sentence` goes on after "key: "."""
    return PydanticCustomError("told", "{sentence}", {"sentence": sentence, "hint": hint})


def is_empty(value: object) -> bool:
    return value is None or (isinstance(value, Typed) and value in ("", "null", "~"))


def no_value() -> PydanticCustomError:
    return told("has no value", "write one after the colon, or remove the key")


# --- field types ---------------------------------------------------------------------


def as_text(value: object) -> str:
    """Any text as it was typed, over several lines if need be."""
    if isinstance(value, (dict, Mapping)):
        raise told("a text is expected here, not a mapping", "put a text that holds a colon and a space, or braces, into quotes")
    if isinstance(value, list):
        raise told("a text is expected here, not a list", "write one text; put it into quotes if it begins with [ or -")
    if is_empty(value):
        raise no_value()
    text = str(value)
    bad = _CONTROL.search(text)
    if bad:
        raise told(f"the control character {shown(bad.group())} cannot be kept", "remove it; in double quotes, write \\\\ for a backslash")
    return text


def as_name(value: object) -> str:
    """A text of one line, as OMERO keeps for names."""
    text = as_text(value)
    if re.search(r"[\t\r\n\x85\u2028\u2029]", text):
        raise told(
            "a name has one line and no tabs",
            "a \\n or \\t inside double quotes is a line break or a tab: use single quotes for a backslash",
        )
    if not text.strip():
        raise told("the name is empty", "write a name, or remove the key")
    if len(text) > LONGEST_NAME:
        raise told(
            f"the name has {len(text)} characters; OMERO keeps at most {LONGEST_NAME}",
            "write a shorter name and put the rest into a description",
        )
    return text


def as_whole(value: object) -> int:
    if is_empty(value):
        raise no_value()
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _WHOLE.match(value):
        return int(value)
    raise told("a whole number is expected" + seen(value), "write digits only, like 12")


def as_bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if is_empty(value):
        raise no_value()
    word = str(value).lower() if isinstance(value, str) else ""
    if isinstance(value, Typed) and word in ("true", "false"):
        return word == "true"
    if word in _TRUE_WORDS | _FALSE_WORDS:
        raise told("true or false is expected" + seen(value), f"write {'true' if word in _TRUE_WORDS else 'false'}")
    raise told("true or false is expected" + seen(value), "write true or false, without quotes")


def seen(value: object) -> str:
    """What stands there instead, where it is short enough to be shown."""
    if isinstance(value, dict):
        return ", not a mapping"
    if isinstance(value, (list, tuple)):
        return ", not a list"
    return f', not "{shown(str(value), 30)}"'


def one_of(*words: str, later: Iterable[str] = ()) -> Callable[[object], str]:
    """A check for one of a few words. `later` are words of the format that this release does not know what to do with."""
    later = tuple(later)

    def check(value: object) -> str:
        if is_empty(value):
            raise no_value()
        if isinstance(value, str):
            if value in words:
                return str(value)
            if value in later:
                raise told(f"{value} is not supported yet", f"this release knows {listed(words)}")
        near = guess(str(value), words) if isinstance(value, str) else ""
        raise told(f"one of {listed(words)} is expected{seen(value)}{near}", "" if near else f"write {words[0]}, for example")

    return check


def between(low: int, high: int) -> Callable[[int], int]:
    def check(value: int) -> int:
        if not low <= value <= high:
            raise told(f"{value} is not between {low} and {high}", f"write a whole number from {low} to {high}")
        return value

    return check


Text = Annotated[str, BeforeValidator(as_text, json_schema_input_type=str | int | float | bool)]
Name = Annotated[str, BeforeValidator(as_name, json_schema_input_type=str | int | float)]
Whole = Annotated[int, BeforeValidator(as_whole, json_schema_input_type=int)]
YesNo = Annotated[bool, BeforeValidator(as_bool, json_schema_input_type=bool)]


# --- words ---------------------------------------------------------------------------


def listed(words: Iterable[str]) -> str:
    """a, b and c"""
    all_words = list(words)
    return all_words[0] if len(all_words) == 1 else ", ".join(all_words[:-1]) + " or " + all_words[-1]


def guess(word: str, known: Iterable[str]) -> str:
    """', did you mean "tags"?' or nothing."""
    folded = {name.casefold().replace("-", "_"): name for name in known}
    wanted = word.casefold().strip().replace("-", "_").replace(" ", "_")
    near = difflib.get_close_matches(wanted, list(folded), 1, 0.6)
    return f', did you mean "{folded[near[0]]}"?' if near else ""


# --- checking a tree -----------------------------------------------------------------


class Shape:
    """A model with the keys that each place of it knows, and those that a later release will know.

    Places are paths of keys; an item of a list is "*" and stands for each: "tags.*". `meant` gives a sentence of its own
    for a key that people write by mistake, by place and key.
    """

    def __init__(
        self,
        model: type[BaseModel],
        places: Mapping[str, type[BaseModel]],
        later: Mapping[str, Iterable[str]] | None = None,
        meant: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self.model = model
        self.known = {place: tuple(field.alias or name for name, field in part.model_fields.items()) for place, part in places.items()}
        self.later = {place: frozenset(keys) for place, keys in (later or {}).items()}
        self.meant = dict(meant or {})

    def unknown_key(self, place: str, key: str, node: Node | None, flow: bool) -> tuple[str, str]:
        known = self.known.get(place, ())
        full = ".".join(part for part in (place.replace(".*", ""), shown(key, 40)) if part)
        if key in self.later.get(place, ()):
            hint = (
                f"remove it; known here: {', '.join(known)}"
                if place
                else "remove it for now; the user guide lists the keys of this release"
            )
            return f"{full}: not supported yet", hint
        if f"{place}.{key}".lstrip(".") in self.meant:
            return self.meant[f"{place}.{key}".lstrip(".")]
        if key == "<<":
            return f"{full}: merging by << is not used here", "write the keys out"
        if flow and isinstance(node, strict_yaml.Scalar) and node.plain and not node.text:
            return (
                f"{full}: this text became a key of its own, because a comma separates the parts inside {{ }}",
                "put the whole text that holds the comma into quotes",
            )
        word, colon, _ = key.partition(":")
        if colon and word in known:
            return f"{shown(word)}: a space is missing after the colon", f'write "{shown(word)}: ", then its value'
        near = guess(key, known)
        return f"{full}: unknown key{near}", "" if near else "known here: " + ", ".join(known)


def to_data(node: Node | None) -> Any:
    """The tree as dicts, lists and texts, those without quotes as `Typed`."""
    if isinstance(node, strict_yaml.Mapping):
        return {key.text: to_data(value) for key, value in node.entries}
    if isinstance(node, strict_yaml.Sequence):
        return [to_data(item) for item in node.items]
    if node is None:
        return None
    return Typed(node.text) if node.plain else node.text


def check(shape: Shape, root: Node, model: type[Checked], context: Mapping[str, Any] | None = None) -> tuple[Checked | None, list[Mistake]]:
    """The checked data, or every mistake in the tree, in the order of the file."""
    try:
        return model.model_validate(to_data(root), context=dict(context or {})), []
    except ValidationError as error:
        found = error.errors(include_url=False)
    # Each costs a search for its place and its nearest key: a hostile file could hold a hundred thousand.
    mistakes = [_mistake(shape, root, one) for one in found[:MOST_MISTAKES]]
    meant = [one.sentence for one in mistakes if "did you mean" in one.sentence or "a space is missing" in one.sentence]
    unique = {(one.line, one.column, one.sentence): one for one in mistakes if not _is_misspelt(one, meant)}
    ordered = sorted(unique.values(), key=lambda one: (one.line, one.column))
    if len(found) > MOST_MISTAKES:
        ordered.append(Mistake(root.mark.file, 0, 0, f"{len(found) - MOST_MISTAKES:,} more mistakes are not listed", "correct these first"))
    return None, ordered


def _is_misspelt(mistake: Mistake, guesses: Iterable[str]) -> bool:
    """A key is not missing if it is there with a slip of the pen, which is told already."""
    key, _, rest = mistake.sentence.partition(": ")
    return rest.startswith("is missing") and any(
        guess.endswith(f'did you mean "{key}"?') or guess.startswith(f"{key}: a space is missing") for guess in guesses
    )


def _mistake(shape: Shape, root: Node, error: ErrorDetails) -> Mistake:
    loc = tuple(part for part in error["loc"] if part != "[key]")
    keys = [shown(str(part), 40) for part in loc if not isinstance(part, int)]
    name = ".".join(keys)
    node = strict_yaml.find(root, loc) or root
    if error["loc"] and error["loc"][-1] == "[key]":
        above = strict_yaml.find(root, loc[:-1])
        node = (above.key(str(loc[-1])) if isinstance(above, strict_yaml.Mapping) else None) or node
    kind, value = error["type"], error.get("input")
    if kind == "told":
        about = error.get("ctx", {})
        sentence, hint = str(about.get("sentence", "")), str(about.get("hint", ""))
    elif kind == "extra_forbidden":
        above = strict_yaml.find(root, loc[:-1])
        place = ".".join("*" if isinstance(part, int) else str(part) for part in loc[:-1])
        key = above.key(str(loc[-1])) if isinstance(above, strict_yaml.Mapping) else None
        flow = isinstance(above, strict_yaml.Mapping) and above.flow
        sentence, hint = shape.unknown_key(place, str(loc[-1]), node, flow)
        return (key or node).mark.mistake(sentence, hint)
    elif kind == "missing":
        sentence, hint = shape.meant.get(f"{name} is missing", ("is missing", f"add {keys[-1]}: and its value"))
    elif is_empty(value):
        sentence, hint = "has no value", "write one after the colon, or remove the key"
    elif kind in ("list_type", "tuple_type"):
        sentence = "a list is expected" + seen(value)
        hint = (
            "put a space after each dash"
            if isinstance(value, str) and value.startswith("-")
            else f"write {keys[-1] if keys else 'it'}: [{shown(value, 30)}]"
            if isinstance(value, str)
            else "write [first, second], or one item a line, each after a dash and a space"
        )
    elif kind in ("model_type", "dict_type", "model_attributes_type"):
        sentence, hint = "a mapping is expected" + seen(value), "write keys with their values, like {key: value}"
    elif kind == "too_short":
        sentence, hint = "the list is empty", "write at least one entry, or remove the key"
    else:
        sentence, hint = error["msg"], ""
    return node.mark.mistake(f"{name}: {sentence}" if name else sentence, hint)
