"""`dump`: values to YAML that people read and `load` reads back."""

from __future__ import annotations

import re
from typing import Any

import yaml

_MAY_BE_MISREAD = re.compile(r"[-+.]?[0-9]|[“”„‟«»‘’‚‛]|.*[“”„‟«»]\Z|~\Z|(?:true|false|null|yes|no|on|off)\Z", re.IGNORECASE | re.DOTALL)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        # Items of a list stand further in than their key: easier to read, and to copy into another level.
        super().increase_indent(flow, False)


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = None
    if any(character in value for character in "\n\r\x85\u2028\u2029\t\x7f\ufeff"):
        style = '"'
    elif _MAY_BE_MISREAD.match(value):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump(value: object) -> str:
    """YAML in block style, in the order given, one value a line; control characters are written as escapes. A text that could be
    taken for something else is quoted, so that `to_value(load(...))` gives the value back (a float comes back as its text).
    Takes dicts, lists, tuples, texts, numbers, true, false and None."""
    plain = _plain(value)
    return yaml.dump(plain, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False, width=1_000_000)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)
