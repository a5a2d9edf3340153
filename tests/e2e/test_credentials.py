"""Credentials of a real gateway: storms of renewals, refusals, silence, and `kill -9` at each step.

The simulator is the judge: it counts exchanges, notes a refresh token that is used twice as a
violation, and knows which one is current.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.asking import hear, prompt, question
from tests.e2e.crash_launch import STEPS
from tests.e2e.programs import ROOT, Gateway, Pair, Simulator, until

PUBLIC = "/v1/responses"
TOKEN_PATH = "/oauth/token"
SIBLINGS = 50
CALLS = 200
COMMIT_DELAYS_S = ("0", "0.0003", "0.002")
SPENT = {"after the exchange", "before storing", "in the transaction"}
"""Steps at which the token is spent and its successor is nowhere: only a login helps."""
LIFETIME_S = 10
ATTEMPTS = [
    *(step for step in STEPS if step != "in the commit"),
    *(f"in the commit:{delay_s}" for delay_s in COMMIT_DELAYS_S),
]


def ask(pair: Pair, text: str = "echo: served") -> int:
    """Make one call; return its status, and see that a good one is whole."""
    heard = hear(pair.gateway.client, PUBLIC, question(prompt(text)))
    assert heard.status != 200 or "served" in heard.text, heard.raw
    return heard.status


def exchanges(simulator: Simulator) -> int:
    """Return how often the token endpoint was asked."""
    return simulator.see("state")["paths"].get(TOKEN_PATH, 0)


def account(simulator: Simulator, name: str = "acct-1") -> dict[str, Any]:
    """Return the simulator's figures of an account."""
    return simulator.see("state")["accounts"][name]


def row(gateway: Gateway) -> dict[str, Any]:
    """Return the only credential as the gateway has it stored."""
    path = gateway.log.parent / "data" / "codex2api.db"
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        [found] = connection.execute("SELECT generation, dead, refused_code FROM credentials")
    finally:
        connection.close()
    return dict(found)


def listed(gateway: Gateway) -> dict[str, Any]:
    """Return the only account as an operator sees it, with its events."""
    [found] = gateway.command("accounts", "list", "--events")
    return found


def enrol_refresh_tokens(gateway: Gateway, tokens: list[str]) -> dict[str, Any]:
    """Import bare refresh tokens, one a line."""
    file = gateway.log.parent / "tokens.txt"
    file.write_text("\n".join(tokens))
    return gateway.command("accounts", "import", str(file))


class CrashingGateway(Gateway):
    """A gateway that dies where it is told to."""

    def start(self) -> None:
        """Run it to the point where it is ready; it dies of nothing."""
        self.spawn("-m", "tests.e2e.crash_launch", env=self.environment)
        until(self._ready, "the gateway is ready", within_s=30)

    def crash(self, step: str) -> None:
        """Run it until it dies at a step of its first renewal."""
        env = self.environment | {"E2E_CRASH": step}
        self.spawn("-m", "tests.e2e.crash_launch", env=env)
        assert self.wait(within_s=30) == -signal.SIGKILL, self.printed()

    def kill(self) -> None:
        """Kill the program and its workers."""
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            os.kill(each, signal.SIGKILL)
        self.process.wait()


class Bench(Pair):
    """One account that is renewed as soon as a gateway runs, and the gateway that shall crash."""

    gateway: CrashingGateway

    def recovered(self) -> dict[str, Any]:
        """Start the gateway again; return the credential once it is good or known to be dead."""
        self.gateway.start()
        return until(
            lambda: found if (found := row(self.gateway))["generation"] or found["dead"] else None,
            "the credential is renewed, or known to be dead",
        )

    def serves(self) -> None:
        """The account answers, and nothing was ever spent twice."""
        until(lambda: ask(self) == 200, "the account serves")
        assert self.simulator.violations == []

    def lost(self) -> None:
        """The account is told to be logged in to again, and its token was tried once more."""
        [violation] = self.simulator.violations
        assert violation["kind"] == "refresh_token_reused"
        self.simulator.mark()
        found = listed(self.gateway)
        assert (found["dead"], found["refused_code"]) == (True, "refresh_token_reused")
        told = [(each["kind"], each["code"]) for each in found["events"]]
        assert told[:2] == [
            ("renewal_refused", "refresh_token_reused"),
            ("renewal_unknown", "interrupted"),
        ]

    def stays(self) -> None:
        """Another start spends nothing, whatever became of the account."""
        before = exchanges(self.simulator)
        self.gateway.kill()
        self.gateway.start()
        ask(self)
        assert exchanges(self.simulator) == before
        assert self.simulator.violations == []


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A simulator with one account, whose bare refresh token is in the gateway's store."""
    simulator = Simulator(tmp_path, accounts=1)
    gateway = CrashingGateway(tmp_path, simulator)
    try:
        simulator.mark()
        enrol_refresh_tokens(gateway, [account(simulator)["refresh_token"]])
        yield Bench(simulator, gateway)
    finally:
        gateway.stop()
        simulator.stop()


