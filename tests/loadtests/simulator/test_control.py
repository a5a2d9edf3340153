"""The control API, the violations and the ledger's file."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from loadtests.simulator import config
from loadtests.simulator.config import Config
from loadtests.simulator.ledger import Record
from tests.loadtests.simulator.peer import CODEX, Peer, prompt, sim, until


async def test_knobs_can_be_set_over_http(peer):
    """For all, for an account, for a model, by rules; `reset` takes it all back."""
    await peer.post("/__sim/control", {"base": {"fault": "500"}})
    assert (await peer.ask("x")).status == 500
    await peer.post("/__sim/control", {"accounts": {"acct-1": {"fault": "404"}}})
    assert (await peer.ask("x")).status == 404
    await peer.post("/__sim/control", {"rules": [{"set": {"fault": "529"}, "first": 1}]})
    assert [(await peer.ask("x")).status for _ in range(2)] == [529, 404]
    await peer.post("/__sim/reset", {})
    assert (await peer.ask("x")).status == 200


@pytest.mark.parametrize(
    "body",
    [b"{", {"base": {"nope": 1}}, {"what": 1}, {"account_state": {"nobody": {}}}],
)
async def test_wrong_commands_are_explained(peer, body):
    """400 with a reason, nothing changed."""
    answer = await peer.post("/__sim/control", body)
    assert answer.status == 400
    assert (await peer.ask("x")).status == 200


async def test_state_shows_what_is_in_flight(simulator, peer):
    """While a stream runs and after it."""
    task = asyncio.ensure_future(peer.ask(sim(silence="body")))
    await until(lambda: simulator.world.gauges.in_flight)
    state = (await peer.get("/__sim/state")).json
    assert (state["in_flight"], state["accounts"]["acct-1"]["in_flight"]) == (1, 1)
    await peer.post("/__sim/control", {"drop_connections": "rst"})
    assert not (await task).complete
    state = (await peer.get("/__sim/state")).json
    assert (state["in_flight"], state["accounts"]["acct-1"]["in_flight_max"]) == (0, 1)
    assert state["requests"] == 1


async def test_accounts_can_be_read_and_added(simulator, peer):
    """With everything that an import needs; two workspaces of one person are two accounts."""
    listed = (await peer.get("/__sim/accounts")).json
    assert [account["id"] for account in listed] == ["acct-1", "acct-2", "acct-3"]
    assert listed[0]["refresh_token"] == "rt_acct-1.0." + listed[0]["refresh_token"][-16:]
    spec = {"id": "new", "account_id": "ws-9", "user_id": "user-acct-1", "plan": "team"}
    (added,) = (await peer.post("/__sim/accounts", spec)).json
    assert (added["account_id"], added["plan"]) == ("ws-9", "team")
    assert (await Peer(simulator, 3).ask("x")).status == 200


async def test_a_session_belongs_to_one_tenant(simulator, peer):
    """A second tenant with the same session id, header or cache key, is a violation."""
    for tenant in ("a", "b"):
        body = prompt(sim(tenant=tenant), prompt_cache_key=f"key-{tenant}")
        await peer.post(CODEX, body, {"session-id": "s-1"})
    (violation,) = (await peer.get("/__sim/violations")).json
    assert violation["kind"] == "cross_tenant_session"
    await peer.ask(sim(tenant="b"), prompt_cache_key="key-a")
    assert len(simulator.world.ledger.violations) == 2


async def test_the_file_has_a_line_per_request(start, tmp_path):
    """The same records as the control API shows."""
    path = tmp_path / "ledger.jsonl"
    simulator = await start(ledger=str(path))
    peer = Peer(simulator)
    await peer.ask("one")
    await peer.ask(sim(fault="500"))
    shown = (await peer.get("/__sim/ledger")).json
    await simulator.stop()
    lines = path.read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=Record).status for line in lines] == [200, 500]
    assert [msgspec.json.decode(line) for line in lines] == shown


async def test_control_can_be_off(start):
    """Then its paths are unknown."""
    simulator = await start(control=False)
    assert (await Peer(simulator).get("/__sim/state")).status == 404
    assert Config().control is True


async def test_views(peer):
    """Names of knobs and faults; the clock for latencies; unknown views."""
    knobs = (await peer.get("/__sim/knobs")).json
    assert knobs["knobs"]["ttft_ms"] == 600
    assert "429_usage_limit" in knobs["faults"]
    assert (await peer.get("/__sim/time")).json["monotonic_ns"] > 0
    assert (await peer.get("/__sim/nothing")).status == 404
    assert (await peer.post("/__sim/nothing", {})).status == 404


def test_the_readme_names_every_knob():
    """A knob that nobody can find is none."""
    readme = (Path(config.__file__).parent / "README.md").read_text()
    assert [name for name in config.Knobs.__struct_fields__ if f"`{name}`" not in readme] == []
