"""What an operator has decided of an account, as our own export writes it down.

Other programs have fields of the same names that mean something else or have another form, so a
value that would not fit is passed over instead of being an error: the account matters more.
"""

from collections.abc import Mapping
from typing import Final

from app.domain.enrolment import CONCURRENCY_MAX, PRIORITY_MAX, labels
from app.errors import InvalidRequest

MODELS_MAX: Final = 1_000
MODEL_CHARS_MAX: Final = 128


def choices(fields: Mapping[str, object]) -> dict[str, object]:
    """Return what the fields of an entry say, by the names that `Enrolment` has for it."""
    found: dict[str, object] = {}
    if fields.get("enabled") is False:
        found["enabled"] = False
    for name, least, most in (
        ("priority", -PRIORITY_MAX, PRIORITY_MAX),
        ("concurrency_max", 1, CONCURRENCY_MAX),
    ):
        number = fields.get(name)
        if type(number) is int and least <= number <= most:
            found[name] = number
    share = fields.get("pause_at")
    if isinstance(share, int | float) and not isinstance(share, bool) and 0 < share <= 1:
        found["pause_at"] = float(share)
    for name in ("groups", "tags"):
        names = _labels(fields.get(name), name)
        if names:
            found[name] = names
    models = _texts(fields.get("models"))
    if models and len(models) <= MODELS_MAX and max(map(len, models)) <= MODEL_CHARS_MAX:
        found["models"] = models
    return found


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        return ()
    return tuple(value)


def _labels(value: object, name: str) -> tuple[str, ...]:
    try:
        return labels(_texts(value), param=name)
    except InvalidRequest:
        return ()
