"""The demo's judgement: it says yes to the right outcome only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dropbox_import.cli.demo.checks import Filed, Held, held_images, wrong
from dropbox_import.cli.demo.scenario import CASES, PROJECT, USER, Case, Image
from dropbox_import.errors import SidecarInvalid
from dropbox_import.sidecar import parse_sidecar


def right(folder: Path) -> tuple[list[Held], list[Filed], list[str]]:
    held = [
        Held(number, PROJECT, image.dataset, USER, image)
        for number, image in enumerate((image for case in CASES for image in case.images), start=1)
    ]
    filed = []
    for case in CASES:
        for state, members in (("done", case.done), ("failed", case.failed)):
            if members is None:
                continue
            stem = case.sidecar.rpartition(".")[0]
            path = folder / state / f"{stem}__1"
            path.mkdir(parents=True)
            (path / case.sidecar).touch()
            filed.append(Filed(state, stem, path, tuple(sorted(members)), " ".join(case.reasons) if state == "failed" else ""))
    return held, filed, [name for case in CASES for name in case.stay]


def test_the_right_outcome_is_accepted(tmp_path: Path) -> None:
    held, filed, stay = right(tmp_path)
    assert wrong(CASES, held, filed, stay, []) == []


def test_every_single_difference_is_found(tmp_path: Path) -> None:
    held, filed, stay = right(tmp_path)
    hela = next(number for number, one in enumerate(held) if one.image.rating)
    image = held[hela].image

    def with_image(other: Image) -> list[Held]:
        return [*held[:hela], replace(held[hela], image=other), *held[hela + 1 :]]

    spoiled = [
        wrong(CASES, held[1:], filed, stay, []),
        wrong(CASES, [*held, held[0]], filed, stay, []),
        wrong(CASES, [replace(held[0], owner="bob"), *held[1:]], filed, stay, []),
        wrong(CASES, [replace(held[0], project="Other"), *held[1:]], filed, stay, []),
        wrong(CASES, with_image(replace(image, size=(96, 64, 1, 1, 2))), filed, stay, []),
        wrong(CASES, with_image(replace(image, tags=image.tags[:1])), filed, stay, []),
        wrong(CASES, with_image(replace(image, key_values=image.key_values[::-1])), filed, stay, []),
        wrong(CASES, with_image(replace(image, comments=())), filed, stay, []),
        wrong(CASES, with_image(replace(image, rating=3)), filed, stay, []),
        wrong(CASES, with_image(replace(image, attachments=())), filed, stay, []),
        wrong(CASES, held, filed[1:], stay, []),
        wrong(CASES, held, [*filed, filed[0]], stay, []),
        wrong(CASES, held, [replace(filed[0], members=()), *filed[1:]], stay, []),
        wrong(CASES, held, [replace(filed[0], reason="x"), *filed[1:]], stay, []),
        wrong(CASES, held, [*filed[:-1], replace(filed[-1], reason="")], stay, []),
        wrong(CASES, held, filed, stay[1:], []),
        wrong(CASES, held, filed, [*stay, "left.tif"], []),
        wrong(CASES, held, filed, stay, ["20261122-093912-k7f3q2mzt4"]),
    ]
    assert all(spoiled), [number for number, problems in enumerate(spoiled) if not problems]


def test_the_answer_of_holdings_is_read() -> None:
    image = {
        "id": 7, "name": "a", "size": [1, 2, 3, 4, 5], "owner": "alice", "dataset": "D", "project": None,
        "tags": ["t"], "key_values": [["k", "v"], ["k", "w"]], "comments": ["c"], "rating": 4, "attachments": ["f"],
    }  # fmt: skip
    [held] = held_images({"images": [image]})
    assert held.project == ""
    assert held.image == Image("D", "a", (1, 2, 3, 4, 5), ("t",), (("k", "v"), ("k", "w")), ("c",), 4, ("f",))


@pytest.mark.parametrize("case", [case for case in CASES if case.text], ids=lambda case: case.sidecar)
def test_the_sidecars_of_the_demo_are_good_unless_meant_to_be_bad(case: Case) -> None:
    if case.sidecar == "typo.yaml":
        with pytest.raises(SidecarInvalid) as caught:
            parse_sidecar(case.text.encode(), case.sidecar)
        assert [mistake.line for mistake in caught.value.mistakes] == [2, 3]
    else:
        assert parse_sidecar(case.text.encode(), case.sidecar).target.dataset is not None
