"""Numbers, sizes and dates as people write them."""

from __future__ import annotations

import pytest

from dropbox_import.notifier.forms import date, number, size, zone_of

PARIS = zone_of("Europe/Paris")


def test_a_date_has_its_zone_and_the_form_of_the_language() -> None:
    assert date("2026-11-28T10:05:00+00:00", "en", PARIS) == "28 Nov 2026, 11:05 CET"
    assert date("2026-11-28T10:05:00+00:00", "fr", PARIS) == "28\u00a0nov. 2026 à 11:05\u00a0CET"
    assert date("2026-07-01T10:05:00Z", "en", PARIS) == "1 Jul 2026, 12:05 CEST"


def test_a_time_without_a_zone_is_utc_and_what_is_no_time_is_shown() -> None:
    assert date("2026-11-28T10:05:00", "en", PARIS) == "28 Nov 2026, 11:05 CET"
    assert date("yester\nday", "en", PARIS) == "yester day"


def test_without_a_zone_the_system_decides() -> None:
    assert zone_of(None) is None
    assert "Nov 2026" in date("2026-11-28T10:05:00Z", "en", None)


@pytest.mark.parametrize("name", ["Europe/Nowhere", "../../etc/passwd", "/etc/passwd", "Europe"])
def test_a_zone_that_there_is_not_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="there is no time zone"):
        zone_of(name)


@pytest.mark.parametrize(
    ("bytes", "english", "french"),
    [
        (0, "0 bytes", "0 octet"),
        (1, "1 byte", "1 octet"),
        (999, "999 bytes", "999 octets"),
        (1000, "1 kB", "1 ko"),
        (1_234_567_890, "1.2 GB", "1,2 Go"),
        (999_960_000, "1 GB", "1 Go"),
        (25_400_000, "25 MB", "25 Mo"),
        (10**19, "10000 PB", "10000 Po"),
    ],
)
def test_sizes_are_short(bytes: int, english: str, french: str) -> None:
    assert size(bytes, "en").replace("\u00a0", " ") == english
    assert size(bytes, "fr").replace("\u00a0", " ") == french


def test_numbers_are_grouped() -> None:
    assert (number(12500, "en"), number(12500, "fr")) == ("12,500", "12\u00a0500")
