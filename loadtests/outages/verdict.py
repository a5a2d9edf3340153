"""What an outage has shown, next to a gateway that had none. Pure."""

import math
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from loadtests.callers import Seen

RATIO_MAX: Final = 1.5
"""Of the slowest hundredth of calls, to that of the gateway whose server stayed."""


class Window(Struct, frozen=True):
    """A stretch of the monotonic clock."""

    since: float
    until: float

    def of(self, seen: Sequence[Seen]) -> list[Seen]:
        """Return the calls that were begun in it and have had the time to end in it."""
        return [each for each in seen if self.since <= each.at < self.until]


class Pace(Struct, frozen=True):
    """How long the calls of both gateways took, at the 99th percentile."""

    subject_s: float
    control_s: float

    @property
    def ratio(self) -> float:
        """How many times longer it took without the server."""
        return self.subject_s / self.control_s if self.control_s else math.inf


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that this share of them does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def pace(subject: Sequence[Seen], control: Sequence[Seen]) -> Pace:
    """Compare the two."""
    return Pace(*(percentile([each.seconds for each in seen], 0.99) for seen in (subject, control)))


def failures(seen: Sequence[Seen]) -> list[str]:
    """Return a sentence for each call whose caller stayed and did not hear it to its end."""
    return [
        f"{each.request_id}: status {each.status} {each.code}"
        for each in seen
        if not (each.ended or each.left)
    ]


def misjudged(statuses: Sequence[tuple[str, int]], *, away: bool) -> list[str]:
    """Return a sentence for each answer that a key must not get.

    `known` opens whatever happens; `late` was made just before the server went, so that nobody may
    know it yet; `wrong` never opens anything. While the server is `away` a key that is not known
    can't be judged.
    """
    allowed = {
        "known": {200},
        "late": {200, 503} if away else {200},
        "wrong": {503} if away else {401},
    }
    return [
        f"a {kind} key got {status}" for kind, status in statuses if status not in allowed[kind]
    ]
