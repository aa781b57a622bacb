"""The demo's judgement of its mail: everybody is told once what concerns them, and nobody anything else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dropbox_import.cli.demo.checks import Filed
from dropbox_import.cli.demo.mailbox import Mail, read_mail
from dropbox_import.cli.demo.scenario import ADDRESS, OPS
from dropbox_import.cli.demo.told import about_drop, outcomes, wrong_mail
from dropbox_import.standin.accounts import STANDARD

GOOD, BAD, HALF = (f"20261128-101500-{word * 10}" for word in "abc")
BECAME = {GOOD: "done", BAD: "failed", HALF: "partly"}
MAILS = [
    Mail((ADDRESS,), "two", "", (GOOD, HALF), ("done", "partly")),
    Mail((ADDRESS,), "one", "", (BAD,), ("failed",)),
    Mail((OPS,), "failures", "", (BAD, HALF), ("failed", "partly")),
]


def test_the_address_is_that_of_the_stand_in() -> None:
    assert [user.get("email") for user in STANDARD["users"] if user["name"] == "alice"] == [ADDRESS]


def test_what_became_of_each_drop_is_seen_in_the_folders() -> None:
    filed = [
        Filed(state, "x", Path(f"/box/{state}/x__{drop}"), (), "")
        for state, drop in (("done", GOOD), ("failed", BAD), ("done", HALF), ("failed", HALF), ("failed", "by-hand"))
    ]
    assert outcomes(filed) == BECAME


def test_the_right_mails_are_accepted() -> None:
    assert wrong_mail(BECAME, MAILS) == []


def test_every_single_difference_is_found() -> None:
    first, second, ops = MAILS
    spoiled = [
        wrong_mail(BECAME, MAILS[1:]),
        wrong_mail(BECAME, MAILS[:2]),
        wrong_mail(BECAME, [*MAILS, first]),
        wrong_mail(BECAME, [*MAILS, Mail(("bob@example.org",), "x", "")]),
        wrong_mail(BECAME, [*MAILS, Mail((ADDRESS, OPS), "x", "", (GOOD,), ("done",))]),
        wrong_mail(BECAME, [*MAILS, Mail((OPS,), "x", "", (GOOD,), ("done",))]),
        wrong_mail(BECAME, [*MAILS, Mail((OPS,), "x", "", (), ("alert-begins",))]),
        wrong_mail(BECAME, [first, replace(second, events=("done",)), ops]),
        wrong_mail(BECAME, [first, second, replace(ops, events=("failed", "partly", "attention"))]),
    ]
    assert all(spoiled), [number for number, problems in enumerate(spoiled) if not problems]


def test_the_mail_about_a_drop_is_found() -> None:
    assert about_drop(MAILS, ADDRESS, HALF) is MAILS[0]
    assert about_drop(MAILS, OPS, GOOD) is None


def test_a_mail_is_read_with_what_its_head_says() -> None:
    content = (
        b"Subject: =?utf-8?q?caf=C3=A9?=\r\nX-Dropbox-Import-Drop: d1\r\n d2\r\nX-Dropbox-Import-Event: done\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n"
    )
    assert read_mail(content, (ADDRESS,)) == Mail((ADDRESS,), "café", "Hello\n", ("d1", "d2"), ("done",))
