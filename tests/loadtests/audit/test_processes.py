"""The checks of figures and processes."""

from typing import Any

import pytest
from msgspec import structs

from loadtests.audit.evidence import Course, Evidence, Sample
from loadtests.audit.processes import (
    MIB,
    idle,
    keys,
    lag,
    left_behind,
    memory,
    secrets,
    slope_mib,
    totals,
)

AT_REST = Sample(
    at_s=0.0, rss_bytes=100 * MIB, files=20, tasks=12, upstream_connections=0, in_flight=0,
    cpu_s=0.0, lag_s=0.001,
)  # fmt: skip


def samples(slope_mib_s: float = 0.0, *, count: int = 200) -> list[Sample]:
    """Return a sample every ten seconds, with memory that grows."""
    return [
        structs.replace(AT_REST, at_s=10.0 * n, rss_bytes=int((100 + slope_mib_s * 10 * n) * MIB))
        for n in range(count)
    ]


def course(during: Any, after: Sample = AT_REST) -> Evidence:
    """Return what a run of that course has left."""
    return Evidence(seen=(), ledger=(), course=Course(AT_REST, during, after, warm_s=600.0))


@pytest.mark.parametrize("growth", [0.0, 1 / 600, -1.0, 0.9 / 600])
def test_memory_that_is_flat_is_no_fault(growth):
    """Up to a MiB in ten minutes."""
    assert list(memory(course(samples(growth * 0.999)))) == []


def test_memory_that_grows_is_told():
    """In MiB of ten minutes; what came before the run was warm does not count."""
    grown = samples(2 / 600)
    assert "grew by 2.00 MiB" in next(memory(course(grown)))
    early = [structs.replace(each, rss_bytes=each.rss_bytes if each.at_s < 600 else 100 * MIB)
             for each in grown]  # fmt: skip
    assert list(memory(course(early))) == []


def test_too_much_memory_is_told():
    """Also if it is given back."""
    peak = structs.replace(AT_REST, rss_bytes=2_049 * MIB)
    assert "came to 2049 MiB" in next(memory(course([AT_REST, peak, AT_REST])))


def test_a_short_run_has_no_slope():
    """Minutes say nothing of hours."""
    assert slope_mib(samples(count=40)) is None
    assert slope_mib(samples(1 / 600)) == pytest.approx(1.0, rel=0.01)


def test_what_is_left_behind_is_told():
    """Connections that are kept for the next call are not."""
    kept = structs.replace(AT_REST, files=37, upstream_connections=5)
    assert list(left_behind(course([AT_REST], kept))) == []
    left = structs.replace(AT_REST, files=33, tasks=15)
    assert len(list(left_behind(course([AT_REST], left)))) == 2


def test_a_late_loop_is_told():
    """The latest of all, and the hundredth part of many."""
    late = structs.replace(AT_REST, lag_s=0.3)
    assert "0.300 s late" in next(lag(course([AT_REST, late])))
    some = [structs.replace(AT_REST, lag_s=0.05 if n % 50 == 0 else 0.001) for n in range(200)]
    assert "hundredth" in next(lag(course(some)))
    assert list(lag(course([AT_REST] * 200))) == []


def test_what_is_still_under_way_is_told():
    """In the gateway, and upstream."""
    quiet = {"codex2api_leases": 0.0}
    busy = {'codex2api_streams_in_flight{transport="sse"}': 1.0}
    run = Evidence(seen=(), ledger=(), scrapes=[busy, quiet], state={"in_flight": 0})
    assert list(idle(run)) == []
    assert len(list(idle(structs.replace(run, scrapes=[quiet, busy], state={"in_flight": 1})))) == 2


def test_a_total_that_falls_is_told():
    """A gauge may, and one that is gone has fallen."""
    before = {'codex2api_requests_total{code="ok"}': 5.0, "codex2api_leases": 3.0}
    after = {'codex2api_requests_total{code="ok"}': 4.0, "codex2api_leases": 0.0}
    run = Evidence(seen=(), ledger=(), scrapes=[before, after])
    assert len(list(totals(run))) == 1
    assert len(list(totals(structs.replace(run, scrapes=[before, {}])))) == 1
    assert list(totals(structs.replace(run, scrapes=[after, before]))) == []


def test_a_secret_in_an_output_is_told_without_saying_it():
    """Or the report would have it as well."""
    outputs = {"the log": b"token=canary", "the metrics": b"nothing"}
    run = Evidence(seen=(), ledger=(), outputs=outputs, secrets=["canary", "other"])
    assert list(secrets(run)) == ["1 secrets stand in the log"]


def test_a_key_that_is_misjudged_is_told():
    """A wrong one may be told that nobody can say."""
    fair = [("known", 200), ("known", 503), ("wrong", 401), ("wrong", 503)]
    assert list(keys(Evidence(seen=(), ledger=(), keys=fair))) == []
    run = Evidence(seen=(), ledger=(), keys=[("known", 401), ("wrong", 200)])
    assert len(list(keys(run))) == 2
