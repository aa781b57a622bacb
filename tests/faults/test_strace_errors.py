"""The system refuses a call that changes the disk, once or for a stretch: the drop waits with a clear word, and then ends as it should.

The daemon's core is a real process; strace gives the error in the place of the call. After the trouble time is set forward, because what
could not be taken is left alone for ten minutes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.straced import CASES, ERRORS, Call, Ended, Zygote, is_told, lab_with, zygote
from tests.support.tally import ALL, counted

TROUBLED = 60  # turns
SAMPLE = 61
MOST_WARNINGS = 6

pytestmark = [pytest.mark.needs_strace, pytest.mark.faults(minutes=9), pytest.mark.timeout(3600 if ALL else 120)]


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    with zygote(tmp_path_factory.mktemp("strace")) as found:
        yield found


def some(calls: list[Call], what: str, stride: int = 1) -> list[Call]:
    """Every call (or each `stride`th of them), or a few, from an offset that differs from one `what` to the next."""
    stride = stride if ALL else SAMPLE
    return calls[random.Random(what).randrange(stride) :: stride]


def judge(call: Call, error: str, ended: Ended) -> None:
    bugs = [said.text for said in ended.said if said.traceback]
    assert not bugs, f"it says that this is a bug: {bugs}"
    texts = [said.text for said in ended.warnings]
    assert len(texts) <= MOST_WARNINGS, f"it says too much: {texts[:20]}"
    assert is_told(call, error, ended), f"it says nothing of {error}: {texts}"


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("case", CASES)
def test_an_error_at_any_call_is_waited_out(tmp_path: Path, lives: Zygote, case: str, error: str) -> None:
    _, imported, copies = CASES[case]
    for call in some(lives.calls(case), case + error, 3 if case == "partly" else 1):
        lab = lab_with(tmp_path / "lab", case)
        with counted(f"{error} from a call", str(call)):
            ended = lives.live(lab, f"{call.name}:error={error}:when={call.number}", troubled=TROUBLED)
            assert ended.injected == 1, "this call was not reached"
            lab.check(imported, sidecar_copies=copies)
            judge(call, error, ended)


@pytest.mark.parametrize("error", ERRORS)
def test_errors_for_a_stretch_are_waited_out(tmp_path: Path, lives: Zygote, error: str) -> None:
    """Up to 25 calls of one kind in a row, as on a full disk."""
    case = "partly" if ERRORS.index(error) % 2 else "several"
    _, imported, copies = CASES[case]
    rng = random.Random(case)
    for call in some(lives.calls(case), error + "stretch", 3):
        lab = lab_with(tmp_path / "lab", case)
        last = call.number + rng.choice((2, 5, 25))
        with counted(f"{error} from calls in a row", f"{call} to {last}"):
            ended = lives.live(lab, f"{call.name}:error={error}:when={call.number}..{last}", troubled=TROUBLED)
            lives.live(lab)
            lab.check(imported, sidecar_copies=copies)
            judge(call, error, ended)


@pytest.mark.parametrize(("kind", "error"), [("fsync", "EIO"), ("write", "ENOSPC"), ("mkdir", "EACCES"), ("rename", "ESTALE")])
def test_while_it_lasts_the_drop_waits_and_then_it_ends(tmp_path: Path, lives: Zygote, kind: str, error: str) -> None:
    """From some call on all are refused, until the daemon is started anew."""
    _, imported, copies = CASES["several"]
    calls = [call for call in lives.calls("several") if call.kind == kind]
    for call in calls if ALL else [random.Random(kind + error).choice(calls)]:
        lab = lab_with(tmp_path / "lab", "several")
        with counted(f"{error} from a call on", str(call)):
            ended = lives.live(lab, f"{call.name}:error={error}:when={call.number}+", troubled=TROUBLED, most=TROUBLED)
            bugs = [said.text for said in ended.said if said.traceback]
            assert not bugs, f"it says that this is a bug: {bugs}"
            assert not lab.filed("failed"), "in failed/, although the drop is as it should be"
            lab.life()
            lab.check(imported, sidecar_copies=copies)
