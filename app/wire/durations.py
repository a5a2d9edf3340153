"""How upstreams write a length of time: `11.054s`, `28ms`, `6m0s`, `20 seconds`."""

import re
from collections.abc import Mapping
from typing import Final

DURATION_S_MAX: Final = 366 * 86_400.0

_PART: Final = r"\d{1,15}(?:\.\d{1,15})? ?[a-z]{1,12}"
DURATION: Final = rf"{_PART}(?: ?{_PART})*+"
"""A pattern for a duration within a sentence, to be used without regard to case."""

_WHOLE: Final = re.compile(DURATION, re.IGNORECASE)
_PARTS: Final = re.compile(r"(\d+(?:\.\d+)?) ?([a-z]+)", re.IGNORECASE)
_UNITS_S: Final[Mapping[str, float]] = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "millisecond": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hr": 3600.0,
    "hour": 3600.0,
    "d": 86_400.0,
    "day": 86_400.0,
}


def duration_s(text: str) -> float | None:
    """Return the seconds that `text` means, at most `DURATION_S_MAX`, or None if it means none."""
    if not _WHOLE.fullmatch(text):
        return None
    total = 0.0
    for number, word in _PARTS.findall(text):
        unit = word.lower()
        scale = _UNITS_S.get(unit) or _UNITS_S.get(unit.removesuffix("s"))
        if scale is None:
            return None
        total += float(number) * scale
    return min(total, DURATION_S_MAX)
