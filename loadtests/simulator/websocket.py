"""Responses over WebSocket: the handshake and the turns of a socket.

A `Session` plays one turn at a time with the same `Playback` as HTTP. It remembers only its
latest response, so that a delta on another socket is refused, and it dies of its age, of an
oversized message, or of whatever a knob asks for.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import orjson
from websockets.frames import Opcode

from loadtests.simulator import errors, limits, turns
from loadtests.simulator.accounts import Account
from loadtests.simulator.ask import OUTPUT_TYPES, from_responses
from loadtests.simulator.config import Knobs
from loadtests.simulator.errors import Refusal
from loadtests.simulator.events import Event, Reply, ending, prelude
from loadtests.simulator.exchange import Cut, Exchange
from loadtests.simulator.item_events import play
from loadtests.simulator.knobs import BadKnobs
from loadtests.simulator.ledger import Record, digest
from loadtests.simulator.playback import Playback
from loadtests.simulator.turns import Turn
from loadtests.simulator.world import World
from loadtests.simulator.ws_socket import Socket

MINUTE_S = 60.0
OUTLIVED = (
    "Responses websocket connection limit reached (60 minutes). "
    "Create a new websocket connection to continue."
)
_REFUSALS = {
    307: "307_redirect",
    401: "401_expired",
    402: "402_deactivated",
    403: "403_restricted",
    426: "426",
    429: "429_usage_limit",
    502: "502_html",
    503: "503_overloaded",
}
_CREATE = b'"response.create"'
_NOT_ON_101 = {"cf-ray", "openai-model"}


async def serve(world: World, exchange: Exchange) -> None:
    """`GET /backend-api/codex/responses`: the handshake, then the socket's whole life."""
    headers, record = exchange.request.headers, exchange.record
    record.transport = "ws"
    found = turns.authenticate(world, headers, record)
    if not isinstance(found, Account):
        exchange.govern(world.book.standing(record.account))
        await exchange.reply(found)
        return
    knobs = world.knobs(exchange, found)
    exchange.govern(knobs)
    if knobs.ws_delay_ms:
        await asyncio.sleep(knobs.ws_delay_ms / 1000)
    refusal = _handshake_refusal(world, found, knobs, headers)
    if refusal is None:
        await Session(world, exchange, found).run()
        return
    record.fault = str(refusal.status)
    shown = [*refusal.headers, *limits.headers(found, knobs, world.clock.now())]
    await exchange.reply(Refusal(refusal.status, refusal.body, shown, refusal.content_type))


def _handshake_refusal(
    world: World, account: Account, knobs: Knobs, headers: dict[str, str]
) -> Refusal | None:
    now = time.monotonic()
    world.handshakes[:] = [at for at in world.handshakes if now - at < MINUTE_S]
    world.handshakes.append(now)
    world.gauges.handshakes += 1
    facts = world.facts(account, "", knobs)
    if knobs.ws_handshakes_per_min and len(world.handshakes) > knobs.ws_handshakes_per_min:
        return errors.named("429_rate_limit", facts, knobs)
    if knobs.ws_status is not None:
        return errors.FAULTS[_REFUSALS.get(knobs.ws_status, "500")](facts)
    if headers.get("upgrade", "").lower() != "websocket":
        return errors.detail(405, "Method Not Allowed")
    if knobs.strict and "responses_websockets" not in headers.get("openai-beta", ""):
        return errors.detail(400, "Missing OpenAI-Beta: responses_websockets")
    if account.exhausted(world.clock.now()) is not None:
        return errors.usage_limit(facts)
    return None


class WsSink:
    """Events as text frames; the payload is counted and hashed for the ledger."""

    def __init__(self, socket: Socket, exchange: Exchange, knobs: Knobs) -> None:
        self._socket = socket
        self._exchange = exchange
        self._knobs = knobs
        self._sent = 0

    @property
    def blocked(self) -> bool:
        """Whether the send buffer is full."""
        return self._socket.blocked

    def spell(self, name: bytes, payload: bytes) -> bytes:
        """A frame is the payload itself; the name is inside it."""
        del name
        return payload

    def pieces(self, data: bytes) -> list[bytes]:
        """Frames are cut by `ws_fragment_bytes`, not by `chunking`."""
        return [data]

    def comment(self) -> bytes:
        """A socket has pings instead of comments."""
        return b""

    def write(self, data: bytes) -> None:
        """Send one event. Raises Cut where the knobs close the socket."""
        if not data:
            return
        opcode = Opcode.BINARY if self._sent == self._knobs.ws_binary_at else Opcode.TEXT
        self._exchange.count(data)
        self._socket.send(data, opcode)
        self._sent += 1
        if self._sent == self._knobs.ws_close_after_events:
            raise Cut


