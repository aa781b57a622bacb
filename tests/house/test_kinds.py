"""Each kind of fault that a test counts is listed in tests/support/kinds.py, and each that is listed is counted by a test."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator

import pytest

from tests.support import kinds, run_faults
from tests.support.run_faults import ROOT

COUNTING = [*run_faults.chosen(ROOT / "tests"), ROOT / "tests" / "support" / "history.py"]


def kinds_of(text: str, **functions: int) -> set[str]:
    """A pattern for each kind that is among the first so many arguments of these functions, as it stands there or by a variable's name."""
    tree = ast.parse(text)
    named: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target, value in assigned(node.targets[0], node.value):
                named.setdefault(ast.unparse(target), []).append(value)
    calls = [(node, ast.unparse(node.func).rpartition(".")[2]) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    given = [argument for call, function in calls for argument in call.args[: functions.get(function, 0)]]
    return {pattern for value in given for pattern in patterns(value, named)}


def assigned(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


def patterns(value: ast.expr, named: dict[str, list[ast.expr]]) -> Iterator[str]:
    match value:
        case ast.Constant(value=str(text)):
            yield re.escape(text)
        case ast.JoinedStr(values=parts):
            yield "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in parts)
        case ast.IfExp(body=one, orelse=other):
            yield from (*patterns(one, named), *patterns(other, named))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from map("".join, itertools.product(patterns(left, named), list(patterns(right, named)) or [".+"]))
        case ast.Name(id=name):
            yield from (pattern for one in named.get(name, []) for pattern in patterns(one, {}))


def test_each_kind_that_is_counted_is_listed() -> None:
    found = {pattern for path in COUNTING for pattern in kinds_of(path.read_text("utf-8"), counted=1)}
    assert len(found) > 40
    assert [pattern for pattern in sorted(found) if not any(re.fullmatch(pattern, kind) for kind in kinds.EXPECTED)] == []


def test_each_kind_that_is_listed_is_counted_somewhere() -> None:
    found = {pattern for path in COUNTING for pattern in kinds_of(path.read_text("utf-8"), counted=1, judge=2)}
    assert [kind for kind in kinds.EXPECTED if not any(re.fullmatch(pattern, kind) for pattern in found)] == []


@pytest.mark.parametrize(
    "text",
    [
        'counted("a kind", "where")',
        'tally.counted(f"a {thing}")',
        'KIND = "a kind"\ncounted(KIND)',
        'kind, number = "a kind", 5\ncounted(kind, points=number)',
        'KIND = "a "\ncounted(KIND + word)',
        'kind = "a kind" if many else "a kind"\ncounted(kind)',
    ],
)
def test_a_kind_is_found_however_it_is_handed_over(text: str) -> None:
    assert [bool(re.fullmatch(pattern, "a kind")) for pattern in kinds_of(text, counted=1)] == [True]
