"""Puts together what the journal says of one call: when it began, its attempts, its answer. Pure.

Records of a call come in the order in which they were written, but between those of other calls,
and the last of them may be missing for ever if the worker died. Until a call is answered the
journal must keep the segment in which it began; `oldest` says which one that is.
"""

from collections.abc import Iterator
from typing import assert_never

from msgspec import Struct, field

from app.domain.ledger import OK, Answered, Attempted, AttemptRow, Began, Record, RequestRow, Source
from app.domain.usage import Usage

INTERRUPTED = "interrupted"

Row = AttemptRow | RequestRow


class _Open(Struct):
    """A call that has not been answered yet."""

    segment: int
    attempts: list[Attempted] = field(default_factory=list)
    began: Began | None = None
    """Its attempt that is under way, if content of it has begun to go out."""


class Pairing:
    """The calls of one worker's journal that are under way, in the order in which they began."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def __len__(self) -> int:
        return len(self._open)

    @property
    def oldest(self) -> int | None:
        """The number of the first segment that is still needed; None if none is."""
        return next(iter(self._open.values())).segment if self._open else None

    def feed(self, record: Record, *, segment: int) -> list[Row]:
        """Take the next record and return the rows that are complete with it."""
        match record:
            case Began():
                self._known(record.uid, segment).began = record
                return []
            case Attempted():
                known = self._known(record.uid, segment)
                known.attempts.append(record)
                known.began = None
                return [_attempt_row(record)]
            case Answered():
                answered = self._open.pop(record.uid, None)
                return [_request_row(record, answered.attempts if answered else [])]
            case _:
                assert_never(record)

    def leftovers(self) -> Iterator[Row]:
        """Give the rows of the calls that nobody will answer any more, and forget them.

        Only for the journal of a worker that is gone.
        """
        while self._open:
            known = self._open.pop(next(iter(self._open)))
            attempts = known.attempts
            if known.began is not None:
                yield _cut(known.began)
                yield _unanswered(known.began, attempts)
            else:
                yield _unanswered(attempts[-1], attempts)

    def _known(self, uid: str, segment: int) -> _Open:
        known = self._open.get(uid)
        if known is None:
            known = self._open[uid] = _Open(segment)
        return known


def _attempt_row(said: Attempted) -> AttemptRow:
    return AttemptRow(
        uid=said.uid,
        number=said.number,
        at=said.at,
        caller_id=said.caller_id,
        account_id=said.account_id,
        model=said.model,
        outcome=said.outcome,
        code=said.code,
        usage=said.usage,
        source=said.source,
        cost_nusd=said.cost_nusd,
        prices=said.prices,
        queue_s=said.queue_s,
        first_event_s=said.first_event_s,
        seconds=said.seconds,
        delivered=said.delivered,
    )


def _cut(began: Began) -> AttemptRow:
    """Return the row of an attempt whose end nobody wrote down."""
    return AttemptRow(
        uid=began.uid,
        number=began.number,
        at=began.at,
        caller_id=began.caller_id,
        account_id=began.account_id,
        model=began.model,
        outcome=INTERRUPTED,
        code=INTERRUPTED,
        usage=Usage(),
        source=Source.NONE,
        cost_nusd=0,
        prices=0,
        queue_s=0.0,
        first_event_s=None,
        seconds=0.0,
        delivered=True,
    )


def _request_row(said: Answered, attempts: list[Attempted]) -> RequestRow:
    last = attempts[-1] if attempts else None
    return RequestRow(
        uid=said.uid,
        request_id=said.request_id,
        at=said.at,
        caller_id=said.caller_id,
        account_id=last.account_id if last else None,
        dialect=said.dialect,
        model=said.model,
        asked_model=said.asked_model,
        stream=said.stream,
        status=said.status,
        code=said.code,
        attempts=said.attempts,
        usage=_sum(attempts),
        source=_source(attempts),
        cost_nusd=sum(each.cost_nusd for each in attempts),
        queue_s=said.queue_s,
        first_event_s=said.first_event_s,
        seconds=said.seconds,
        added_s=said.added_s,
        interrupted=False,
    )


def _unanswered(last: Began | Attempted, attempts: list[Attempted]) -> RequestRow:
    """Return the row of a call whose worker died before it was answered.

    Whether an attempt's terminal event went out after it was written down is known to nobody, so
    the row of one that succeeded says so, and is flagged all the same.
    """
    whole = isinstance(last, Attempted) and last.outcome == "succeeded"
    return RequestRow(
        uid=last.uid,
        request_id=last.request_id,
        at=attempts[0].at if attempts else last.at,
        caller_id=last.caller_id,
        account_id=last.account_id,
        dialect=last.dialect,
        model=last.model,
        asked_model=last.asked_model,
        stream=last.stream,
        status=200 if whole else 0,
        code=OK if whole else INTERRUPTED,
        attempts=len(attempts) + isinstance(last, Began),
        usage=_sum(attempts),
        source=_source(attempts) if whole else Source.NONE,
        cost_nusd=sum(each.cost_nusd for each in attempts),
        queue_s=attempts[0].queue_s if attempts else 0.0,
        first_event_s=last.first_event_s if isinstance(last, Attempted) else None,
        seconds=sum(each.seconds for each in attempts),
        added_s=None,
        interrupted=True,
    )


def _sum(attempts: list[Attempted]) -> Usage:
    used = [each.usage for each in attempts]
    return Usage(
        input=sum(each.input for each in used),
        cached=sum(each.cached for each in used),
        cache_write=sum(each.cache_write for each in used),
        output=sum(each.output for each in used),
        reasoning=sum(each.reasoning for each in used),
    )


def _source(attempts: list[Attempted]) -> Source:
    """Return the least certain source among the attempts that have figures at all."""
    found = {each.source for each in attempts} - {Source.NONE}
    if Source.ESTIMATED in found:
        return Source.ESTIMATED
    return Source.UPSTREAM if found else Source.NONE
