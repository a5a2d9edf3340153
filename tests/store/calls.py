"""Attempts and requests for tests, as their worker's journal would have given them."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from app.domain.ledger import AttemptRow, RequestRow, Source
from app.domain.usage import Usage
from app.store.store import Store

DAY = 1_789_948_800
"""When a day of UTC began; another one begins 86,400 s later."""
NOON = DAY + 43_200

ATTEMPT = AttemptRow(
    uid="0000000000000001-1",
    number=1,
    at=NOON + 1.5,
    caller_id="key-a",
    account_id="account-a",
    model="gpt-5",
    outcome="succeeded",
    code=None,
    usage=Usage(input=100, cached=40, cache_write=5, output=20, reasoning=8),
    source=Source.UPSTREAM,
    cost_nusd=1_234_567,
    prices=3,
    queue_s=0.25,
    first_event_s=0.875,
    seconds=4.5,
    delivered=True,
)
REQUEST = RequestRow(
    uid="0000000000000001-1",
    request_id="req_1",
    at=NOON + 1.25,
    caller_id="key-a",
    account_id="account-a",
    dialect="responses",
    model="gpt-5",
    asked_model="fast",
    stream=True,
    status=200,
    code="ok",
    attempts=1,
    usage=ATTEMPT.usage,
    source=Source.UPSTREAM,
    cost_nusd=1_234_567,
    queue_s=0.25,
    first_event_s=1.125,
    seconds=5.0,
    added_s=0.0625,
    interrupted=False,
)


class StillClock:
    """A clock that shows what it is set to."""

    def __init__(self, now: float = NOON) -> None:
        self.time = now

    def now(self) -> float:
        """Return the time that was set."""
        return self.time

    def monotonic(self) -> float:
        """Return the same."""
        return self.time


def attempt(call: int, /, **changes: Any) -> AttemptRow:
    """Return the attempt of the call with this number."""
    return replace(ATTEMPT, uid=f"0000000000000001-{call:x}", **changes)


def request(call: int, /, **changes: Any) -> RequestRow:
    """Return the request of the call with this number."""
    own = {"uid": f"0000000000000001-{call:x}", "request_id": f"req_{call:x}"}
    return replace(REQUEST, **(own | changes))


async def take(
    store: Store, attempts: Sequence[AttemptRow] = (), requests: Sequence[RequestRow] = ()
) -> None:
    """Let the store take rows, as the next ones of a segment of their own."""
    ledger = store.ledger(StillClock())
    uid = next((row.uid for row in (*attempts, *requests)), "none")
    await ledger.take(attempts, requests, segment=f"segment-of-{uid}", offset=1)
