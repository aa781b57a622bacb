"""Durations and sizes as people write them."""

from __future__ import annotations

import re

from dropbox_import.sidecar.checks import is_empty, no_value, seen, told

_AMOUNT = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([A-Za-z]*)\Z")
_SECONDS = {
    1e-3: ("ms",),
    1.0: ("", "s", "sec", "second", "seconds"),
    60.0: ("min", "m", "minute", "minutes"),
    3600.0: ("h", "hour", "hours"),
    86400.0: ("d", "day", "days"),
}
_BYTES = {
    1: ("", "b", "bytes"),
    10**3: ("kb",),
    10**6: ("mb",),
    10**9: ("gb",),
    10**12: ("tb",),
    2**10: ("kib",),
    2**20: ("mib",),
    2**30: ("gib",),
    2**40: ("tib",),
}


def as_seconds(value: object) -> float:
    """ "10 s", "45 min", "2 h", "1 d"; a plain number is seconds."""
    amount, unit = _parts(value, "a duration", "write it like 10 s, 45 min or 2 h")
    for factor, words in _SECONDS.items():
        if unit.lower() in words:
            return amount * factor
    raise told(f"{unit} is no unit of time", "write it like 10 s, 45 min, 2 h or 1 d")


def as_bytes(value: object) -> int:
    """ "5 GB", "64 MiB"; a plain number is bytes."""
    amount, unit = _parts(value, "a size", "write it like 500 MB or 5 GB")
    for factor, words in _BYTES.items():
        if unit.lower() in words:
            return round(amount * factor)
    raise told(f"{unit} is no unit of size", "write it like 500 MB, 5 GB or 64 MiB")


def _parts(value: object, what: str, hint: str) -> tuple[float, str]:
    if is_empty(value):
        raise no_value()
    found = _AMOUNT.match(value.strip()) if isinstance(value, str) else None
    if not found:
        raise told(f"{what} is expected{seen(value)}", hint)
    return float(found.group(1)), found.group(2)
