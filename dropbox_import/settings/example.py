"""The commented config that `init` writes: one text for the example, the tests and the administrator."""

from __future__ import annotations

import json
from importlib import resources

from dropbox_import import strict_yaml
from dropbox_import.strict_yaml import Scalar

_PLACES: dict[str, tuple[str | int, ...]] = {
    "host": ("omero", "host"),
    "port": ("omero", "port"),
    "user": ("omero", "user"),
    "password_file": ("omero", "password_file"),
    "state_dir": ("state_dir",),
    "box": ("boxes", 0, "path"),
    "owners": ("boxes", 0, "owners"),
    "min_free": ("boxes", 0, "min_free"),
    "level": ("log", "level"),
}


def example_text(**replacements: object) -> str:
    """The example with other values: host, port, user, password_file, state_dir, box (the path of the first), owners, min_free, level.
    Comments and all other values stay. Raises KeyError for a name it does not know."""
    text = resources.files("dropbox_import.settings").joinpath("example.yaml").read_text(encoding="utf-8")
    root = strict_yaml.load(text.encode("utf-8"), "example.yaml").root
    lines = text.splitlines(keepends=True)
    for name, value in replacements.items():
        node = strict_yaml.find(root, _PLACES[name])
        if not isinstance(node, Scalar):
            raise KeyError(name)
        number, start = node.mark.line - 1, node.mark.column - 1
        line = lines[number]
        lines[number] = line[:start] + _written(value) + line[start + len(node.text) :]
    return "".join(lines)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_written(str(item)) for item in value) + "]"
    text = str(value)
    plain = strict_yaml.dump(text).splitlines()[0]
    simple = plain == text and not any(sign in text for sign in "#,[]{}:\\")
    return text if simple else json.dumps(text)
