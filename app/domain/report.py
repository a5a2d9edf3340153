"""What is asked about calls that are over, and the answers: values between a store and a reader.

Sums are of hours and days of UTC. Nothing in here reads anything.
"""

from enum import Enum
from typing import Final

from msgspec import Struct

from app.domain.ledger import AttemptRow, RequestRow
from app.domain.usage import Usage

HOUR_S: Final = 3_600
DAY_S: Final = 86_400


class Dimension(Enum):
    """What calls can be told apart by: the name of the column."""

    CALLER = "caller_id"
    ACCOUNT = "account_id"
    MODEL = "model"


class Step(Enum):
    """How fine a window is: its seconds, and how many of them it may have."""

    HOUR = (HOUR_S, 48)
    DAY = (DAY_S, 92)

    def __init__(self, seconds: int, most: int) -> None:
        self.seconds = seconds
        self.most = most


class Window(Struct, frozen=True):
    """The present hour or day and those before it, `count` in all.

    A count beyond the step's `most` is cut to it.
    """

    step: Step
    count: int

    def starts(self, now: float) -> range:
        """Return when each of the hours or days began."""
        seconds = self.step.seconds
        last = int(now) // seconds * seconds
        count = max(1, min(self.count, self.step.most))
        return range(last - (count - 1) * seconds, last + 1, seconds)


class Only(Struct, frozen=True):
    """What is asked about; None means all of them."""

    caller_id: str | None = None
    account_id: str | None = None
    model: str | None = None

    def chosen(self) -> dict[Dimension, str]:
        """Return what the answer is narrowed to."""
        found = {dimension: getattr(self, dimension.value) for dimension in Dimension}
        return {dimension: name for dimension, name in found.items() if name is not None}


EVERYTHING: Final = Only()


class Totals(Struct, frozen=True):
    """Sums; `seconds` over all requests, `first_event_s` over the `first_events` that have one."""

    requests: int = 0
    errors: int = 0
    attempts: int = 0
    usage: Usage = Usage()
    cost_nusd: int = 0
    seconds: float = 0.0
    first_events: int = 0
    first_event_s: float = 0.0


class Point(Struct, frozen=True):
    """The sums of one hour or day."""

    start: int
    totals: Totals


class Line(Struct, frozen=True):
    """The sums of one model, account or caller; `id` is empty where a request had none."""

    id: str
    totals: Totals


class Overview(Struct, frozen=True):
    """The present hour, the present day, and the last 24 hours, 7 days and 30 days."""

    hour: Totals
    today: Totals
    day: Totals
    week: Totals
    month: Totals


class Code(Struct, frozen=True):
    """How many requests ended with an error's code."""

    code: str
    requests: int


class Latency(Struct, frozen=True):
    """How long the first events took: percentiles are as exact as the buckets, None without any."""

    count: int
    mean_s: float | None
    p50_s: float | None
    p90_s: float | None
    p99_s: float | None


class Spent(Struct, frozen=True):
    """What a caller's calls have cost in the present day and month of UTC."""

    day_nusd: int
    month_nusd: int


class Wanted(Struct, frozen=True):
    """Which requests are asked for; None means any.

    `status_class` is the first digit of the status, 0 for requests that were interrupted. `since`
    and `until` are epoch seconds, the latter not included.
    """

    caller_id: str | None = None
    account_id: str | None = None
    model: str | None = None
    status_class: int | None = None
    code: str | None = None
    request_id: str | None = None
    since: float | None = None
    until: float | None = None


class Place(Struct, frozen=True):
    """A request's place in the list."""

    at: float
    uid: str


class Page(Struct, frozen=True):
    """Some requests, and where the next page begins; None at the end of the list."""

    requests: list[RequestRow]
    next: Place | None


class Detail(Struct, frozen=True):
    """One request and its attempts, in their order."""

    request: RequestRow
    attempts: list[AttemptRow]