class Session:
    """The turns of one socket. `run` lasts as long as the socket does."""

    def __init__(self, world: World, exchange: Exchange, account: Account) -> None:
        self._world = world
        self._exchange = exchange
        self._account = account
        self._knobs = exchange.knobs
        self._socket = Socket(exchange, self._knobs)
        self._socket.on_text = self._note_overlap
        self._began = time.monotonic()
        self._last_id: str | None = None
        self._last_calls: frozenset[str] = frozenset()
        self._close_code = self._knobs.ws_close_after_terminal
        self._turns = 0
        self._pending = 0

    async def run(self) -> None:
        """Shake hands, then serve turns until the socket closes."""
        exchange = self._exchange
        turn = self._turn({}, 0, exchange.record)
        headers = [
            (name, value)
            for name, value in turns.head_headers(self._world, turn)
            if name not in _NOT_ON_101
        ]
        headers.append(("x-sim-request-id", exchange.id))
        exchange.status = self._socket.shake_hands(headers)
        if exchange.status != 101:
            exchange.must_close = True
            return
        gauges = self._world.gauges
        gauges.sockets_open += 1
        gauges.sockets_max = max(gauges.sockets_max, gauges.sockets_open)
        gauges.in_flight -= 1  # a socket is no request: its turns are
        try:
            await self._serve_turns()
        finally:
            gauges.in_flight += 1
            gauges.sockets_open -= 1

    async def _serve_turns(self) -> None:
        socket = self._socket
        while not socket.closing:
            left_s = self._knobs.ws_lifetime_s - (time.monotonic() - self._began)
            if left_s <= 0:
                await self._outlived()
            elif not socket.texts:
                await socket.wait(left_s)
            else:
                text = socket.texts.popleft()
                await self._serve_turn(text)
                self._pending -= _CREATE in text
                self._between_turns()

    def _between_turns(self) -> None:
        for number in range(self._knobs.ws_idle_frames):
            kept = limits.event(self._account, self._world.clock.now())
            self._socket.send(orjson.dumps({**kept, "idle": number}))
        if self._close_code is not None:
            self._socket.close(self._close_code)

    async def _outlived(self) -> None:
        """Say that the socket is too old; pings are still answered until the peer leaves."""
        code = "websocket_connection_limit_reached"
        refusal = errors.problem(400, OUTLIVED, code=code)
        self._send_error(refusal, self._knobs)
        while not self._socket.closing:
            await self._socket.wait(None)
            while self._socket.texts:
                self._socket.texts.popleft()
                self._send_error(refusal, self._knobs)

    def _note_overlap(self, text: bytes) -> None:
        if _CREATE not in text:
            return
        self._pending += 1
        if self._pending == 1:
            return
        detail = "response.create while a response was in flight on the socket"
        kind = "two_turns_on_a_socket"
        self._world.ledger.violate(kind, self._exchange.id, self._account.id, detail)
        if self._knobs.ws_busy == "error":
            self._pending -= 1
            self._socket.texts.pop()
            busy = errors.problem(400, "A response is already in progress.", code="busy")
            self._send_error(busy, self._knobs)

    async def _serve_turn(self, text: bytes) -> None:
        world, account, exchange = self._world, self._account, self._exchange
        self._turns += 1
        record = world.record(exchange, text)
        record.id = f"{exchange.id}.{self._turns}"
        record.transport, record.account = "ws", account.id
        record.generation = exchange.record.generation
        record.began_ns = time.monotonic_ns()
        record.request_sha256 = digest(text)
        exchange.restart_count()
        account.enter()
        world.gauges.entered(record.path)
        try:
            await self._answer(text, record)
        finally:
            account.leave()
            record.in_flight_max = account.in_flight_max
            record.body_bytes, record.body_sha256 = (
                exchange.body_bytes,
                exchange.digest.hexdigest(),
            )
            record.client_disconnected = exchange.is_lost and record.terminal is None
            record.client_disconnected_at_ns = exchange.lost_at_ns
            world.gauges.left(record.status)
            account.statuses[record.status] = account.statuses.get(record.status, 0) + 1
            world.ledger.add(record)

    def _turn(self, body: dict[str, Any], size: int, record: Record) -> Turn:
        headers = self._exchange.request.headers
        ask = from_responses(body)
        return Turn(self._account, body, ask, self._knobs, record, headers, "ws", size)

    async def _answer(self, text: bytes, record: Record) -> None:
        try:
            body = orjson.loads(text)
            kind = body.get("type")
        except (orjson.JSONDecodeError, AttributeError):
            self._refuse(record, errors.problem(400, "Invalid JSON message."), self._knobs)
            return
        if kind == "response.processed":
            record.status = 200
            return
        turn = self._turn(body, len(text), record)
        refusal = self._governed(turn) or self._refusal(turn, kind)
        if turn.knobs.silence != "no":
            await self._exchange.gone()
        if turn.knobs.break_before_head != "no":
            self._socket.break_off(turn.knobs.break_before_head)
        elif refusal is not None:
            self._last_id = None
            self._refuse(record, refusal, turn.knobs)
        else:
            await self._play(turn)

    def _governed(self, turn: Turn) -> Refusal | None:
        """Give the turn its knobs; a refusal when they are wrong."""
        try:
            turn.knobs = self._world.knobs(self._exchange, self._account, turn.model, turn.ask.text)
        except BadKnobs as error:
            return errors.problem(400, str(error), code="bad_sim_knobs")
        turns.note_identity(self._world, turn)
        self._close_code = turn.knobs.ws_close_after_terminal
        return None

    def _refusal(self, turn: Turn, kind: Any) -> Refusal | None:
        if kind != "response.create":
            return errors.problem(400, f"Unknown message type {kind!r}.")
        previous = turn.body.get("previous_response_id")
        known: frozenset[str] = frozenset()
        if previous is not None:
            if previous != self._last_id or not turn.knobs.ws_memory:
                return _unknown_previous(str(previous), turn.knobs)
            known = self._last_calls
        return turns.refusal_of(self._world, turn, known)

    def _refuse(self, record: Record, refusal: Refusal, knobs: Knobs) -> None:
        record.status = refusal.status
        self._send_error(refusal, knobs)

    def _send_error(self, refusal: Refusal, knobs: Knobs) -> None:
        headers = dict(limits.headers(self._account, knobs, self._world.clock.now()))
        self._socket.send(error_frame(refusal, headers, knobs.ws_error_shape))

    async def _play(self, turn: Turn) -> None:
        world, knobs, record = self._world, turn.knobs, turn.record
        reply = turns.compose(world, turn)
        if knobs.headers_delay_ms:
            await asyncio.sleep(knobs.headers_delay_ms * knobs.time_scale / 1000)
        events = _warm_up(reply) if turn.body.get("generate") is False else play(reply)
        stream_id = turn.body.get("stream_id")
        if stream_id is not None:
            events = _echoing(events, str(stream_id))
        sink = WsSink(self._socket, self._exchange, knobs)
        playback = self._socket.playback = Playback(events, sink, knobs, world.wheel)
        record.status = 200
        try:
            playback.start()
            outcome = await playback.finished
        finally:
            self._socket.playback = None
            turns.book_playback(world, turn, reply, playback)
        self._remember(turn, reply, playback.terminal)
        if outcome == "cut":
            await self._cut(knobs)

    def _remember(self, turn: Turn, reply: Reply, terminal: str | None) -> None:
        """Keep what the next turn may continue; a failed turn leaves nothing."""
        self._last_id = reply.id if terminal == "completed" else None
        calls = {str(item["call_id"]) for item in reply.output if "call_id" in item}
        answered = {
            str(item.get("call_id"))
            for item in turn.body.get("input") or ()
            if isinstance(item, dict) and item.get("type") in OUTPUT_TYPES
        }
        self._last_calls = frozenset(calls - answered)

    async def _cut(self, knobs: Knobs) -> None:
        if knobs.ws_close_after_events is not None:
            self._socket.close(knobs.ws_close_code)
        elif knobs.cut_mode == "hang":
            await self._exchange.gone()
        elif knobs.cut_mode == "eof":
            self._socket.close(1000)
        else:
            await self._exchange.flushed()
            self._socket.break_off(knobs.cut_mode)


