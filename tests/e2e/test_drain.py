"""The gateway is told to stop: it says so first, lets streams end, takes nothing new, and goes.

A load balancer sees `/ready`, a caller with a running stream sees nothing, a new caller is told to
ask elsewhere.
"""

import asyncio
import signal
import socket
import threading

import httpx
import pytest
import websockets

from tests.e2e import talking
from tests.e2e.asking import Heard, chat, hear, prompt, question
from tests.e2e.programs import API_KEY, Gateway, Pair, until

PUBLIC = "/v1/responses"
CHAT = "/v1/chat/completions"
CODEX = "/backend-api/codex/responses"
INSISTING_S = 5.0
"""As long as it may take after a second signal."""
ENDLESS = {"deltas": 100_000, "events_per_s": 20}


class Listener(threading.Thread):
    """A caller that hears one stream to its end, whatever happens meanwhile."""

    def __init__(self, gateway: Gateway, path: str, **knobs) -> None:
        super().__init__(daemon=True)
        make = chat if path == CHAT else question
        self._request = (f"{gateway.url}{path}", make(prompt(**knobs)))
        self.raw = b""
        self.heard: Heard | None = None
        self.broken: Exception | None = None
        self.start()

    def run(self) -> None:
        """Hear."""
        url, body = self._request
        headers = {"authorization": f"Bearer {API_KEY}"}
        try:
            with httpx.stream("POST", url, json=body, headers=headers, timeout=30) as answer:
                for piece in answer.iter_raw():
                    self.raw += piece
                self.heard = Heard(answer.status_code, answer.headers, self.raw)
        except httpx.HTTPError as error:
            self.broken = error


def _not_ready(gateway: Gateway) -> httpx.Response | None:
    answer = gateway.client.get("/ready")
    return answer if answer.status_code == 503 else None


def _unready(gateway: Gateway) -> bool:
    """Tell whether it takes nothing new.

    After SIGINT it may not even listen any more, or have just closed what the kernel had taken in.
    """
    try:
        return _not_ready(gateway) is not None
    except (httpx.ConnectError, httpx.RemoteProtocolError):
        return True


def _listens(gateway: Gateway) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", gateway.port)) == 0


@pytest.mark.parametrize("path", [PUBLIC, CHAT, CODEX])
def test_a_running_stream_ends_whole(start, path) -> None:
    """`/ready` says 503, then nobody listens, while the stream goes on to its terminal event."""
    pair: Pair = start(CODEX_DRAIN_TIMEOUT="30")
    gateway, simulator = pair.gateway, pair.simulator
    listener = Listener(gateway, path, deltas=8, stepwise=True, private_events=False)
    for _ in range(6):
        simulator.step()
    until(lambda: b"delta" in listener.raw, "the stream has begun")
    gateway.signal(signal.SIGTERM)
    unready = until(lambda: _not_ready(gateway), "the gateway is not ready any more")
    assert unready.json() == {"status": "draining"}
    assert unready.headers["connection"] == "close"
    assert gateway.client.get("/health").status_code == 200
    # Load balancers have not noticed yet: who comes now is answered as before.
    early = hear(gateway.client, PUBLIC, question(prompt(private_events=False)))
    assert (early.types[-1], early.headers["connection"]) == ("response.completed", "close")
    until(lambda: not _listens(gateway), "nobody listens any more")
    _release(pair, listener)
    heard = listener.heard
    assert heard is not None, listener.broken
    if path == CHAT:
        assert heard.payloads[-1] == "[DONE]"
    else:
        assert heard.types[-1] == "response.completed"
        assert heard.types.count("response.output_text.delta") == 8
    assert gateway.wait() == 0
    simulator.quiet()
    assert {record["terminal"] for record in simulator.records} == {"completed"}


