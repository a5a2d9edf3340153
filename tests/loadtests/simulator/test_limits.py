"""Quota: headers, event and usage endpoint from one state, and the limit itself."""

import pytest

from loadtests.simulator.config import AccountSpec, demo
from loadtests.simulator.server import Simulator
from tests.loadtests.simulator.peer import Peer

USAGE = "/backend-api/wham/usage"
CREDITS = "/backend-api/wham/rate-limit-reset-credits"


async def test_three_views_of_one_window(start):
    """Header, event and usage agree before and after a reply."""
    specs = [AccountSpec(id="a", used_percent=42)]
    simulator = await start(account_specs=specs, knobs={"cost_percent": 3})
    peer = Peer(simulator)
    answer = await peer.ask("hi")
    event = next(e for e in answer.events if e["type"] == "codex.rate_limits")
    assert event["rate_limits"]["primary"]["used_percent"] == 42
    assert answer.header("x-codex-primary-used-percent") == "42.0"
    usage = (await peer.get(USAGE)).json["rate_limit"]
    assert usage["primary_window"]["used_percent"] == 45
    reset_at = event["rate_limits"]["primary"]["reset_at"]
    assert usage["primary_window"]["reset_at"] == reset_at


async def test_a_used_up_window_refuses_until_its_reset(start):
    """Crossing 100 % lets that reply through and refuses the next, until time has passed."""
    specs = [AccountSpec(id="a", used_percent=99, resets_in_s=600)]
    simulator = await start(account_specs=specs, knobs={"cost_percent": 1})
    peer = Peer(simulator)
    assert (await peer.ask("hi")).status == 200
    refused = await peer.ask("hi")
    assert refused.status == 429
    error = refused.json["error"]
    assert error["type"] == "usage_limit_reached"
    assert error["resets_at"] == int(refused.header("x-codex-primary-reset-at"))
    assert (await peer.get(USAGE)).json["rate_limit"]["limit_reached"] is True
    simulator.control(advance_s=601)
    again = await peer.ask("hi")
    assert again.status == 200
    assert again.header("x-codex-primary-used-percent") == "0.0"


@pytest.mark.parametrize(
    ("shape", "primary", "secondary"),
    [
        ("standard", "300", "10080"),
        ("monthly", "43200", None),
        ("weekly_primary", "10080", "300"),
        ("zero_secondary", "300", "0"),
    ],
)
async def test_shapes_of_windows(start, shape, primary, secondary):
    """What is in which slot."""
    simulator = await start(account_specs=[AccountSpec(id="a", shape=shape)])
    answer = await Peer(simulator).ask("hi")
    assert answer.header("x-codex-primary-window-minutes") == primary
    assert answer.header("x-codex-secondary-window-minutes") == secondary


async def test_credits_keep_an_account_usable(start):
    """A full window is no limit while there are credits."""
    specs = [AccountSpec(id="a", used_percent=120, has_credits=True, balance="5.00")]
    answer = await Peer(await start(account_specs=specs)).ask("hi")
    assert answer.status == 200
    assert answer.header("x-codex-credits-balance") == "5.00"


async def test_reset_credits_are_spent_once(start):
    """The same request id gives the same answer; then there is none left."""
    simulator = await start(account_specs=[AccountSpec(id="a", used_percent=120)])
    peer = Peer(simulator)
    assert (await peer.get(CREDITS)).json["available_count"] == 1
    spend = {"redeem_request_id": "r1", "credit_id": "credit_1"}
    first = (await peer.post(f"{CREDITS}/consume", spend)).json
    assert first["code"] == "reset"
    assert (await peer.post(f"{CREDITS}/consume", spend)).json == first
    other = {"redeem_request_id": "r2", "credit_id": "credit_1"}
    assert (await peer.post(f"{CREDITS}/consume", other)).json["code"] == "no_credit"
    assert (await peer.ask("hi")).status == 200


@pytest.mark.parametrize(
    ("mode", "at", "after"),
    [("both", 1, 1), ("reset_at", 1, 0), ("reset_after", 0, 1), ("none", 0, 0)],
)
async def test_reset_headers_can_be_left_out(start, mode, at, after):
    """As different backends do."""
    answer = await Peer(await start(knobs={"limit_headers": mode})).ask("hi")
    assert (answer.header("x-codex-primary-reset-at") is not None) == at
    assert (answer.header("x-codex-primary-reset-after-seconds") is not None) == after


async def test_the_demo_has_an_account_that_runs_into_its_limit():
    """The first account answers twice and is then refused; another still answers."""
    config = demo(knobs={"tokens_per_s": 0, "ttft_ms": 0})
    async with Simulator(config) as simulator:
        peer = Peer(simulator)
        answers = [await peer.ask("hello") for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert "acct-1" in answers[0].text
        assert (await Peer(simulator, 1).ask("hello")).status == 200
