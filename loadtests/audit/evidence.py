"""What a run has left behind to judge it by; what it has not gathered is None."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from loadtests.audit.books import Books, Row
from loadtests.callers import Seen

Scrape = Mapping[str, float]
"""The samples of one `/metrics`, by name and labels."""


class Sample(Struct, frozen=True):
    """What the gateway's processes took of the machine at one moment."""

    at_s: float
    """Since the run began."""
    rss_bytes: int
    files: int
    tasks: int
    upstream_connections: int
    in_flight: int
    """Calls under way at that moment."""
    cpu_s: float
    """So far, of all its processes."""
    lag_s: float
    """How late the loop's last heartbeat was."""


class Course(Struct, frozen=True):
    """How a run went over time: idle at first, under load from `warm_s` on, idle in the end."""

    before: Sample
    during: Sequence[Sample]
    after: Sample
    warm_s: float
    """From here on the memory of a worker must not grow any more."""


class Evidence(Struct, frozen=True, kw_only=True):
    """All that was gathered of one run."""

    seen: Sequence[Seen]
    """Every request, as its caller saw it."""
    ledger: Sequence[Row]
    """Every request, as the simulator saw it."""
    books: Books | None = None
    killed: bool = False
    """Whether gateways were ended by force: then callers may be cut off without a word."""
    violations: Sequence[Row] | None = None
    """What the simulator says must not happen and did."""
    state: Mapping[str, Any] | None = None
    """The simulator's gauges at the end."""
    concurrency_max: int | None = None
    """As many calls at a time may an account get."""
    attempts_max: int = 4
    scrapes: Sequence[Scrape] | None = None
    """`/metrics` from time to time; the last one after the last call."""
    course: Course | None = None
    outputs: Mapping[str, bytes] | None = None
    """Whatever the gateway has written, by a name for it."""
    secrets: Sequence[str] = ()
    """Texts that must be in none of the outputs."""
    keys: Sequence[tuple[str, int]] | None = None
    """Which keys were tried (`known`, `wrong`), and the status that each got."""
    undecipherable: Sequence[str] | None = None
    """The records in the store that don't open with its key."""
