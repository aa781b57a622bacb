"""What is said of a failure holds no part of a channel's address that opens it."""

from __future__ import annotations

import pytest

from dropbox_import.notifier.secret import parts_of, without


@pytest.mark.parametrize(
    ("url", "said", "left"),
    [
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnl", "no T1JJ3T3L2 nor A1BRTD4JD/TIiajkdnl", "no *** nor ***/***"),
        ("tgram://123456:ABC-DEF/-100", "bot123456:ABC-DEF/sendMessage", "bot***/sendMessage"),
        ("jsons://me:p%40ss%2Fword@chat.example.org/hook?+X-Key=t0ken", "p@ss/word p%40ss%2Fword t0ken", "*** *** ***"),
        (
            "json://u:ab@chat.example.org/x1",
            "chat.example.org refused ab of x1, not absolute",
            "chat.example.org refused *** of ***, not absolute",
        ),
        ("nonsense", "nonsense is no address", "*** is no address"),
        (
            "json://joe:S3cret\u2100Pass@127.0.0.1:9",
            "netloc joe:S3cret\u2100Pass@127.0.0.1:9 is odd, S3cret\u2100Pass",
            "netloc *** is odd, ***",
        ),
        ("json://joe:S3c]ret@chat.example.org/x", "no S3c]ret here", "no *** here"),
    ],
)
def test_every_part_of_an_address_but_its_host_is_hidden(url: str, said: str, left: str) -> None:
    assert without(parts_of(url), said) == left
    assert url not in without(parts_of(url), f"Unsupported URL: {url}")
