"""The checks of what the upstream saw."""

from typing import Any

from loadtests.audit.evidence import Evidence
from loadtests.audit.upstream import UNDER_WAY_NS, caps, isolation, refreshes, rests

SECOND = 1_000_000_000


def evidence(ledger: Any = (), **more: Any) -> Evidence:
    """Return what a run without callers has left."""
    return Evidence(seen=(), ledger=ledger, **more)


def record(began_s: float, fault: str | None = None, account: str = "acct-1") -> dict[str, Any]:
    """Return a record of a request that lasted for a moment."""
    began = int(began_s * SECOND)
    return {"id": f"at-{began_s}", "account": account, "fault": fault, "began_ns": began,
            "ended_ns": began + 1_000}  # fmt: skip


def violation(kind: str) -> dict[str, Any]:
    """Return something that must not happen."""
    return {"kind": kind, "request": "sim-1", "account": None, "detail": "why"}


def test_a_token_that_is_used_twice_is_told():
    """And exchanges at the same time, by either sign."""
    assert list(refreshes(evidence(violations=[], state={"refreshing_max": 1}))) == []
    assert list(refreshes(evidence(violations=[violation("refresh_token_reused")])))
    assert list(refreshes(evidence(violations=[], state={"refreshing_max": 2})))


def test_what_crosses_over_is_told():
    """A broken rule of the request form is another matter."""
    found = evidence(violations=[violation("cross_tenant_session"), violation("invalid_request")])
    assert len(list(isolation(found))) == 1


def test_too_many_calls_at_a_time_are_told():
    """With the account that had them."""
    state = {"accounts": {"acct-1": {"in_flight_max": 8}, "acct-2": {"in_flight_max": 9}}}
    found = list(caps(evidence(state=state, concurrency_max=8)))
    assert found == ["acct-2 had 9 calls at a time, of 8"]


def test_calls_within_a_rest_are_told():
    """One is a probe; those that were on their way, those after it and other accounts' are none."""
    limit = record(10, "429_usage_limit")
    fair = [limit, record(10.1), record(15), record(31), record(12, account="acct-2")]
    assert UNDER_WAY_NS >= SECOND // 10
    assert list(rests(evidence(fair), resets_in_s=20)) == []
    assert "got 2 calls while it rested" in next(
        rests(evidence([*fair, record(16)]), resets_in_s=20)
    )
