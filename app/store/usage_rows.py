"""Attempts and requests as rows of their tables, and back.

What a row may hold is checked in here, by the same rules for every database: one of them would
refuse what the other takes, and a sum that has been spoilt once stays so. Nothing in here runs a
statement.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Double, Row, String, Table

from app.domain.ledger import AttemptRow, RequestRow, Source
from app.domain.usage import Usage
from app.store.tables import attempts, requests

COUNT_MAX: Final = 10**15
"""The largest count of tokens or nano-dollars (a million dollars) that one call can have."""
_SECONDS_MAX: Final = 1e11
"""Beyond every point in time and every duration."""
_INTEGER_MAX: Final = 2**31 - 1


def attempt_values(row: AttemptRow) -> tuple[Any, ...]:
    """Return the values of a row of `attempts`, in the order of its columns."""
    used = row.usage
    return (
        row.uid,
        row.number,
        row.at,
        row.caller_id,
        row.account_id,
        row.model,
        row.outcome,
        row.code,
        used.input,
        used.cached,
        used.cache_write,
        used.output,
        used.reasoning,
        row.cost_nusd,
        row.source.value,
        row.prices,
        row.queue_s,
        row.first_event_s,
        row.seconds,
        row.delivered,
    )


def request_values(row: RequestRow) -> tuple[Any, ...]:
    """Return the values of a row of `requests`, in the order of its columns."""
    used = row.usage
    return (
        row.uid,
        row.request_id,
        row.at,
        row.caller_id,
        row.account_id,
        row.dialect,
        row.model,
        row.asked_model,
        row.stream,
        row.status,
        row.code,
        row.attempts,
        used.input,
        used.cached,
        used.cache_write,
        used.output,
        used.reasoning,
        row.cost_nusd,
        row.source.value,
        row.queue_s,
        row.first_event_s,
        row.seconds,
        row.added_s,
        row.interrupted,
    )


def attempt_of(row: Row[Any]) -> AttemptRow:
    """Return the attempt of a row of `attempts`."""
    return AttemptRow(
        uid=row.uid,
        number=row.number,
        at=row.at,
        caller_id=row.caller_id,
        account_id=row.account_id,
        model=row.model,
        outcome=row.outcome,
        code=row.code,
        usage=_usage(row),
        source=Source(row.source),
        cost_nusd=row.cost_nusd,
        prices=row.prices,
        queue_s=row.queue_s,
        first_event_s=row.first_event_s,
        seconds=row.seconds,
        delivered=row.delivered,
    )


def request_of(row: Row[Any]) -> RequestRow:
    """Return the request of a row of `requests`."""
    return RequestRow(
        uid=row.uid,
        request_id=row.request_id,
        at=row.at,
        caller_id=row.caller_id,
        account_id=row.account_id,
        dialect=row.dialect,
        model=row.model,
        asked_model=row.asked_model,
        stream=row.stream,
        status=row.status,
        code=row.code,
        attempts=row.attempts,
        usage=_usage(row),
        source=Source(row.source),
        cost_nusd=row.cost_nusd,
        queue_s=row.queue_s,
        first_event_s=row.first_event_s,
        seconds=row.seconds,
        added_s=row.added_s,
        interrupted=row.interrupted,
    )


def attempt_flaw(values: Sequence[Any]) -> str | None:
    """Return what is wrong with the values of an attempt; None if nothing is."""
    return _flaw(values, _ATTEMPT_RULES)


def request_flaw(values: Sequence[Any]) -> str | None:
    """Return what is wrong with the values of a request; None if nothing is."""
    return _flaw(values, _REQUEST_RULES)


def _usage(row: Row[Any]) -> Usage:
    return Usage(row.input, row.cached, row.cache_write, row.output, row.reasoning)


_Rule = tuple[str, bool, float, float]
"""The name of a column, whether it may be null, and the bounds of its number or length."""


def _rule(column: Column[Any]) -> _Rule:
    least, most = 0.0, float(_INTEGER_MAX)
    match column.type:
        case String(length=length):
            most = length or _INTEGER_MAX
        case BigInteger():
            most = COUNT_MAX
        case Double():
            # A duration between two readings of a clock may come out a little below zero.
            least, most = -_SECONDS_MAX, _SECONDS_MAX
    return column.name, bool(column.nullable), least, most


def _rules(table: Table) -> tuple[_Rule, ...]:
    return tuple(_rule(column) for column in table.columns)


_ATTEMPT_RULES: Final = _rules(attempts)
_REQUEST_RULES: Final = _rules(requests)


def _flaw(values: Sequence[Any], rules: Sequence[_Rule]) -> str | None:
    for value, (name, nullable, least, most) in zip(values, rules, strict=True):
        if value is None:
            if not nullable:
                return f"{name} is missing"
        elif isinstance(value, str):
            if len(value) > most:
                return f"{name} has {len(value)} characters, of which {most:.0f} are allowed"
            if "\0" in value:
                return f"{name} has a NUL character"
        # Written so that a number which is none at all fails as well.
        elif not least <= value <= most:
            return f"{name} is {value}, which is out of bounds"
    return None
