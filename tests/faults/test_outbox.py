"""People are told, whatever ends when: the daemon at any effect on the disk, the notifier at any letter, the power; and errors of the disk.

No message is lost, none comes before its cause, none says what is not so. Twice comes at most what was just being sent, and then it is
the same letter.
"""

from __future__ import annotations

import errno
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropbox_import.daemon.channels import AT_ONCE
from dropbox_import.errors import DropboxImportError
from dropbox_import.notify.message import OUTCOMES
from dropbox_import.settings.model import Listener, Mail, Notify
from tests.support.crashes import CASES, Case, Stage, State, as_on_a_share, quick_folder
from tests.support.lab import Lab, refused_after
from tests.support.powercuts import Cuts
from tests.support.tally import ALL, STRIDE, counted, points, vital

pytestmark = [pytest.mark.timeout(3600 if ALL else 120), pytest.mark.faults(minutes=3)]

TOLD = Notify(mail=Mail("relay"), admin=Listener(("ops@example.org",)), gather=1.0, digest=3.0)
USER, ADMIN = "mail:jdoe@example.org", "mail:ops@example.org"
DROPS = {
    "one": (("a.yaml", "target: {dataset: HeLa}\n", {"a.tif": b"image-a"}),),
    "partly": (("p.yaml", "target: {dataset: HeLa}\n", {"p/good.tif": b"good", "p/bad.tif": b"broken"}),),
    "refused": (("r.yaml", "target: {dataset: HeLa}\ntagz: 1\n", {"r.tif": b"image-r"}),),
    "three": tuple((f"{name}.yaml", "target: {dataset: HeLa}\n", {f"{name}.tif": name.encode()}) for name in ("x", "y", "bad")),
}
EVENTS = {"one": ["done"], "partly": ["partly"], "refused": ["failed"], "three": ["done", "done", "failed"]}

WHY = {r"outbox\.sent: .*": "the letter comes once more, as the same one"}


def lab_with(folder: Path, case: str) -> Lab:
    shutil.rmtree(folder, ignore_errors=True)
    lab = Lab(folder, notify=TOLD)
    lab.server.mail.boxes = lab.boxes
    lab.server.mail.addresses = {"jdoe": "jdoe@example.org"}
    for drop in DROPS[case]:
        lab.drop(*drop)
    return lab


def check(lab: Lab, events: list[str], again: int) -> None:
    """`again`: letters that may have come once more."""
    mail = lab.server.mail
    told = mail.told()
    outcomes = {name: name.rpartition(".")[2] for name, _ in told if name.rpartition(".")[2] in OUTCOMES}
    assert not mail.wrong, f"wrongly told: {mail.wrong}"
    assert sorted(outcomes.values()) == sorted(events), f"a message was lost, or told of what is not so: {outcomes}"
    wanted = Counter({(name, USER): 1 for name in outcomes}) + Counter(
        {(name, ADMIN): 1 for name, event in outcomes.items() if event != "done"}
    )
    assert not wanted - told, f"lost: {wanted - told}"
    assert not told - wanted, f"told once more than it should be: {told - wanted}"
    assert mail.again() <= again, f"told again: {mail.again()} letters"
    assert not lab.unsent(), "stuck in the outbox"
    assert lab.claims() == [], "stuck in inprogress/"


@pytest.mark.parametrize("case", DROPS)
def test_people_are_told_once_of_what_became_of_each_drop(tmp_path: Path, case: str) -> None:
    lab = lab_with(tmp_path, case)
    lab.life()
    check(lab, EVENTS[case], 0)


@pytest.mark.parametrize("case", DROPS)
def test_an_end_at_any_effect_loses_no_message(tmp_path: Path, case: str) -> None:
    effects = lab_with(tmp_path, case).life()
    assert effects > 40
    for point in points(effects, f"outbox {case}"):
        lab = lab_with(tmp_path, case)
        with counted("people are told, the daemon ends at an effect", f"{case}: {point} of {effects}"):
            assert lab.life(crash_at=point) >= point, "it did not come to this effect"
            lab.life()
            check(lab, EVENTS[case], AT_ONCE)


