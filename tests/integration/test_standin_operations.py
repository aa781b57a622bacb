"""No call to the stand-in is left without an answer: each operation of its interfaces is its own, or is refused at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import Ice
import pytest

from dropbox_import.standin import server
from dropbox_import.standin.servants import Servant
from dropbox_import.standin.watch import Watch

assert server  # it brings all servants


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    each: type[Any]
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


OPERATIONS = sorted(
    {
        (kind, name.removeprefix("_op_"))
        for kind in _below(Servant)
        for name in dir(kind)
        if name.startswith("_op_") and not name.startswith("_op_ice_")
    },
    key=lambda pair: (pair[0].__name__, pair[1]),
)


def test_there_are_many() -> None:
    assert len(OPERATIONS) > 200
    assert {"importFileset", "createGroup", "addProxies", "reportForgottenPassword"} <= {name for _, name in OPERATIONS}


@pytest.mark.parametrize(("kind", "name"), OPERATIONS, ids=lambda part: getattr(part, "__name__", part))
def test_neither_way_of_dispatch_reaches_what_slice_made(kind: type, name: str) -> None:
    """Slice's own methods do nothing: an asynchronous one never answers, any other answers null."""
    for method in (name, f"{name}_async"):
        assert getattr(kind, method).__module__ == "dropbox_import.standin.servants", method


class _Nothing(Servant):
    """Of one asynchronous and one plain operation it has neither."""

    _op_sing = _op_dance = None
    keeps_session_alive = False


class _Answer:
    def __init__(self) -> None:
        self.error: BaseException | None = None

    def ice_exception(self, error: BaseException) -> None:
        self.error = error


def test_an_operation_that_is_not_there_raises_whether_it_is_asynchronous_or_not(tmp_path: Path) -> None:
    class Faults:
        watch = Watch(tmp_path)

        def log(self, *_given: object) -> int:
            return 1

        dark = False

        def strike(self, _name: str, _user: str) -> None:
            return None

        def answered(self, _name: str, _user: str) -> None:
            return None

    class House:
        faults = Faults()

        class sessions:  # noqa: N801
            @staticmethod
            def find(_uuid: str) -> None:
                return None

    current = Ice.Current()
    current.id, current.facet, current.operation, current.ctx = Ice.Identity("x", ""), "", "sing", {}
    nothing = _Nothing(House(), None)  # type: ignore[arg-type]
    answer = _Answer()
    nothing.sing_async(answer, current)  # type: ignore[attr-defined]
    assert isinstance(answer.error, Ice.OperationNotExistException)
    with pytest.raises(Ice.OperationNotExistException):
        nothing.dance("to the left", current)  # type: ignore[attr-defined]


def test_a_call_that_does_not_end_shows_where_it_is_and_any_other_leaves_no_file(tmp_path: Path) -> None:
    watch, told = Watch(tmp_path, slow=0.0), tmp_path / "slow-calls.txt"
    watch.look()
    assert not told.exists()
    with watch.call(7, "deleteExperimenter"):
        time.sleep(0.01)
        watch.look()
        watch.look()
    text = told.read_text(encoding="utf-8")
    assert text.count("call 7 deleteExperimenter has taken") == 1
    assert "test_standin_operations.py" in text
    watch.look()
    assert told.read_text(encoding="utf-8") == text
