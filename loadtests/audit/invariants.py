"""The twenty invariants: each with the check that reads it off a run, and the tests that hold it.

`examine` is the one checker that crashes, outages and soak end with. What a run has gathered no
evidence of is not judged: the report says so, and which tests hold it instead.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from msgspec import Struct

from loadtests.audit import calls, processes, upstream
from loadtests.audit.evidence import Evidence

RESETS_IN_S: Final = 20.0
"""What the faults of our runs say when an account that is used up has its next window."""
FAULTS_SHOWN: Final = 5
"""Of each invariant: a flood of one must not hide the others."""
Check = Callable[[Evidence], Iterator[str]]


class Invariant(Struct, frozen=True):
    """One of them. Without `checks` no record of a run tells it: then tests alone hold it."""

    id: str
    says: str
    checks: Sequence[Check] = ()
    needs: Sequence[str] = ()
    """Fields of the evidence; with one of them missing it is not judged."""
    tests: Sequence[str] = ()


class Finding(Struct, frozen=True):
    """What came of one invariant."""

    invariant: Invariant
    judged: bool
    faults: Sequence[str]


class Report(Struct, frozen=True):
    """What came of all."""

    findings: Sequence[Finding]
    whole: int
    """Calls that were heard to their end."""
    broken: int
    """Calls that broke off after content."""

    @property
    def faults(self) -> list[str]:
        """Everything that does not agree, with the number of what it breaks."""
        return [f"{each.invariant.id}: {said}" for each in self.findings for said in each.faults]

    @property
    def shown(self) -> list[str]:
        """The first of them of each invariant, for people to read."""
        return [
            f"{each.invariant.id}: {said}"
            for each in self.findings
            for said in each.faults[:FAULTS_SHOWN]
        ]

    def lines(self) -> Iterator[str]:
        """Yield a line for each invariant."""
        for each in self.findings:
            if each.faults:
                verdict = f"BROKEN, {len(each.faults)} times"
            elif each.judged:
                verdict = "holds"
            else:
                verdict = f"not read off this run; {', '.join(each.invariant.tests)}"
            yield f"{each.invariant.id:>3}  {each.invariant.says:<64} {verdict}"


def examine(evidence: Evidence) -> Report:
    """Hold a run against all invariants."""
    return Report(
        [_finding(each, evidence) for each in INVARIANTS],
        whole=sum(each.ended for each in evidence.seen),
        broken=sum(each.content and not each.ended for each in evidence.seen),
    )


def _finding(invariant: Invariant, evidence: Evidence) -> Finding:
    judged = bool(invariant.checks) and all(
        getattr(evidence, field) is not None for field in invariant.needs
    )
    checks = invariant.checks if judged else ()
    return Finding(invariant, judged, [said for check in checks for said in check(evidence)])


def _undecipherable(evidence: Evidence) -> Iterator[str]:
    """I17: every ciphertext opens."""
    for each in evidence.undecipherable or ():
        yield f"{each} does not open"


INVARIANTS: Final = (
    Invariant(
        "I1",
        "each accepted call has exactly one end",
        [calls.one_end],
        tests=["tests/relay/test_reply.py", "tests/e2e/test_failover.py"],
    ),
    Invariant(
        "I2",
        "pieces come in order, none twice, none after the end",
        [calls.in_order],
        tests=["tests/e2e/test_pass_through.py"],
    ),
    Invariant(
        "I3",
        "a caller hears its own words only",
        [calls.own_words, upstream.isolation],
        ["violations"],
        ["tests/loadtests/test_isolation.py", "tests/upstream/sockets/test_pool_machine.py"],
    ),
    Invariant(
        "I4",
        "the books are the simulator's ledger, nothing twice",
        [calls.booked],
        ["books"],
        ["tests/loadtests/test_crashes.py", "tests/e2e/test_accounting.py"],
    ),
    Invariant(
        "I5",
        "a refresh token is used once, by one exchange at a time",
        [upstream.refreshes],
        ["violations", "state"],
        ["tests/simulation/test_refresh_crashes.py", "tests/e2e/test_credentials.py"],
    ),
    Invariant(
        "I6",
        "nothing is under way after the last call",
        [processes.idle],
        ["scrapes", "state"],
        ["tests/pool/test_pool_machine.py"],
    ),
    Invariant(
        "I7",
        "no account has more calls at a time than allowed",
        [upstream.caps],
        ["state", "concurrency_max"],
        ["tests/loadtests/test_shares.py", "tests/pool/test_pool_machine.py"],
    ),
    Invariant(
        "I8",
        "no attempt after content, and no storm of attempts",
        [calls.no_second_try],
        tests=["tests/relay/test_relay.py", "tests/relay/test_budget.py"],
    ),
    Invariant(
        "I9",
        "an account at its limit rests until the reset",
        [partial(upstream.rests, resets_in_s=RESETS_IN_S)],
        tests=["tests/pool/test_health.py", "tests/simulation/test_pool_day.py"],
    ),
    Invariant(
        "I10",
        "memory is bounded, and flat once warm",
        [processes.memory],
        ["course"],
        ["tests/edge/test_streaming.py", "tests/edge/test_inflight.py"],
    ),
    Invariant(
        "I11",
        "descriptors, tasks and connections go back to what they were",
        [processes.left_behind],
        ["course"],
        ["tests/loadtests/test_churn.py"],
    ),
    Invariant(
        "I12",
        "the event loop is on time",
        [processes.lag],
        ["course"],
        ["tests/telemetry/test_heartbeat.py", "tests/telemetry/test_watchdog.py"],
    ),
    Invariant(
        "I13",
        "no output has a secret in it",
        [processes.secrets],
        ["outputs"],
        ["tests/e2e/test_secrecy.py"],
    ),
    Invariant("I14", "a rolling restart cuts nothing", tests=["tests/e2e/test_drain.py"]),
    Invariant(
        "I15",
        "a key is judged honestly, also while the store is away",
        [processes.keys],
        ["keys"],
        ["tests/store/test_keys.py", "tests/loadtests/outages/test_verdict.py"],
    ),
    Invariant(
        "I16",
        "a caller's key reaches nothing of the admin's or of others",
        tests=["tests/edge/admin/test_application.py", "tests/edge/admin/test_gate.py"],
    ),
    Invariant(
        "I17",
        "every sealed record opens, and only in its own place",
        [_undecipherable],
        ["undecipherable"],
        ["tests/store/test_vault.py", "tests/store/test_rotation.py"],
    ),
    Invariant(
        "I18",
        "after kill -9 there is what there was before",
        tests=["tests/loadtests/test_crashes.py", "tests/usage/test_mover.py"],
    ),
    Invariant(
        "I19",
        "Redis is disposable: after FLUSHALL the sums come back",
        tests=["tests/e2e/test_shared.py", "tests/shared/test_sync.py"],
    ),
    Invariant(
        "I20",
        "what counts up never goes down",
        [processes.totals],
        ["scrapes"],
        ["tests/telemetry/test_folder.py", "tests/e2e/test_workers.py"],
    ),
)