@pytest.mark.parametrize("step", ATTEMPTS)
def test_a_crash_at_any_step_of_a_renewal_is_survived(bench: Bench, step: str) -> None:
    """Unless the token is spent and its successor is lost: then that is told, and tried once."""
    bench.gateway.crash(step)
    spent = account(bench.simulator)["refreshes"]
    stored = row(bench.gateway)["generation"]
    name = step.partition(":")[0]
    if name != "in the commit":
        assert (spent, stored) == (
            int(name in SPENT or name == "after storing"),
            int(name == "after storing"),
        )
    found = bench.recovered()
    # Not `stored`: the worker dies a moment after its parent, and may just have committed.
    lost = bool(spent and not found["generation"])
    assert bool(found["dead"]) == lost
    if lost:
        bench.lost()
    else:
        bench.serves()
        assert account(bench.simulator)["refreshes"] == 1
    if name in {"in the transaction", "after storing"}:
        bench.stays()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_while_the_answer_is_awaited_is_survived(bench: Bench, when: str) -> None:
    """The token is spent or it is not: the gateway can't know, and tries it once more."""
    bench.simulator.control(base={"oauth_delay_ms": 60_000, "oauth_delay_when": when})
    bench.gateway.start()
    until(lambda: bench.simulator.see("state")["refreshing"], "the exchange is under way")
    until(
        lambda: account(bench.simulator)["refreshes"] == int(when == "after"),
        "it is where it was sent",
    )
    bench.gateway.kill()
    bench.simulator.control(base={"oauth_delay_ms": 0})
    found = bench.recovered()
    assert bool(found["dead"]) == (when == "after")
    if when == "after":
        bench.lost()
        bench.stays()
    else:
        bench.serves()


def test_two_hundred_calls_with_an_expired_credential_cause_one_exchange(start) -> None:
    """All of them are refused at once, share one renewal, and are answered by the same account."""
    pair = start(accounts=1)
    name = listed(pair.gateway)["id"]
    pair.gateway.command("accounts", "set", name, "--concurrency-max", str(CALLS))
    pair.simulator.control(account_state={"acct-1": {"expire_access": True}})
    with ThreadPoolExecutor(CALLS) as callers:
        statuses = list(callers.map(lambda _: ask(pair), range(CALLS)))
    assert statuses == [200] * CALLS
    assert exchanges(pair.simulator) == account(pair.simulator)["refreshes"] == 1
    refused = [record for record in pair.simulator.records if record["status"] == 401]
    assert 0 < len(refused) <= CALLS
    assert len(pair.simulator.records) == CALLS + len(refused)


def test_a_revoked_access_token_is_not_seen_by_the_caller(start) -> None:
    """One exchange, and one more try on the same account; the other one is not bothered."""
    pair = start(accounts=2)
    for name in ("acct-1", "acct-2"):
        pair.simulator.control(account_state={name: {"expire_access": True}})
    assert ask(pair) == 200
    first, second = pair.simulator.wait_for_records(2)
    assert (first["status"], second["status"]) == (401, 200)
    assert first["account"] == second["account"]
    assert exchanges(pair.simulator) == 1


def test_siblings_that_are_due_together_are_renewed_one_after_the_other(tmp_path: Path) -> None:
    """Fifty imports at once, one lane; meanwhile whoever is renewed serves."""
    simulator = Simulator(tmp_path, accounts=SIBLINGS, oauth_delay_ms=20)
    gateway = Gateway(tmp_path, simulator)
    try:
        simulator.mark()
        accounts = simulator.see("state")["accounts"]
        tokens = [each["refresh_token"] for name, each in accounts.items() if "acct" in name]
        imported = enrol_refresh_tokens(gateway, tokens)
        assert imported["created"] == SIBLINGS
        gateway.start()
        until(lambda: simulator.see("state")["refreshes"], "the first is renewed")
        assert until(lambda: ask(Pair(simulator, gateway)) == 200, "the first serves")
        until(lambda: simulator.see("state")["refreshes"] == SIBLINGS, "all are", within_s=60)
        state = simulator.see("state")
        assert (state["refreshing_max"], state["paths"][TOKEN_PATH]) == (1, SIBLINGS)
        assert simulator.violations == []
    finally:
        gateway.stop()
        simulator.stop()


