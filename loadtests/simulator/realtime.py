"""Realtime sessions of the API-key service: text only, one response at a time, usage at its end.

A session is created, is updated, takes items, and answers them in deltas of their own words.
"""

from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from loadtests.simulator import apikey, errors
from loadtests.simulator.exchange import Exchange
from loadtests.simulator.world import World
from loadtests.simulator.ws_socket import Socket

FAMILY: Final = "gpt-realtime"
_USAGE: Final = {
    "total_tokens": 30,
    "input_tokens": 20,
    "output_tokens": 10,
    "input_token_details": {"cached_tokens": 5},
}


async def serve(world: World, exchange: Exchange) -> None:
    """`GET /v1/realtime`: the handshake, then the session's whole life."""
    exchange.record.transport = "ws"
    key = await apikey.admitted(world, exchange)
    if key is None:
        return
    model = parse_qs(exchange.request.query).get("model", [""])[0]
    if not model.startswith(FAMILY):
        text = f"Model {model!r} is not supported in realtime mode."
        await exchange.reply(errors.problem(400, text, code="invalid_model", param="model"))
        return
    exchange.govern(world.knobs(exchange, key, model))
    socket = Socket(exchange, exchange.knobs)
    exchange.status = exchange.record.status = socket.shake_hands([])
    if exchange.status != 101:
        exchange.must_close = True
        return
    world.gauges.sockets_open += 1
    try:
        await _Session(socket, model).run()
    finally:
        world.gauges.sockets_open -= 1


class _Session:
    """One session; ends with its socket."""

    def __init__(self, socket: Socket, model: str) -> None:
        self._socket = socket
        self._model = model
        self._events = 0
        self._said = ""

    async def run(self) -> None:
        """Greet, then answer what comes."""
        session = {"type": "realtime", "object": "realtime.session", "model": self._model}
        self._say("session.created", session={"id": "sess_1", **session})
        while not self._socket.closing:
            await self._socket.wait(None)
            while self._socket.texts:
                self._take(self._socket.texts.popleft())

    def _take(self, text: bytes) -> None:
        try:
            asked = orjson.loads(text)
            kind = asked["type"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            self._say("error", error={"type": "invalid_request_error", "message": "bad event"})
            return
        match kind:
            case "session.update":
                self._say("session.updated", session=asked.get("session"))
            case "conversation.item.create":
                item = asked["item"]
                self._said = "".join(part.get("text", "") for part in item.get("content", ()))
                self._say("conversation.item.created", item={"id": "item_1", **item})
            case "response.create":
                self._answer()
            case "sim.close":
                self._socket.close(int(asked["code"]))
            case _:
                self._say("error", error={"type": "invalid_request_error", "message": kind})

    def _answer(self) -> None:
        response: dict[str, Any] = {"id": "resp_1", "object": "realtime.response"}
        self._say("response.created", response={**response, "status": "in_progress"})
        for word in self._said.split():
            self._say("response.output_text.delta", response_id="resp_1", delta=word)
        done = {**response, "status": "completed", "output": [], "usage": _USAGE}
        self._say("response.done", response=done)

    def _say(self, kind: str, **fields: Any) -> None:
        self._events += 1
        event = {"type": kind, "event_id": f"event_{self._events}", **fields}
        self._socket.send(orjson.dumps(event))
