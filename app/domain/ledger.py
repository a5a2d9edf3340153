"""What is written down of a call, first in a worker's journal and then as rows in the database.

A call has one `uid` that is unique for ever; its attempts are numbered from 1. Points in time are
epoch seconds, durations seconds, tokens and money whole numbers: nano-dollars, so that sums are
exact. Texts that come from outside are cut where the records are made, never in here.
"""

from enum import StrEnum

from msgspec import Struct

from app.domain.usage import Usage

OK = "ok"
"""The code of a request that was answered as asked; any other one is an error."""
NANO = 1_000_000_000
"""Nano-dollars in a dollar."""


class Source(StrEnum):
    """Where an attempt's token counts come from."""

    UPSTREAM = "upstream"
    ESTIMATED = "estimated"
    NONE = "none"


class Began(Struct, frozen=True, array_like=True, tag="b"):
    """Content is about to go to the caller: what remains of a call if the process dies in it."""

    uid: str
    number: int
    at: float
    request_id: str
    caller_id: str
    account_id: str
    dialect: str
    model: str
    asked_model: str
    stream: bool


class Attempted(Struct, frozen=True, array_like=True, tag="a"):
    """An attempt is over; written before its terminal event is forwarded.

    `at` is when its account was leased. `delivered` says that content had begun to go out.
    `prices` is the version of the price table that `cost_nusd` was made with.
    """

    uid: str
    number: int
    at: float
    request_id: str
    caller_id: str
    account_id: str
    dialect: str
    model: str
    asked_model: str
    stream: bool
    outcome: str
    code: str | None
    usage: Usage
    source: Source
    cost_nusd: int
    prices: int
    queue_s: float
    first_event_s: float | None
    seconds: float
    delivered: bool


class Answered(Struct, frozen=True, array_like=True, tag="r"):
    """A request is over, as its caller saw it; `at` is when its first byte came.

    `added_s` is the part of the time to the first event that was spent in here, not upstream.
    """

    uid: str
    at: float
    request_id: str
    caller_id: str | None
    dialect: str
    model: str | None
    asked_model: str | None
    stream: bool
    status: int
    code: str
    attempts: int
    queue_s: float
    first_event_s: float | None
    seconds: float
    added_s: float | None


Record = Began | Attempted | Answered


class AttemptRow(Struct, frozen=True):
    """One attempt as the database keeps it; `outcome` is `interrupted` if its worker died in it."""

    uid: str
    number: int
    at: float
    caller_id: str
    account_id: str
    model: str
    outcome: str
    code: str | None
    usage: Usage
    source: Source
    cost_nusd: int
    prices: int
    queue_s: float
    first_event_s: float | None
    seconds: float
    delivered: bool


class RequestRow(Struct, frozen=True):
    """One request with the sums over its attempts.

    `interrupted` says that its worker died before it was answered, or in the moment after, so that
    what the caller saw of it is not known for certain.
    """

    uid: str
    request_id: str
    at: float
    caller_id: str | None
    account_id: str | None
    dialect: str
    model: str | None
    asked_model: str | None
    stream: bool
    status: int
    code: str
    attempts: int
    usage: Usage
    source: Source
    cost_nusd: int
    queue_s: float
    first_event_s: float | None
    seconds: float
    added_s: float | None
    interrupted: bool