def test_nothing_to_wait_for_is_not_waited_for(start) -> None:
    """An idle gateway ends by itself, and with a good status."""
    pair: Pair = start()
    pair.gateway.signal(signal.SIGINT)
    assert pair.gateway.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(start, number) -> None:
    """Whoever insists does not wait for a stream that has no end; it is told why it ends."""
    pair: Pair = start(CODEX_DRAIN_TIMEOUT="600")
    listener = Listener(pair.gateway, PUBLIC, **ENDLESS)
    until(lambda: b"delta" in listener.raw, "the stream has begun")
    pair.gateway.signal(number)
    until(lambda: _unready(pair.gateway), "the gateway is not ready any more")
    pair.gateway.signal(number)
    assert pair.gateway.wait(within_s=INSISTING_S) == 0
    listener.join(10)
    assert listener.heard is not None, listener.broken
    assert "server_draining" in listener.heard.payloads[-1]
    [record] = pair.simulator.wait_for_records(1)
    assert record["client_disconnected"]


@pytest.mark.parametrize("path", [PUBLIC, CHAT, CODEX])
def test_a_stream_that_outlasts_the_drain_is_told_so(start, path) -> None:
    """It ends with an error that may be retried; the upstream's work ends with it."""
    pair: Pair = start(CODEX_DRAIN_TIMEOUT="10")
    listener = Listener(pair.gateway, path, **ENDLESS)
    until(lambda: b"delta" in listener.raw, "the stream has begun")
    pair.gateway.signal(signal.SIGINT)
    assert pair.gateway.wait() == 0
    listener.join(10)
    assert listener.heard is not None, listener.broken
    assert listener.heard.payloads[-1] != "[DONE]"
    assert "server_draining" in listener.heard.payloads[-1]
    [record] = pair.simulator.wait_for_records(1)
    assert record["client_disconnected"]


def _release(pair: Pair, listener: Listener) -> None:
    """Step the stream to its end."""

    def over() -> bool:
        pair.simulator.client.post("step").raise_for_status()
        return not listener.is_alive()

    until(over, "the stream is over")


async def test_websockets_are_closed_between_turns(start) -> None:
    """An idle one at once, a busy one after its turn; both may come back elsewhere. Nobody new."""
    pair: Pair = start(CODEX_DRAIN_TIMEOUT="30")
    gateway = pair.gateway
    async with talking.connect(gateway) as idle, talking.connect(gateway) as busy:
        await busy.send(talking.create(prompt(deltas=100, events_per_s=20)))
        await asyncio.wait_for(busy.recv(), talking.PATIENCE_S)
        gateway.signal(signal.SIGINT)
        assert await talking.closed(idle) == (1012, [])
        for path in (PUBLIC, CHAT, CODEX):
            make = chat if path == CHAT else question
            answer = await asyncio.to_thread(gateway.client.post, path, json=make(prompt()))
            assert answer.status_code == 503, answer.text
            assert answer.json()["error"]["code"] == "server_draining"
            assert answer.headers["x-codex2api-reason"] == "server_draining"
            assert (answer.headers["retry-after"], answer.headers["connection"]) == ("1", "close")
        with pytest.raises(websockets.InvalidStatus) as refused:
            await talking.connect(gateway)
        assert refused.value.response.status_code == 503
        assert b"server_draining" in refused.value.response.body
        code, events = await talking.closed(busy)
        assert (code, events[-1]["type"]) == (1012, "response.completed")
    assert await asyncio.to_thread(gateway.wait) == 0
    [record] = pair.simulator.wait_for_records(1)
    assert record["terminal"] == "completed"


@pytest.mark.parametrize("insisting", [False, True])
async def test_a_turn_that_outlasts_the_drain_is_told_so(start, insisting) -> None:
    """At the end of the time, or when the operator insists: an error, and a close."""
    pair: Pair = start(CODEX_DRAIN_TIMEOUT="600" if insisting else "10")
    gateway = pair.gateway
    async with talking.connect(gateway) as busy:
        await busy.send(talking.create(prompt(**ENDLESS)))
        await asyncio.wait_for(busy.recv(), talking.PATIENCE_S)
        gateway.signal(signal.SIGINT)
        if insisting:
            until(lambda: _not_ready(gateway), "the gateway is not ready any more")
            gateway.signal(signal.SIGINT)
        code, events = await talking.closed(busy)
        assert (code, events[-1]["error"]["code"]) == (1012, "server_draining")
    assert await asyncio.to_thread(gateway.wait) == 0
    [record] = pair.simulator.wait_for_records(1)
    assert record["client_disconnected"]
