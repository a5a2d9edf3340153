"""What the upstream has seen of a run, held against the rules for accounts. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from loadtests.audit.books import Row
from loadtests.audit.evidence import Evidence

OF_REFRESHING: Final = {"refresh_token_reused", "concurrent_refresh"}
OF_ISOLATION: Final = {
    "cross_tenant_session",
    "foreign_turn_state",
    "foreign_encrypted_content",
    "account_id_mismatch",
    "two_turns_on_a_socket",
}
UNDER_WAY_NS: Final = 500_000_000
"""What was sent before the refusal was read."""
PROBES: Final = 1
REFUSALS: Final = {"429_usage_limit": 1.0}
"""Faults after which the account rests until the reset that its reply names."""


def refreshes(evidence: Evidence) -> Iterator[str]:
    """I5: a refresh token is used once, and by one exchange at a time."""
    yield from _violations(evidence, OF_REFRESHING)
    most = (evidence.state or {}).get("refreshing_max", 0)
    if most > 1:
        yield f"{most} exchanges were under way at a time"


def isolation(evidence: Evidence) -> Iterator[str]:
    """I3: sessions, turn states and sealed items stay with who has them."""
    yield from _violations(evidence, OF_ISOLATION)


def caps(evidence: Evidence) -> Iterator[str]:
    """I7: an account gets as many calls at a time as are allowed, and no more."""
    most = evidence.concurrency_max
    accounts = (evidence.state or {}).get("accounts", {})
    for account, figures in accounts.items():
        if most is not None and figures["in_flight_max"] > most:
            yield f"{account} had {figures['in_flight_max']} calls at a time, of {most}"


def rests(evidence: Evidence, *, resets_in_s: float) -> Iterator[str]:
    """I9: an account that is used up gets nothing before its reset but one probe."""
    by_account: defaultdict[str, list[Row]] = defaultdict(list)
    for record in evidence.ledger:
        if record["account"]:
            by_account[record["account"]].append(record)
    for account, records in by_account.items():
        yield from _rests(account, sorted(records, key=lambda each: each["began_ns"]), resets_in_s)


def _rests(account: str, records: Sequence[Row], resets_in_s: float) -> Iterator[str]:
    rest_ns = int(resets_in_s * 1e9)
    for number, record in enumerate(records):
        if record["fault"] not in REFUSALS:
            continue
        since, until = record["ended_ns"] + UNDER_WAY_NS, record["ended_ns"] + rest_ns
        early = [each for each in records[number + 1 :] if since < each["began_ns"] < until]
        if len(early) > PROBES:
            yield f"{account} got {len(early)} calls while it rested, after {record['id']}"


def _violations(evidence: Evidence, kinds: set[str]) -> Iterator[str]:
    for each in evidence.violations or ():
        if each["kind"] in kinds:
            yield f"{each['kind']} by {each['request']}: {each['detail']}"
