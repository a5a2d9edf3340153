"""What a handshake that was refused means: for the account, or only for the way. Pure.

A refusal with a reason of the upstream's own is what HTTP would have answered as well, and is
handed on to be judged as such. Everything else (a page, an empty reply, a throttle for handshakes,
"upgrade required") says something about sockets only: the call goes by HTTP on the same account,
which will tell if there is more to it.
"""

from enum import Enum
from typing import Final

from app.dialects.responses.events import failure_of
from app.upstream.sockets.frames import Headers
from app.wire.quota import quota, retry_after_s


class Refused(Enum):
    """What to do after a refused handshake."""

    ANSWER = "answer"
    """It is the answer to the call."""
    NO_SOCKETS = "no_sockets"
    THROTTLED = "throttled"
    FAILED = "failed"


_OF_THE_ACCOUNT: Final = frozenset({401, 402})
_OF_BOTH: Final = frozenset({403, 500, 502, 503, 504, 529})
"""Whoever stands before the upstream uses them as well, so only one that gives a reason counts."""


def judge(status: int, headers: Headers, body: bytes, *, now: float) -> Refused:
    """Return what a reply other than 101 means."""
    if status == 426:
        return Refused.NO_SOCKETS
    said = failure_of(body)
    if status == 429:
        view = quota(headers, now=now)
        limited = view.reached_type is not None or any(w.used_ratio >= 1.0 for w in view.windows)
        of_account = limited or (said.code or said.type) == "usage_limit_reached"
        return Refused.ANSWER if of_account else Refused.THROTTLED
    page = body.lstrip()[:1] == b"<"
    named = said.code is not None or said.type is not None
    answers = not page if status in _OF_THE_ACCOUNT else named and status in _OF_BOTH
    return Refused.ANSWER if answers else Refused.FAILED


def pause_s(headers: Headers, *, now: float) -> float | None:
    """Return how long the upstream wants no more handshakes, None if it does not say."""
    return retry_after_s(headers, now=now)
