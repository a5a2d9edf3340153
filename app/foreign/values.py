"""Single values as other products' databases hold them, and as we do.

Drivers and versions differ: a list may be an array, JSON or a text in braces, a time a number, a
text or a datetime. What is missing is None or empty; what is there but can't be read is an error,
never guessed at: a limit that is misread would be no limit.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from app.domain.enrolment import KeyDigest
from app.foreign.found import BadValue

Row = Mapping[str, object]

MONEY_USD_MAX: Final = 1_000_000
"""Nobody gives one key more than this in a month; larger figures are meant as something else."""
COUNT_MAX: Final = 1_000_000_000_000
NAME_CHARS_MAX: Final = 128
NAMES_MAX: Final = 1_000

_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_NUSD: Final = 1_000_000_000
_MILLISECONDS_FROM: Final = 1e11
_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)?\s*(Z|[+-]\d\d:?\d\d)?(?:\s+\w+.*)?", re.ASCII
)
_BRACES: Final = re.compile(r'\{[^"{}]*(?:"[^"{}]*"[^":{}]*)*\}')
_SHOWN_CHARS: Final = 40


def text(value: object) -> str:
    """Return a text, empty for nothing."""
    return value.strip() if isinstance(value, str) else ""


def flag(value: object, *, default: bool) -> bool:
    """Return whether something is so; `default` if nobody said."""
    match value:
        case None:
            return default
        case str():
            return value.strip().lower() in {"1", "t", "true", "yes"}
        case _:
            return bool(value)


def number(value: object, field: str) -> Decimal | None:
    """Return a number exactly, None for nothing.

    Raises:
        BadValue: It is none, or not finite.
    """
    if value is None or value == "":
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        found = Decimal("NaN")
    if isinstance(value, bool) or not found.is_finite():
        raise BadValue(f"{field} is {_shown(value)}, which is no number")
    return found


def count(value: object, field: str) -> int | None:
    """Return a limit, None for nothing.

    Raises:
        BadValue: It is no whole number of a possible size.
    """
    found = number(value, field)
    if found is None:
        return None
    if not 0 <= found <= COUNT_MAX or found != int(found):
        raise BadValue(f"{field} is {_shown(value)}: expected a whole number from 0 to {COUNT_MAX}")
    return int(found)


def money(value: object, field: str, *, units_a_dollar: int = 1) -> int | None:
    """Return nano-dollars, None for nothing.

    Raises:
        BadValue: It is negative or too much to be meant.
    """
    found = number(value, field)
    if found is None:
        return None
    dollars = found / units_a_dollar
    if not 0 <= dollars <= MONEY_USD_MAX:
        raise BadValue(
            f"{field} is {_shown(value)}: expected 0 to {MONEY_USD_MAX * units_a_dollar}"
            + ("" if units_a_dollar == 1 else f" (there are {units_a_dollar} to the dollar)")
        )
    return int(dollars * _NUSD)


def spent(value: object, field: str) -> int:
    """Return nano-dollars that were spent already, however many.

    Raises:
        BadValue: It is no number.
    """
    return int(max(number(value, field) or Decimal(0), Decimal(0)) * _NUSD)


def moment(value: object, field: str) -> float | None:
    """Return epoch seconds, None for nothing; a time without a zone is one of UTC.

    Raises:
        BadValue: It is no point in time.
    """
    match value:
        case None | "":
            return None
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        case bool():
            pass
        case int() | float() if 0 < value < _MILLISECONDS_FROM * 1000:
            return value / 1000 if value >= _MILLISECONDS_FROM else float(value)
        case str() if match := _MOMENT.fullmatch(value.strip()):
            day, time, fraction, zone = match.groups(default="")
            if day.startswith("0001"):  # Go's zero time
                return None
            found = datetime.fromisoformat(f"{day}T{time}{fraction[:7]}{zone or '+00:00'}")
            return found.timestamp()
        case _:
            pass
    raise BadValue(f"{field} is {_shown(value)}, which is no point in time")


def names(value: object, field: str) -> tuple[str, ...]:
    """Return a list of names, each once, empty for nothing.

    Raises:
        BadValue: It is no list, or one of them is no name.
    """
    found = tuple(dict.fromkeys(_items(value, field)))
    for name in found:
        if not 0 < len(name) <= NAME_CHARS_MAX or not name.isprintable():
            raise BadValue(f"{field} has {_shown(name)}, which is no name")
    if len(found) > NAMES_MAX:
        raise BadValue(f"{field} has {len(found)} names, at most {NAMES_MAX}")
    return found


def numbers(value: object, field: str) -> tuple[int, ...]:
    """Return a list of ids, empty for nothing.

    Raises:
        BadValue: It is no list of whole numbers.
    """
    document = value if isinstance(value, list) else _json(value, field)
    try:
        return msgspec.convert(document or [], tuple[int, ...])
    except msgspec.ValidationError:
        raise BadValue(f"{field} is no list of ids") from None


def mapping(value: object, field: str) -> dict[str, object]:
    """Return an object, empty for nothing.

    Raises:
        BadValue: It is none.
    """
    document = value if isinstance(value, dict) else _json(value, field)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise BadValue(f"{field} is no JSON object")
    return document


def _items(value: object, field: str) -> list[str]:
    if isinstance(value, str) and _BRACES.fullmatch(value):
        # How Postgres writes an array as a text; an object of JSON has colons.
        return [name.strip().strip('"') for name in value[1:-1].split(",") if name.strip()]
    document = value if isinstance(value, list | tuple) else _json(value, field)
    try:
        return [name.strip() for name in msgspec.convert(document or [], list[str])]
    except msgspec.ValidationError:
        raise BadValue(f"{field} is no list of names") from None


def _json(value: object, field: str) -> object:
    if value is None or value == "":
        return None
    if not isinstance(value, str | bytes):
        raise BadValue(f"{field} is no JSON")
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        raise BadValue(f"{field} is no JSON") from None


def _shown(value: object) -> str:
    return repr(value)[:_SHOWN_CHARS]


def key_digest(value: object) -> KeyDigest | None:
    """Return the SHA-256 of a caller's key from its 64 hexadecimal digits, or None."""
    digits = text(value)
    return KeyDigest(bytes.fromhex(digits)) if _SHA256.fullmatch(digits) else None
