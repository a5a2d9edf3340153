"""Records of calls for tests: the plainest ones, with what a test changes."""

from typing import Any

from app.domain.ledger import Answered, Attempted, Began, Source
from app.domain.usage import Usage

_CALL: dict[str, Any] = {
    "request_id": "req-1",
    "caller_id": "key-1",
    "account_id": "a",
    "dialect": "chat",
    "model": "m1",
    "asked_model": "m",
    "stream": True,
}


def began(uid: str = "u1", number: int = 1, **changes: Any) -> Began:
    """Return the record of a stream that is about to begin."""
    return Began(**({"uid": uid, "number": number, "at": 10.0} | _CALL | changes))


def attempted(uid: str = "u1", number: int = 1, **changes: Any) -> Attempted:
    """Return the record of an attempt that succeeded."""
    fields: dict[str, Any] = {
        "uid": uid,
        "number": number,
        "at": 10.0,
        "outcome": "succeeded",
        "code": None,
        "usage": Usage(input=100, cached=50, output=20, reasoning=5),
        "source": Source.UPSTREAM,
        "cost_nusd": 1_000,
        "prices": 1,
        "queue_s": 0.5,
        "first_event_s": 0.25,
        "seconds": 2.0,
        "delivered": True,
    }
    return Attempted(**(_CALL | fields | changes))


def answered(uid: str = "u1", **changes: Any) -> Answered:
    """Return the record of a request that was answered well."""
    fields: dict[str, Any] = {
        "uid": uid,
        "at": 9.0,
        "request_id": "req-1",
        "caller_id": "key-1",
        "dialect": "chat",
        "model": "m1",
        "asked_model": "m",
        "stream": True,
        "status": 200,
        "code": "ok",
        "attempts": 1,
        "queue_s": 0.5,
        "first_event_s": 0.25,
        "seconds": 2.5,
        "added_s": 0.01,
    }
    return Answered(**(fields | changes))
