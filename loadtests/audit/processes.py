"""What the gateway's own figures and its processes say of a run, held against the bounds. Pure."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from loadtests.audit.evidence import Evidence, Sample

MIB: Final = 1 << 20
SLOPE_MAX_MIB: Final = 1.0
"""Growth of resident memory in ten minutes, after the warm-up."""
SLOPE_OVER_S: Final = 600.0
SLOPE_FROM_S: Final = 480.0
"""A shorter run has no slope: what the allocator does in a minute would be taken for one."""
RSS_MAX_MIB: Final = 2_048.0
SLACK: Final = {"files": 12, "tasks": 2}
"""What may be left of more than there was before. Connections to SQLite that were opened under load
are kept, and have three descriptors each; a leak has one for each call that went wrong."""
LAG_P99_S: Final = 0.020
LAG_MAX_S: Final = 0.250
IDLE: Final = (
    "codex2api_leases",
    "codex2api_queue_depth",
    "codex2api_late_requests",
    'codex2api_streams_in_flight{transport="sse"}',
    'codex2api_streams_in_flight{transport="websocket"}',
)
_GROWS: Final = re.compile(r"^codex2api_\w+_(total|count|sum|bucket)(\{|$)")


def idle(evidence: Evidence) -> Iterator[str]:
    """I6: nothing is under way once the last call is over."""
    scrapes = evidence.scrapes or ()
    for gauge in IDLE:
        if scrapes and scrapes[-1].get(gauge, 0.0):
            yield f"{gauge} is {scrapes[-1][gauge]:.0f} in the end"
    under_way = (evidence.state or {}).get("in_flight", 0)
    if under_way:
        yield f"{under_way} requests are under way upstream in the end"


def memory(evidence: Evidence) -> Iterator[str]:
    """I10: a worker that is warm grows no more."""
    if evidence.course is None:
        return
    most = max(each.rss_bytes for each in evidence.course.during) / MIB
    if most > RSS_MAX_MIB:
        yield f"resident memory came to {most:.0f} MiB"
    slope = slope_mib(warm(evidence.course.during, evidence.course.warm_s))
    if slope is not None and slope > SLOPE_MAX_MIB:
        yield f"resident memory grew by {slope:.2f} MiB in ten minutes"


def left_behind(evidence: Evidence) -> Iterator[str]:
    """I11: descriptors, tasks and connections are as many as before."""
    course = evidence.course
    if course is None:
        return
    for what in ("files", "tasks"):
        before, after = getattr(course.before, what), getattr(course.after, what)
        # Connections that are kept for the next call are descriptors as well.
        kept = course.after.upstream_connections if what == "files" else 0
        if after > before + kept + SLACK[what]:
            yield f"{after} {what} in the end, {before} before, {kept} of them connections kept"


def lag(evidence: Evidence) -> Iterator[str]:
    """I12: the loop is on time."""
    if evidence.course is None:
        return
    lags = sorted(each.lag_s for each in evidence.course.during)
    if lags and lags[-1] > LAG_MAX_S:
        yield f"the loop was {lags[-1]:.3f} s late"
    if len(lags) >= 100 and lags[int(0.99 * len(lags))] > LAG_P99_S:
        yield f"the loop was {lags[int(0.99 * len(lags))]:.3f} s late in a hundredth of samples"


def secrets(evidence: Evidence) -> Iterator[str]:
    """I13: no output has a secret in it."""
    for name, output in (evidence.outputs or {}).items():
        found = sum(secret.encode() in output for secret in evidence.secrets)
        if found:
            yield f"{found} secrets stand in {name}"


def keys(evidence: Evidence) -> Iterator[str]:
    """I15: a good key opens, a wrong one never does; an outage is called one."""
    for kind, status in evidence.keys or ():
        if kind == "wrong" and status not in {401, 503}:
            yield f"a wrong key got {status}"
        elif kind == "known" and status == 401:
            yield "a good key got 401"


def totals(evidence: Evidence) -> Iterator[str]:
    """I20: what counts up never goes down."""
    for before, after in pairwise(evidence.scrapes or ()):
        for name, value in before.items():
            if _GROWS.match(name) and after.get(name, 0.0) < value:
                yield f"{name} fell from {value} to {after.get(name, 0.0)}"


def warm(samples: Sequence[Sample], since_s: float) -> list[Sample]:
    """Return the samples after the warm-up."""
    return [each for each in samples if each.at_s >= since_s]


def slope_mib(samples: Sequence[Sample]) -> float | None:
    """Return how much memory grows in ten minutes, by least squares; None of too short a time."""
    if len(samples) < 2 or samples[-1].at_s - samples[0].at_s < SLOPE_FROM_S:
        return None
    count = len(samples)
    mean_at = sum(each.at_s for each in samples) / count
    mean_rss = sum(each.rss_bytes for each in samples) / count
    spread = sum((each.at_s - mean_at) ** 2 for each in samples)
    along = sum((each.at_s - mean_at) * (each.rss_bytes - mean_rss) for each in samples)
    return along / spread * SLOPE_OVER_S / MIB