def error_frame(refusal: Refusal, headers: dict[str, str], shape: str) -> bytes:
    """A refusal as an error frame, in one of the shapes that are seen."""
    try:
        body = orjson.loads(refusal.body)
    except orjson.JSONDecodeError:
        body = {"error": {"message": "upstream error", "type": "server_error"}}
    fields = body.get("error") or {"message": str(body.get("detail")), "type": None}
    shown: dict[str, Any] = {"type": "error"}
    match shape:
        case "body":
            shown |= {"status": refusal.status, "body": {"error": fields}}
        case "flat":
            rest = {name: value for name, value in fields.items() if name != "type"}
            shown |= {"status_code": refusal.status, "error_type": fields.get("type"), **rest}
        case "no_status":
            shown |= {"error": fields}
        case _:
            shown |= {"status": refusal.status, "error": fields, "headers": headers}
    return orjson.dumps(shown)


def _unknown_previous(previous: str, knobs: Knobs) -> Refusal:
    if knobs.ws_previous_spelling == "text":
        return errors.problem(400, "Invalid `previous_response_id`")
    text = f"Previous response with id '{previous}' not found."
    return errors.problem(
        400, text, code="previous_response_not_found", param="previous_response_id"
    )


def _warm_up(reply: Reply) -> Iterator[Event]:
    """A turn without generation: it begins and completes."""
    reply.input_tokens = 0
    yield from prelude(reply)
    yield from ending(reply, complete=True)


def _echoing(events: Iterator[Event], stream_id: str) -> Iterator[Event]:
    """The events with the lane they belong to."""
    extra = b',"stream_id":%b}' % orjson.dumps(stream_id)
    for event in events:
        if not event.head:
            yield event
        elif event.tail is None:
            yield event._replace(head=event.head[:-1] + extra)
        else:
            yield event._replace(tail=event.tail[:-1] + extra)
