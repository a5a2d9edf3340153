"""How a Responses request goes on from earlier ones, and how a later one can go on from it.

A caller's history is looked into only where the request refers to it; what it refers to and is not
known there ends the request with 409, since an answer that has silently lost what was said before
is worse than none. What can be gone on from later is collected only if the caller has not said
`store: false`.
"""

from functools import partial
from typing import Final

from msgspec import Raw, Struct

from app.dialects.responses.continuing import (
    conversation,
    references,
    refers,
    resolved,
    said_in,
    whole,
)
from app.dialects.responses.replies import Note
from app.dialects.responses.schema import items_of
from app.domain.caller import KeyId
from app.domain.conversation import Conversation
from app.errors import ContextUnavailable, InvalidRequest
from app.ports import History
from app.wire.peek import Peek
from app.wire.violations import missing_field

REFERENCES_MAX: Final = 1_000
"""Items that one request may refer to; conversations get compacted long before that."""

_UNKNOWN: Final = (
    "'previous_response_id' can't be honoured: that response is not known here (it was not stored, "
    "its time is over, it was too long to keep, or another key made it). Send the whole "
    "conversation in 'input'."
)
_UNKNOWN_ITEM: Final = (
    "The input refers to an item of an earlier response that is not known here: send the items "
    "themselves in 'input'."
)


class Turn(Struct, frozen=True):
    """What was said in a request, until it is answered."""

    history: History
    caller_id: KeyId
    said: bytes
    past: Conversation | None
    stored: bool

    def note(self, session: str | None) -> Note:
        """Return what is to be told of the response; `session` is the request's."""
        return partial(self._record, session)

    def _record(self, session: str | None, response_id: str, output: list[bytes]) -> None:
        kept = conversation(
            response_id,
            self.said,
            output,
            previous=self.past,
            stored=self.stored,
            session=session,
        )
        self.history.record(self.caller_id, kept)


class Retold(Struct, frozen=True):
    """A request with all that it refers to written out.

    `new` says how many of its items are its own, None if it goes on from no response.
    """

    body: bytes
    seen: Peek
    turn: Turn | None = None
    """What a later request may go on from once this one is answered; None if none may."""
    new: int | None = None
    past: Conversation | None = None


async def retold(body: bytes, seen: Peek, *, caller_id: KeyId, history: History) -> Retold:
    """Return the request as it is when it says everything itself.

    Raises:
        ContextUnavailable: It refers to what is not known here.
        InvalidRequest: It refers to too much.
    """
    given = seen.fields.get("input")
    previous = seen.previous_response_id
    if previous is None and not refers(body):
        return Retold(body, seen, _turn(given, seen, None, caller_id, history))
    if given is None:
        raise missing_field("input")
    items = items_of(given)  # where they stand in the caller's request, not in the whole
    said = await _resolved(given, caller_id, history)
    past = await _past(previous, caller_id, history)
    turn = _turn(said, seen, past, caller_id, history)
    body, seen = whole(seen, past, said)
    new = 1 if isinstance(items, str) else len(items)
    return Retold(body, seen, turn, new if past else None, past)


async def _past(response_id: str | None, caller_id: KeyId, history: History) -> Conversation | None:
    if response_id is None:
        return None
    past = await history.recall(caller_id, response_id)
    if past is None:
        raise ContextUnavailable(_UNKNOWN, param="previous_response_id")
    return past


async def _resolved(given: Raw, caller_id: KeyId, history: History) -> Raw:
    """Return the input with what it refers to written out."""
    ids = references(given)
    if len(ids) > REFERENCES_MAX:
        raise InvalidRequest(
            f"Invalid value for 'input': expected at most {REFERENCES_MAX} references.",
            param="input",
        )
    found: dict[str, bytes] = {}
    for name in ids:
        item = await history.item(caller_id, name)
        if item is None:
            raise ContextUnavailable(_UNKNOWN_ITEM, param="input")
        found[name] = item
    return resolved(given, found) if found else given


def _turn(
    said: Raw | None,
    seen: Peek,
    past: Conversation | None,
    caller_id: KeyId,
    history: History,
) -> Turn | None:
    """Return what was said, if it may be kept and is not too long already."""
    stored = seen.store is not False
    if said is None or not (stored or history.everything):
        return None
    if memoryview(said).nbytes + (past.size if past else 0) > history.conversation_bytes_max:
        return None
    return Turn(history, caller_id, said_in(said), past, stored)
