"""Limits as upstreams name them: whoever is at one is left alone, and comes back by itself."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import httpx
import pytest

from tests.e2e.asking import prompt, question
from tests.e2e.programs import until

PUBLIC = "/v1/responses"
UPSTREAM = "/backend-api/codex/responses"
AT_ONCE = 16
LEARNT_S = 0.5
"""Calls that were on their way when a limit was told may still arrive; this long at most."""
BACK_S = 5.0
USED = "x-codex-primary-used-percent"
RESET_AT = "x-codex-primary-reset-at"
RESET_AFTER = "x-codex-primary-reset-after-seconds"


def ask(pair) -> httpx.Response:
    """Ask something that was never asked before, without a stream."""
    return pair.gateway.client.post(PUBLIC, json=question(prompt("echo: hello"), stream=False))


def ask_at_once(pair, count: int = AT_ONCE) -> list[httpx.Response]:
    """Ask so many things at the same time."""
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(lambda _: ask(pair), range(count)))


def by_account(pair) -> dict[str, list[dict]]:
    """Return what the simulator has seen so far, by account."""
    found: dict[str, list[dict]] = {}
    for record in sorted(pair.simulator.records, key=lambda record: record["began_ns"]):
        found.setdefault(record["account"], []).append(record)
    return found


def headers(**said: str | None) -> dict[str, str | None]:
    """Return what the quota headers of a full primary window say of its reset."""
    names = {"at": RESET_AT, "after": RESET_AFTER}
    return {USED: "100.0", RESET_AT: None, RESET_AFTER: None} | {
        names[name]: value for name, value in said.items()
    }


def bare(**said: str | None) -> dict:
    """Return the knobs of a usage limit whose body names no reset; its headers may."""
    return {"fault": "429_usage_limit_bare", "limit_header_overrides": headers(**said)}


def burst(retry_after: str) -> dict:
    """Return the knobs of a burst limit."""
    return {"fault": "429_rate_limit_bare", "retry_after": retry_after}


EARLIEST_S = 90


def storm(now: float) -> list[dict]:
    """Return the knobs of accounts that are all limited, each in a way of its own.

    One is free again after `EARLIEST_S`, all others later.
    """
    return [
        {"fault": "429_usage_limit", "resets_in_s": 400},
        {"fault": "429_usage_limit_after_only", "resets_in_s": EARLIEST_S},
        {"fault": "429_usage_limit_at_only", "resets_in_s": 2_000_000},
        {"fault": "429_usage_limit_bare", "limit_headers": "none"},
        bare(after="150"),
        bare(at=str(int(now) + 160)),
        bare(at=formatdate(now + 170, usegmt=True)),
        bare(after="-1"),
        bare(at="1e12", after="NaN"),
        bare(at="NaN", after="1e12"),
        bare(at="Fri, 99 Jul 99999999 99:99:99 GMT"),
        burst("120"),
        burst(formatdate(now + 140, usegmt=True)),
        burst("1e12"),
    ]


def test_a_storm_of_limits_asks_each_account_once(start) -> None:
    """Whatever they say of their resets: none is asked while it rests, and the caller hears when.

    Before the gateway has heard of a limit, calls that are under way may meet it too.
    """
    now = time.time()
    limited = {f"acct-{number}": knobs for number, knobs in enumerate(storm(now), start=1)}
    pair = start(accounts=len(limited))
    pair.simulator.control(accounts=limited)

    def all_have_refused() -> bool:
        assert {answer.status_code for answer in ask_at_once(pair)} <= {429, 503}
        return len(by_account(pair)) == len(limited)

    until(all_have_refused, "every account has refused a call")
    pair.simulator.quiet()
    for account, records in by_account(pair).items():
        assert {record["status"] for record in records} == {429}, account
        known_at = min(record["ended_ns"] for record in records)
        late = [record for record in records if record["began_ns"] > known_at + LEARNT_S * 1e9]
        assert late == [], f"{account} was asked while it rested"

    before = len(pair.simulator.records)
    answers = ask_at_once(pair)
    for answer in answers:
        assert answer.status_code == 429, answer.text
        error = answer.json()["error"]
        assert error["code"] == error["type"] == "usage_limit_reached"
        assert now + EARLIEST_S - 2 <= error["resets_at"] <= now + EARLIEST_S + 30
        assert 0 < int(answer.headers["retry-after"]) <= EARLIEST_S + 5
        assert answer.headers["x-codex2api-reason"] == "usage_limit_reached"
    assert len(pair.simulator.records) == before


NONSENSE = ["-1", "NaN", "soon", "Wed, 01 Jan 2020 00:00:00 GMT", "99999-01-01"]


def test_a_burst_limit_with_a_nonsense_wait_rests_for_a_moment(start) -> None:
    """Neither not at all nor for long: each account serves again within seconds."""
    names = {f"acct-{number}": wait for number, wait in enumerate(NONSENSE, start=1)}
    pair = start(accounts=len(names))
    pair.simulator.control(
        rules=[
            {"set": burst(wait), "path": UPSTREAM, "account": name, "first": 1}
            for name, wait in names.items()
        ]
    )

    def all_are_back() -> bool:
        ask(pair)
        return len(by_account(pair)) == len(names) and all(
            records[-1]["status"] == 200 for records in by_account(pair).values()
        )

    until(all_are_back, "every account serves after its refusal", within_s=25)
    for name, records in by_account(pair).items():
        refused, served = records[:2]
        assert (refused["status"], served["status"]) == (429, 200), names[name]
        assert served["began_ns"] - refused["ended_ns"] > 0.5e9, names[name]


@pytest.mark.parametrize("queue_wait_s", [0.5, 30.0], ids=["callers are told", "callers wait"])
def test_traffic_is_back_within_seconds_of_a_reset(start, queue_wait_s) -> None:
    """Nobody has to do anything, whether calls stand in line or come again."""
    pair = start(accounts=3, limits={"queue_wait_s": queue_wait_s})
    reset_s = 6.0
    accounts = [f"acct-{number}" for number in (1, 2, 3)]
    full = {"used_percent": 100.0, "resets_in_s": reset_s}
    reset_at = time.time() + reset_s
    pair.simulator.control(account_state=dict.fromkeys(accounts, full))

    until(lambda: ask(pair).status_code == 200, "a call is answered", within_s=reset_s + 20)
    assert time.time() < reset_at + BACK_S
    for records in by_account(pair).values():
        refusals = [record for record in records if record["status"] == 429]
        # A reset is named in whole seconds, so a call may come a moment too early.
        assert len(refusals) <= 2

    def all_serve() -> bool:
        ask_at_once(pair, 6)
        served = {r["account"] for r in pair.simulator.records if r["status"] == 200}
        return len(served) == len(accounts)

    until(all_serve, "all accounts serve again")


def test_a_rest_is_quiet_to_its_end(start) -> None:
    """Of an account at its limit nothing is wanted before the reset that it named."""
    pair = start(accounts=2)
    pair.simulator.control(account_state={"acct-1": {"used_percent": 100.0, "resets_in_s": 5.0}})
    reset_at = time.time() + 5.0
    while time.time() < reset_at - 1.0:
        assert ask(pair).status_code == 200
        time.sleep(0.05)
    limited = by_account(pair).get("acct-1", [])
    assert [record["status"] for record in limited] in ([], [429])


def served_by(pair) -> str:
    """Ask once; return which account answered."""
    before = pair.simulator.records
    assert ask(pair).status_code == 200
    records = until(lambda: pair.simulator.records[len(before) :], "the call is written down")
    return records[-1]["account"]


def questions(pair) -> int:
    """Return how often the gateway has asked for the usage of accounts."""
    return pair.simulator.see("state")["paths"].get("/backend-api/wham/usage", 0)


def started(start, accounts: int):
    """Start a pair whose gateway has already asked what its accounts have used: nothing."""
    pair = start(accounts=accounts)
    until(lambda: questions(pair) >= accounts, "all accounts were asked for their usage")
    pair.simulator.quiet()
    return pair


def fill(pair, account: str, resets_in_s: float) -> None:
    """Use an account up to the last bit: its next success says that nothing is left."""
    state = {"used_percent": 99.96, "resets_in_s": resets_in_s}
    pair.simulator.control(account_state={account: state})


def test_a_success_that_says_full_moves_the_traffic_away(start) -> None:
    """No call has to be refused first."""
    pair = started(start, 2)
    fill(pair, "acct-1", 3_600)
    until(lambda: served_by(pair) == "acct-1", "acct-1 tells of its limit")
    assert {served_by(pair) for _ in range(12)} == {"acct-2"}
    fill(pair, "acct-2", 1_800)
    assert served_by(pair) == "acct-2"
    before = len(pair.simulator.records)
    answer = ask(pair)
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "usage_limit_reached"
    assert 1_700 < int(answer.headers["retry-after"]) <= 1_810
    assert len(pair.simulator.records) == before
    assert {record["status"] for record in pair.simulator.records} == {200}


def test_the_traffic_comes_back_once_the_window_has_ended(start) -> None:
    """Though nothing has been heard of the account since, and no call was refused."""
    pair = started(start, 2)
    reset_at = time.time() + 6.0
    fill(pair, "acct-1", 6.0)
    until(lambda: served_by(pair) == "acct-1", "acct-1 tells of its limit", within_s=4)
    while time.time() < reset_at - 1.0:
        assert served_by(pair) == "acct-2"
    until(lambda: served_by(pair) == "acct-1", "acct-1 serves again")
    assert time.time() < reset_at + BACK_S
    assert {record["status"] for record in pair.simulator.records} == {200}


def test_the_head_of_a_stream_tells_of_the_limit(start) -> None:
    """It counts as soon as it is there, long before the stream's end."""
    pair = started(start, 1)
    fill(pair, "acct-1", 3_600)
    body = question(prompt(deltas=2_000, events_per_s=50))
    with pair.gateway.client.stream("POST", PUBLIC, json=body) as answer:
        # Kept: a reader that is dropped closes its stream.
        events = answer.iter_raw()
        assert next(events)
        assert ask(pair).status_code == 429
    pair.gateway.settled()
    assert [record["status"] for record in pair.simulator.records] == [200]


