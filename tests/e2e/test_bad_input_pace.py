"""Callers that are slow, that leave, or that do not read: nothing of them stays behind.

The gateway of this module has short limits, so that no test waits for real ones.
"""

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.asking import prompt
from tests.e2e.bad_input_wire import CHAT, CODEX, RESPONSES, Wire, ask, chat, head, post, responses
from tests.e2e.programs import Gateway, Pair, Simulator, Starter, until

MIB = 1 << 20
LIMITS = {
    "body_read_timeout_s": 1.0,
    "send_timeout_s": 1.0,
    "commit_after_s": 0.2,
    "keepalive_s": 0.2,
    "queue_wait_s": 20.0,
}
ROUTES = (CHAT, RESPONSES, CODEX)


@pytest.fixture(scope="module")
def hasty(starter: Starter) -> Iterator[Pair]:
    """A pair whose gateway has short limits."""
    yield from starter.pair(accounts=2, limits=LIMITS)


@pytest.fixture
def port(hasty: Pair) -> Iterator[int]:
    """The hasty gateway's port; afterwards nothing of the test is left in it."""
    hasty.simulator.mark()
    yield hasty.gateway.port
    hasty.gateway.settled()
    until(lambda: not hasty.simulator.see("state")["in_flight"], "the upstream is left alone")


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("sent", [b"", b'{"model":'])
def test_a_body_that_does_not_come_is_not_waited_for(
    hasty: Pair, port: int, path: str, sent: bytes
) -> None:
    """C5: 408, the connection ends, and no account was asked."""
    with Wire(port) as wire:
        wire.send(head(path, "Content-Length: 100") + sent)
        assert wire.reply().said == (408, "request_timeout")
        assert wire.closed
    assert hasty.simulator.records == []


def test_a_body_that_drips_is_not_waited_for(hasty: Pair, port: int) -> None:
    """C5: bytes that keep coming do not buy more time."""
    with Wire(port) as wire:
        wire.send(head(CHAT, "Transfer-Encoding: chunked"))
        wire.socket.settimeout(0.05)
        for _ in range(200):
            wire.send(b"1\r\n \r\n")
            try:
                wire._more()
            except TimeoutError:
                continue
            break
        assert wire.reply().said == (408, "request_timeout")
    assert hasty.simulator.records == []


def test_a_head_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    """C4: silence, half a line and dripping lines all end at the server's timeout."""
    simulator = Simulator(tmp_path)
    gateway = Gateway(tmp_path, simulator)
    try:
        gateway.spawn("-m", "tests.e2e.bad_input_launch", env=gateway.environment)
        until(gateway._ready, "the gateway is ready", within_s=30)
        for sent in (b"", b"PO", b"POST / HTTP/1.1\r\nHost: x\r\nX-A: "):
            with Wire(gateway.port) as wire:
                wire.send(sent)
                heard = wire.rest()
                assert not heard or heard.startswith(b"HTTP/1.1 408 "), heard
        with Wire(gateway.port) as wire:
            wire.send(b"POST / HTTP/1.1\r\nHost: x\r\n")
            sent = wire.send_until_refused(b"X-A: b\r\n", 1)
            assert sent
            wire.rest()
    finally:
        gateway.stop()
        simulator.stop()


LEAVING = {
    "in the head": b"POST /v1/responses HTTP/1.1\r\nHost: x\r\n",
    "before the body": head(RESPONSES, "Content-Length: 100"),
    "in the body": head(RESPONSES, "Content-Length: 100") + b'{"model":',
    "in a chunk": head(RESPONSES, "Transfer-Encoding: chunked") + b"ff\r\n{",
}


@pytest.mark.parametrize("name", LEAVING)
@pytest.mark.parametrize("abruptly", [False, True])
def test_a_caller_that_leaves_while_sending_was_never_there(
    hasty: Pair, port: int, name: str, *, abruptly: bool
) -> None:
    """C1: no account is asked; the next caller is served."""
    with Wire(port) as wire:
        wire.send(LEAVING[name])
        if abruptly:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    reply = ask(port, head("/v1/models", method="GET"))
    assert reply.status == 200
    assert hasty.simulator.records == []


PHASES: dict[str, dict[str, object]] = {
    # A request can't be taken back before its head has come, so here it comes soon.
    "before the upstream's head": {"headers_delay_ms": 700, "deltas": 5_000, "events_per_s": 50},
    "before the first event": {"silence": "body"},
    "before the content": {"ttft_ms": 60_000},
    "in the stream": {"deltas": 5_000, "events_per_s": 50},
}


@pytest.mark.parametrize("name", PHASES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ROUTES)
def test_a_caller_that_leaves_is_left(
    hasty: Pair, port: int, name: str, path: str, *, stream: bool
) -> None:
    """C1: the upstream's connection ends with the caller's, whatever the phase."""
    text = prompt(**PHASES[name])
    body = chat(text, stream=stream) if path == CHAT else responses(text, stream=stream)
    with Wire(port) as wire:
        wire.send(post(path, body))
        until(lambda: hasty.simulator.see("state")["in_flight"], "the upstream is asked")
        if stream and name == "in the stream":
            until(lambda: b"delta" in wire.socket.recv(65_536), "the stream is under way")
    (record,) = hasty.simulator.wait_for_records(1)
    assert record["client_disconnected"]


