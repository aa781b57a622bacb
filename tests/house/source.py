"""A module of the product as its syntax tree, with the names that its imports give resolved."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "dropbox_import"


@dataclass(frozen=True)
class Found:
    """One breach of a rule."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass
class Module:
    """`path` is relative to dropbox_import/, '/'-separated; `names` maps a local name to the full name it was imported as."""

    path: str
    text: str
    tree: ast.Module = field(init=False)
    names: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.text)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    local = alias.asname or alias.name.split(".")[0]
                    self.names[local] = alias.name if alias.asname else local
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    self.names[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def full_name(self, node: ast.expr) -> str | None:
        """`os.rename` for `os.rename`, for `o.rename` after `import os as o`, for `rename` after `from os import rename`; else None."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        return ".".join([self.names.get(node.id, node.id), *reversed(parts)])

    def imported(self, node: ast.expr) -> bool:
        """Whether the leftmost name of `a.b.c` was imported: then `c` is a function of a module, not a method of an object."""
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self.names

    def calls(self) -> Iterator[ast.Call]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    def found(self, node: ast.AST, what: str) -> Found:
        return Found(f"dropbox_import/{self.path}", getattr(node, "lineno", 0), what)

    def lives_in(self, *homes: str) -> bool:
        """Whether this module is one of `homes`: "clock" is clock.py or everything in clock/; "workers/serve" is that module."""
        stem = self.path.removesuffix(".py")
        return any(stem == home or stem.startswith(f"{home}/") for home in homes)


def modules() -> list[Module]:
    return [Module(path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))]