def test_an_account_with_credits_goes_on(start) -> None:
    """Its windows are full, but it can pay; without credits it rests."""
    pair = start(accounts=1)

    def replace(**spec) -> None:
        account = {"id": "acct-1", "resets_in_s": 3_600, **spec}
        pair.simulator.client.post("accounts", json=account).raise_for_status()

    replace(used_percent=120.0, has_credits=True)
    for _ in range(4):
        assert ask(pair).status_code == 200
    replace(used_percent=99.96, has_credits=False)
    until(lambda: ask(pair).status_code == 429, "the pool is at its limit")
    assert {record["status"] for record in pair.simulator.records} == {200}


def test_an_idle_account_is_asked_for_its_usage(start) -> None:
    """It had its limit before the gateway began, which knows that without one refused call."""
    pair = start(accounts=2)
    pair.gateway.signal(signal.SIGINT)
    pair.gateway.wait()
    full = {"used_percent": 100.0, "resets_in_s": 3_600.0}
    pair.simulator.control(account_state={"acct-1": full})
    before = questions(pair)
    pair.gateway.start()
    until(lambda: questions(pair) >= before + 2, "both accounts were asked for their usage")
    pair.simulator.quiet()
    assert {served_by(pair) for _ in range(12)} == {"acct-2"}
    assert {record["status"] for record in pair.simulator.records} == {200}
