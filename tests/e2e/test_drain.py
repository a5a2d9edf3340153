"""The gateway is told to stop: it says so first, lets streams end, takes nothing new, and goes.

A load balancer sees `/ready`, a caller with a running stream sees nothing, a new caller is told to
ask elsewhere.
"""

import asyncio
import signal
import threading

import httpx
import pytest
import websockets

from tests.e2e import talking
from tests.e2e.asking import Heard, chat, prompt, question
from tests.e2e.programs import API_KEY, Gateway, Pair, until

PUBLIC = "/v1/responses"
CHAT = "/v1/chat/completions"
CODEX = "/backend-api/codex/responses"
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


@pytest.mark.parametrize("path", [PUBLIC, CHAT, CODEX])
def test_a_running_stream_ends_whole(start, path) -> None:
    """`/ready` says 503 and new calls too, while the stream goes on to its terminal event."""
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
    for other in (PUBLIC, CHAT, CODEX):
        make = chat if other == CHAT else question
        refused = gateway.client.post(other, json=make(prompt()))
        assert refused.status_code == 503, refused.text
        assert refused.json()["error"]["code"] == "server_draining"
        assert refused.headers["x-codex2api-reason"] == "server_draining"
        assert refused.headers["retry-after"] == "1"
    _release(pair, listener)
    heard = listener.heard
    assert heard is not None, listener.broken
    if path == CHAT:
        assert heard.payloads[-1] == "[DONE]"
    else:
        assert heard.types[-1] == "response.completed"
        assert heard.types.count("response.output_text.delta") == 8
    assert gateway.wait() == 0
    [record] = simulator.wait_for_records(1)
    assert record["terminal"] == "completed"


def test_nothing_to_wait_for_is_not_waited_for(start) -> None:
    """An idle gateway ends by itself, and with a good status."""
    pair: Pair = start()
    pair.gateway.signal(signal.SIGINT)
    assert pair.gateway.wait() == 0


def test_a_second_signal_ends_it_at_once(start) -> None:
    """Whoever insists does not wait for a stream that has no end."""
    pair: Pair = start(CODEX_DRAIN_TIMEOUT="600")
    listener = Listener(pair.gateway, PUBLIC, **ENDLESS)
    until(lambda: b"delta" in listener.raw, "the stream has begun")
    pair.gateway.signal(signal.SIGTERM)
    until(lambda: _not_ready(pair.gateway), "the gateway is not ready any more")
    pair.gateway.signal(signal.SIGTERM)
    pair.gateway.wait(within_s=20)
    listener.join(10)
    assert not listener.is_alive()
    [record] = pair.simulator.wait_for_records(1)
    assert record["client_disconnected"]


def test_a_stream_that_outlasts_the_drain_is_cut(start) -> None:
    """The upstream's work ends with the gateway: nothing is left behind."""
    pair: Pair = start(CODEX_DRAIN_TIMEOUT="1")
    listener = Listener(pair.gateway, PUBLIC, **ENDLESS)
    until(lambda: b"delta" in listener.raw, "the stream has begun")
    pair.gateway.signal(signal.SIGINT)
    pair.gateway.wait()
    listener.join(10)
    assert not listener.is_alive()
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
        await busy.send(talking.create(prompt(deltas=40, events_per_s=20)))
        await asyncio.wait_for(busy.recv(), talking.PATIENCE_S)
        gateway.signal(signal.SIGTERM)
        assert await talking.closed(idle) == (1012, [])
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
    pair: Pair = start(CODEX_DRAIN_TIMEOUT="600" if insisting else "4")
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