@pytest.mark.parametrize("case", DROPS)
def test_a_second_end_while_the_first_is_mended_loses_no_message(tmp_path: Path, case: str) -> None:
    effects = lab_with(tmp_path, case).life()
    rng = random.Random(f"outbox {case}")
    for point in points(effects, f"outbox {case} twice"):
        lab = lab_with(tmp_path, case)
        assert lab.life(crash_at=point) >= point
        second = rng.randint(1, 60)
        twice = lab.life(crash_at=second) >= second  # else its rest was shorter, and it ended once
        lab.life()
        with counted("people are told, the daemon ends twice", f"{case}: {point} of {effects}, then {second}", points=int(twice)):
            check(lab, EVENTS[case], 2 * AT_ONCE)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
@pytest.mark.parametrize("case", DROPS)
def test_a_disk_error_at_any_effect_loses_no_message(tmp_path: Path, case: str, number: int) -> None:
    effects = refused_after(lab_with(tmp_path, case), 1, 0, number)
    assert effects > 20
    for point in points(effects, f"outbox {case} {number}"):
        lab = lab_with(tmp_path, case)
        with counted(f"people are told, the disk refuses ({errno.errorcode[number]})", f"{case}: effect {point} of {effects}"):
            assert refused_after(lab, point, 1 + point % 5, number) >= point, "it did not come to this effect"
            lab.clock.forward(700)
            lab.turns()
            check(lab, EVENTS[case], 0)


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("case", DROPS)
def test_a_notifier_that_dies_at_any_letter_loses_none(tmp_path: Path, case: str, how: str) -> None:
    lab = lab_with(tmp_path, case)
    lab.life()
    for number in range(1, lab.server.mail.tries + 1):
        lab = lab_with(tmp_path, case)
        lab.server.mail.cut = (number, how)
        with counted(f"people are told, the notifier dies {how} it has sent", f"{case}: letter {number}"):
            lab.life()
            assert lab.server.mail.tries > number, "it did not die, or nobody tried again"
            check(lab, EVENTS[case], int(how == "after"))


@pytest.fixture
def folder() -> Iterator[Path]:
    with as_on_a_share(), quick_folder() as found:
        yield found


class ToldCuts(Cuts):
    """Judged by what people were told."""

    def __init__(self, folder: Path, case: str) -> None:
        self.events = EVENTS[case]
        known = CASES[case]
        super().__init__(Stage(folder, Case(known.drop, known.imported, known.copies, notify=TOLD)))

    def survive(self, state: State, rng: random.Random) -> None:
        try:
            lab = self.stage.rest(state)
        except (OSError, DropboxImportError) as error:
            raise AssertionError(f"stuck: the daemon does not start: {error}") from error
        check(lab, self.events, AT_ONCE)


@pytest.mark.parametrize("case", ["one", "partly", "refused"])
def test_a_power_cut_at_any_effect_loses_no_message(folder: Path, case: str) -> None:
    cuts, rng = ToldCuts(folder, case), random.Random(f"outbox {case}")
    for state, effects in cuts.places[:: 1 if ALL else STRIDE]:
        for cut in cuts.at(state, effects, 2 if ALL else 1, rng):
            left = cuts.left(cut)
            if left is None:  # lived on from before
                continue
            with counted(f"people are told, power cut, {cut.kind.value}", f"{case}: {cut}"):
                cuts.survive(left, rng)


@pytest.mark.slow_faults(minutes=3)
@pytest.mark.parametrize("case", ["partly"])
def test_without_any_one_sync_of_the_outbox_a_power_cut_breaks_a_promise(folder: Path, case: str) -> None:
    cuts, rng = ToldCuts(folder, case), random.Random(case)
    for state, effects in cuts.places:
        for cut in cuts.at(state, effects, 0, rng):
            cuts.left(cut)
    names = sorted(one for one in cuts.sites() if one.startswith("outbox."))
    assert len(names) > 5, names
    for name in names:
        why = next((reason for pattern, reason in WHY.items() if re.fullmatch(pattern, name)), "")
        red = bool(cuts.red(frozenset({name}), 150, rng))
        vital(name, red, why)
        assert red or why, f"nothing turns red without {name}"
