"""Faults: every named reply, every cut, and what only a raw socket can do wrong."""

import asyncio
import zlib

import orjson
import pytest

from loadtests.simulator.errors import FAULTS
from tests.loadtests.simulator.peer import CODEX, Peer, exchange, prompt, sim, until


@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_every_named_fault_is_served(simulator, peer, name):
    """A fault named in the prompt gives its status, and the record says so."""
    answer = await peer.ask(sim(fault=name))
    assert answer.complete
    stem = name.partition("_")[0]
    if stem.isdigit():
        assert answer.status == int(stem)
    assert simulator.world.ledger.records[0].fault == name
    if "html" in name or "cloudflare" in name:
        assert answer.body.startswith(b"<")


async def test_an_unknown_fault_is_explained(peer):
    """The reply names the known ones."""
    answer = await peer.ask(sim(fault="nope"))
    assert answer.status == 400
    assert b"429_usage_limit" in answer.body


async def test_a_usage_limit_is_consistent(peer):
    """Body and headers name the same reset."""
    answer = await peer.ask(sim(fault="429_usage_limit", resets_in_s=600))
    error = answer.json["error"]
    assert error["type"] == "usage_limit_reached"
    assert error["resets_at"] == int(answer.header("x-codex-primary-reset-at"))
    assert 590 <= error["resets_in_seconds"] <= 600
    assert answer.header("x-codex-primary-used-percent") == "100.0"


async def test_status_body_and_headers_can_be_made_up(peer):
    """Free forms, absurd values included."""
    knobs = {
        "status": 418,
        "body": {"made": "up"},
        "retry_after": "-1",
        "limit_header_overrides": {"x-codex-primary-reset-at": "NaN"},
        "extra_headers": [("set-cookie", "a=b"), ("set-cookie", "c=d")],
    }
    answer = await peer.ask(sim(**knobs))
    assert (answer.status, answer.json) == (418, {"made": "up"})
    assert answer.header("retry-after") == "-1"
    assert answer.header("x-codex-primary-reset-at") == "NaN"
    assert [v for k, v in answer.headers if k == "set-cookie"] == ["a=b", "c=d"]


async def test_a_redirect_points_where_it_is_told(peer):
    """For clients that must not follow."""
    answer = await peer.ask(sim(fault="307_redirect", location="http://evil.example/"))
    assert answer.header("location") == "http://evil.example/"


async def test_attempts_script_one_prompt_over_retries(peer):
    """The k-th time the same prompt is seen takes the k-th entry, then none."""
    text = sim("echo: ok", attempts=[{"fault": "503_overloaded"}, {"fault": "500"}])
    statuses = [(await peer.ask(text)).status for _ in range(4)]
    assert statuses == [503, 500, 200, 200]


async def test_a_fault_can_be_meant_for_one_account(simulator, peer):
    """`per_account` in the prompt."""
    text = sim(per_account={"acct-1": {"fault": "401_expired"}})
    assert (await peer.ask(text)).status == 401
    assert (await Peer(simulator, 1).ask(text)).status == 200


@pytest.mark.parametrize(
    ("terminal", "kinds"),
    [
        ("incomplete:max_output_tokens", ["response.incomplete"]),
        ("failed:server_is_overloaded", ["response.failed"]),
        ("error_failed:slow_down", ["error", "response.failed"]),
        ("error:server_error", ["error"]),
        ("done", ["response.done"]),
        ("none", []),
    ],
)
async def test_terminals(simulator, peer, terminal, kinds):
    """Each way for a stream to end, before any content."""
    answer = await peer.ask(sim(terminal=terminal, terminal_at="prelude"))
    assert answer.complete
    at = answer.kinds.index("response.in_progress")
    assert answer.kinds[at + 1 :] == kinds
    recorded = simulator.world.ledger.records[0].terminal
    assert (recorded is None) == (not kinds)


async def test_a_terminal_can_come_in_the_middle(peer):
    """After half of the content."""
    answer = await peer.ask(sim("echo: " + "x" * 40, terminal="failed", terminal_at="content"))
    assert 0 < len(answer.text) < 40
    assert answer.kinds[-1] == "response.failed"


async def test_cut_at_every_byte(simulator, peer):
    """Wherever the body is cut, the peer got exactly that many bytes and no proper end."""
    whole = (await peer.ask(sim("echo: ab", private_events=False))).body
    simulator.world.ledger.reset()
    for size in range(1, len(whole), 37):
        text = sim("echo: ab", private_events=False, cut_at_byte=size)
        answer = await peer.ask(text)
        assert len(answer.body) == size
        assert not answer.complete
        assert simulator.world.ledger.records[-1].body_bytes == size


@pytest.mark.parametrize("mode", ["fin", "rst", "no_terminator"])
async def test_cuts_after_an_event(simulator, peer, mode):
    """The events before the cut arrive; the reply has no end and no terminal."""
    answer = await peer.ask(sim(cut_after_events=6, cut_mode=mode))
    assert not answer.complete
    assert len(answer.events) == 6
    record = simulator.world.ledger.records[0]
    assert (record.events, record.terminal) == (6, None)
    assert ("ConnectionReset" in answer.error) == (mode == "rst")


async def test_a_cut_can_be_a_proper_end(peer):
    """`eof`: HTTP is content, the stream has no terminal."""
    answer = await peer.ask(sim(cut_after_events=4, cut_mode="eof"))
    assert answer.complete
    assert answer.kinds[-1] == "response.in_progress"