def test_a_caller_that_leaves_the_line_gives_up_its_place(
    start: Callable[..., Pair],
) -> None:
    """C1: who waits for a busy account and leaves is never sent upstream."""
    pair = start(accounts=1, limits=LIMITS)
    slow = prompt(ttft_ms=60_000)
    metrics = pair.gateway.metrics

    def waiting() -> float:
        return metrics()["codex2api_queue_depth"]

    wires: list[Wire] = []
    while not (wires and waiting()):
        wires.append(Wire(pair.gateway.port))
        wires[-1].send(post(RESPONSES, responses(slow, stream=True)))
        asked = len(wires)
        until(
            lambda asked=asked: metrics()["codex2api_leases"] + waiting() == asked,
            "the call is under way or in line",
        )
        assert asked < 200
    wires[-1].socket.close()
    until(lambda: not waiting(), "the line is empty")
    for wire in wires:
        wire.socket.close()
    pair.simulator.wait_for_records(len(wires) - 1)
    pair.gateway.settled()


def test_a_caller_that_leaves_after_the_end_has_had_its_answer(hasty: Pair, port: int) -> None:
    """C1: the attempt counts as a success, although the upstream lingers."""
    text = prompt(post_terminal_linger_ms=300)
    with Wire(port) as wire:
        wire.send(post(RESPONSES, responses(text, stream=True)))
        assert b"response.completed" in wire.reply().body
    (record,) = hasty.simulator.wait_for_records(1)
    assert record["terminal"] == "completed"


@pytest.mark.parametrize("path", ROUTES)
def test_a_caller_that_does_not_read_is_dropped(hasty: Pair, port: int, path: str) -> None:
    """C2: its lease comes back after the send timeout, and little is kept for it meanwhile."""
    gateway = hasty.gateway
    text = prompt(deltas=200_000, delta_chars=400)
    body = chat(text, stream=True) if path == CHAT else responses(text, stream=True)
    before = gateway.metrics()["process_resident_memory_bytes"]
    with Wire(port, receive_buffer=4_096) as wire:
        wire.send(post(path, body))
        until(lambda: gateway.metrics()["codex2api_leases"] > 0, "the call is under way")
        gateway.settled()
        after = gateway.metrics()["process_resident_memory_bytes"]
        assert after - before < 64 * MIB
        heard = wire.rest()
        assert not heard.endswith(b"0\r\n\r\n"), "a cut stream must not look like a whole one"
    (record,) = hasty.simulator.wait_for_records(1)
    assert record["client_disconnected"]


def given_up(gateway: Gateway) -> float:
    """Return how many callers the gateway has given up so far."""
    counts = gateway.metrics().items()
    return sum(
        count
        for name, count in counts
        if name.startswith("codex2api_requests_total") and 'code="499"' in name
    )


def test_a_caller_that_does_not_read_a_whole_answer_is_dropped(hasty: Pair, port: int) -> None:
    """C2: a large answer that is no stream is not kept for it either."""
    before = given_up(hasty.gateway)
    text = prompt(answer="x" * (12 * MIB), delta_chars=1 << 20)
    with Wire(port, receive_buffer=4_096) as wire:
        wire.send(post(RESPONSES, responses(text)))
        hasty.simulator.wait_for_records(1)
        until(lambda: given_up(hasty.gateway) > before, "the caller is given up")
        assert len(wire.rest()) < 12 * MIB


def test_a_silent_upstream_does_not_make_a_silent_stream(port: int) -> None:
    """Comments stand where events are missing; the head has gone out long before."""
    text = prompt("echo: hello", ttft_ms=1_000)
    with Wire(port) as wire:
        wire.send(post(RESPONSES, responses(text, stream=True)))
        body = wire.reply().body
    assert body.count(b": keep-alive\n\n") >= 2
    assert body.rstrip().split(b"\n\n")[-1].startswith(b"event: response.completed")


def test_a_gateway_that_goes_away_says_so_and_closes(start: Callable[..., Pair]) -> None:
    """From the first signal on: not ready, and `Connection: close` on every answer."""
    pair = start(limits=LIMITS)
    port = pair.gateway.port
    with Wire(port) as wire, Wire(port) as streaming:
        wire.send(head("/v1/models", method="GET"))
        assert wire.reply().status == 200
        text = prompt("echo: to the end", ttft_ms=2_000)
        streaming.send(post(RESPONSES, responses(text, stream=False)))
        until(lambda: pair.simulator.see("state")["in_flight"], "the upstream is asked")
        pair.gateway.signal(signal.SIGTERM)
        until(lambda: ask(port, head("/ready", method="GET")).status == 503, "it is not ready")
        wire.send(post(CHAT, chat()))
        reply = wire.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert wire.closed
        reply = streaming.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert b"to the end" in reply.body
    assert len(pair.simulator.wait_for_records(2)) == 2