def test_an_exchange_without_an_answer_is_not_repeated(start) -> None:
    """The token may be spent; while that is not known, calls end with an error and cost nothing."""
    pair = start(accounts=1, limits={"renewal_timeout_s": 0.5})
    pair.simulator.control(
        base={"oauth_hang": True, "oauth_delay_when": "after"},
        account_state={"acct-1": {"expire_access": True}},
    )
    assert [ask(pair) >= 500 for _ in range(4)] == [True] * 4
    assert exchanges(pair.simulator) == 1
    event = until(lambda: listed(pair.gateway)["events"][0], "an event")
    assert (event["kind"], event["code"]) == ("renewal_unknown", "unknown")
    assert event["next_at"] >= event["at"] + 50


@pytest.mark.parametrize(
    ("fault", "code"),
    [("500", "temporary-failure"), ("429", "rate_limited"), ("403_cloudflare", "http_403")],
)
def test_an_outage_of_the_token_endpoint_passes(start, fault, code) -> None:
    """It is tried again with growing pauses until it succeeds; the token was not spent."""
    pair = start(accounts=1)
    pair.simulator.control(
        base={"oauth_fault": fault}, account_state={"acct-1": {"expire_access": True}}
    )
    assert ask(pair) >= 500
    assert exchanges(pair.simulator) == 1
    pair.simulator.control(base={"oauth_fault": None})
    until(lambda: ask(pair) == 200, "the account serves again")
    told = [(each["kind"], each["code"]) for each in listed(pair.gateway)["events"]]
    assert told[:2] == [("renewed", None), ("renewal_refused", code)]


def test_a_dead_refresh_token_is_flagged_and_tried_no_more(start) -> None:
    """As long as the access token is good the account serves; then only a login helps."""
    pair = start(accounts=1)
    pair.simulator.control(base={"oauth_fault": "refresh_token_reused"})
    name = listed(pair.gateway)["id"]
    refused = subprocess.run(
        [sys.executable, "-m", "app", "accounts", "refresh", name, "--json"],
        cwd=pair.gateway.log.parent,
        env=pair.gateway.environment,
        capture_output=True,
        check=False,
    )
    assert json.loads(refused.stdout)["reason"] == "refresh_token_reused"
    assert ask(pair) == 200
    found = listed(pair.gateway)
    assert (found["dead"], found["enabled"], found["renewable"]) == (True, True, False)
    assert found["events"][0]["next_at"] is None
    pair.simulator.control(account_state={"acct-1": {"expire_access": True}})
    assert [ask(pair) >= 400 for _ in range(3)] == [True] * 3
    assert exchanges(pair.simulator) == 1


def test_short_lived_tokens_are_renewed_at_their_own_deadline_even_while_the_account_rests(
    start,
) -> None:
    """Ten seconds of life and a sweep every hour; a usage limit does not stop the renewals."""
    pair = start(accounts=1, POOL_REFRESH_INTERVAL="3600")
    pair.simulator.control(
        base={"oauth_expires_in_s": LIFETIME_S}, account_state={"acct-1": {"expire_access": True}}
    )
    assert ask(pair) == 200
    pair.simulator.mark()
    exhausted = {"used_percent": 100, "resets_in_s": 3600}
    pair.simulator.control(account_state={"acct-1": exhausted})
    assert ask(pair) == 429
    until(
        lambda: account(pair.simulator)["refreshes"] >= 3,
        "two more renewals",
        within_s=4 * LIFETIME_S,
    )
    assert all(record["status"] != 401 for record in pair.simulator.records)
    pair.simulator.control(base={"oauth_expires_in_s": 864_000})


def test_an_operator_logs_in_at_the_terminal(start) -> None:
    """He opens what is printed, pastes where the browser ended, and the account serves."""
    pair = start(accounts=1)
    before = listed(pair.gateway)
    login = subprocess.Popen(
        [sys.executable, "-m", "app", "accounts", "login", "--json"],
        cwd=pair.gateway.log.parent,
        env=pair.gateway.environment | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with login:
        assert login.stderr is not None
        url = next(line for line in login.stderr if line.startswith("http")).strip()
        ended_at = httpx.get(url).headers["location"]
        printed, complaints = login.communicate(f"{ended_at}\n", timeout=30)
    assert login.returncode == 0, complaints
    added = json.loads(printed)
    assert (added["id"], added["created"], added["credential_kept"]) == (before["id"], False, False)
    assert exchanges(pair.simulator) == 1
    assert listed(pair.gateway)["generation"] == before["generation"] + 1
    assert ask(pair) == 200
