"""Numbers, sizes and dates as people of each language write them. Pure, but for the system's own time zone."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from dropbox_import.notifier.harmless import harmless

NO_BREAK = "\u00a0"
_MONTHS = {
    "en": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(),
    "fr": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.".split(),
}
_UNITS = {"en": ("bytes", "kB", "MB", "GB", "TB", "PB"), "fr": ("octets", "ko", "Mo", "Go", "To", "Po")}


def zone_of(name: str | None) -> tzinfo | None:
    """The zone of that name, None = the system's own. Raises ValueError where there is none of that name."""
    try:
        return ZoneInfo(name) if name else None
    except (OSError, LookupError, ValueError) as problem:
        raise ValueError(f"there is no time zone {name!r}") from problem


def date(moment: str, language: str, zone: tzinfo | None) -> str:
    """`28 Nov 2026, 11:05 CET` of a time in ISO form; what is no time is shown as it is."""
    try:
        at = datetime.fromisoformat(moment)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(zone)
    except (ValueError, OverflowError):
        return harmless(moment)
    day, month = at.day, _MONTHS[language][at.month - 1]
    if language == "fr":
        return f"{day}{NO_BREAK}{month} {at.year} à {at:%H:%M}{NO_BREAK}{at.tzname()}"
    return f"{day} {month} {at.year}, {at:%H:%M} {at.tzname()}"


def size(bytes: int, language: str) -> str:
    """`1.2 GB`."""
    units = _UNITS[language]
    value, power = float(bytes), 0
    while value >= 999.5 and power < len(units) - 1:
        value, power = value / 1000, power + 1
    if power == 0:
        unit = units[0][:-1] if bytes == 1 or (bytes == 0 and language == "fr") else units[0]
        return f"{bytes}{NO_BREAK}{unit}"
    shown = f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
    return f"{_decimal(shown.removesuffix('.0'), language)}{NO_BREAK}{units[power]}"


def number(count: int, language: str) -> str:
    """`12,500`."""
    return f"{count:,}".replace(",", NO_BREAK if language == "fr" else ",")


def _decimal(shown: str, language: str) -> str:
    return shown.replace(".", ",") if language == "fr" else shown