async def test_a_cut_on_the_wire_counts_the_head(peer):
    """Inside the head there is no response at all."""
    answer = await peer.ask(sim(cut_at_wire_byte=20))
    assert (answer.status, answer.body) == (0, b"")


@pytest.mark.parametrize("mode", ["fin", "rst"])
async def test_no_head_at_all(peer, mode):
    """The connection breaks before the reply."""
    answer = await peer.ask(sim(break_before_head=mode))
    assert (answer.status, answer.complete) == (0, False)


@pytest.mark.parametrize(
    "framing", ["short_length", "bad_chunk", "no_last_chunk", "length_and_chunked"]
)
async def test_wrong_framing_is_noticed_by_a_strict_peer(peer, framing):
    """Declared and sent lengths differ, or chunks are no chunks."""
    answer = await peer.ask(sim(framing=framing))
    if framing == "length_and_chunked":
        assert answer.header("content-length") == "5"
    else:
        assert not answer.complete


async def test_close_delimited_bodies_end_with_the_connection(peer):
    """Legal, and without any sign of completeness."""
    answer = await peer.ask(sim("echo: x", framing="close"))
    assert answer.complete
    assert answer.kinds[-1] == "response.completed"
    assert answer.header("transfer-encoding") is None


@pytest.mark.parametrize("surplus", ["garbage", "response"])
async def test_surplus_after_a_reply(peer, surplus):
    """Bytes that belong to no response."""
    assert (await peer.ask(sim(surplus=surplus))).error == "surplus"


async def test_informational_storms_and_large_heads(peer):
    """1xx, a 20 KB line, 3,000 headers."""
    answer = await peer.ask(sim(informational=50, header_bytes=20_000, header_count=3000))
    assert answer.informational == 50
    assert len(answer.header("x-sim-filler")) == 20_000
    assert answer.header("x-sim-filler-2999") == "f"


async def test_a_slow_head_arrives_in_the_end(peer):
    """A byte at a time."""
    answer = await peer.ask(sim(fault="500", head_bytes_per_s=20_000))
    assert answer.status == 500
    assert answer.reads > 20


async def test_a_slow_body_is_not_lost(peer):
    """A byte at a time, with the events untouched."""
    short = {"private_events": False, "skip_created": True, "terminal": "none"}
    answer = await peer.ask(sim("echo: hi", body_bytes_per_s=4000, **short))
    assert answer.text == "hi"
    assert answer.reads > 20  # a busy machine reads several of them at once


@pytest.mark.parametrize("where", ["head", "body"])
async def test_silence(simulator, peer, where):
    """Nothing comes until the peer hangs up, which the ledger notes."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(peer.ask(sim(silence=where)), 0.2)
    await until(lambda: simulator.world.ledger.records)
    record = simulator.world.ledger.records[0]
    assert record.client_disconnected
    assert record.client_disconnected_at_ns


async def test_a_hung_stream_is_noticed_when_the_client_leaves(simulator, peer):
    """In-flight returns to zero and the disconnect has a time."""
    task = asyncio.ensure_future(peer.ask(sim(events_per_s=50, deltas=10_000)))
    await until(lambda: simulator.world.accounts.by_id["acct-1"].in_flight)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await until(lambda: not simulator.world.gauges.in_flight)
    assert simulator.world.ledger.records[0].client_disconnected
    assert simulator.world.accounts.by_id["acct-1"].in_flight == 0


async def test_a_gzip_bomb_is_small_on_the_wire(peer):
    """8 MiB of zeros in a few KB."""
    answer = await peer.ask(sim(fault="gzip_bomb", bomb_mib=8))
    assert len(answer.body) < 20_000
    assert len(zlib.decompress(answer.body, 31)) == 8 << 20


async def test_the_listener_can_be_closed_and_opened(simulator, peer):
    """Refused connections, then the same port again."""
    await simulator.listen(on=False)
    with pytest.raises(ConnectionRefusedError):
        await peer.ask("hi")
    await simulator.listen(on=True)
    assert (await peer.ask("hi")).status == 200


async def test_connections_can_be_taken_and_ignored_or_dropped(simulator, peer):
    """`accept` decides about new connections."""
    simulator.control(accept="silent")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(peer.ask("hi"), 0.1)
    simulator.control(accept="reset")
    assert (await peer.ask("hi")).status == 0
    simulator.control(accept="normal")
    assert (await peer.ask("hi")).status == 200


async def test_a_head_can_come_before_the_body_was_sent(simulator, peer):
    """An early 200 while the upload goes on."""
    simulator.control(base={"early_response": True})
    reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
    fields = "".join(f"{name}: {value}\r\n" for name, value in peer.headers.items())
    writer.write(f"POST {CODEX} HTTP/1.1\r\n{fields}content-length: 900\r\n\r\n".encode())
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    writer.transport.abort()


async def test_a_connection_serves_several_requests(peer):
    """Keep-alive works between whole replies, streams included."""
    reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
    for number in range(3):
        body = b'{"x":1}' if number else orjson.dumps(prompt("echo: one"))
        answer = await exchange(reader, writer, "POST", CODEX, body, peer.headers)
        assert answer.status == (400 if number else 200)
    writer.transport.abort()
