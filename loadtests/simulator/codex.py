"""The Codex backend's HTTP endpoints: responses, compact, models, usage, reset credits."""

import asyncio
from typing import Any
from urllib.parse import parse_qs

import orjson

from loadtests.simulator import errors, limits, manifest, turns
from loadtests.simulator.accounts import Account
from loadtests.simulator.ask import from_responses
from loadtests.simulator.encode import Compressor, decoded
from loadtests.simulator.errors import SSE, Refusal
from loadtests.simulator.exchange import Cut, Exchange
from loadtests.simulator.item_events import content, play
from loadtests.simulator.ledger import digest
from loadtests.simulator.playback import Playback, SseSink
from loadtests.simulator.turns import Turn
from loadtests.simulator.world import World

BOMB_BLOCK = b"\0" * (1 << 20)


async def responses(world: World, exchange: Exchange) -> None:
    """`POST /backend-api/codex/responses`."""
    account = await _admitted(world, exchange)
    if account is None:
        return
    account.enter()
    try:
        turn = await _read_turn(world, exchange, account, "http")
        if turn is None:
            return
        await _lead_in(exchange)
        early = exchange.status != 0
        bomb = turn.knobs.fault == "gzip_bomb"
        refusal = None if early or bomb else turns.refusal_of(world, turn)
        if bomb:
            await _bomb(exchange)
        elif refusal is not None:
            await _refuse(world, exchange, turn, refusal)
        else:
            await _stream(world, exchange, turn)
        turns.count_status(turn, exchange.status)
    finally:
        account.leave()
        exchange.record.in_flight_max = account.in_flight_max


async def compact(world: World, exchange: Exchange) -> None:
    """`POST /backend-api/codex/responses/compact`: the legacy unary form."""
    account = await _admitted(world, exchange)
    if account is None:
        return
    account.enter()
    try:
        turn = await _read_turn(world, exchange, account, "compact")
        if turn is None:
            return
        await _lead_in(exchange)
        if turn.knobs.compact == "404":
            await exchange.reply(errors.detail(404, "Not Found"))
            return
        refusal = turns.refusal_of(world, turn)
        if refusal is not None:
            await _refuse(world, exchange, turn, refusal)
            return
        turn.ask.compaction = True
        reply = turns.compose(world, turn)
        for _ in content(reply):
            pass
        turns.settle(world, turn, reply, "completed")
        turn.record.tokens = reply.final_usage()
        fields = {"id": reply.id, "object": "response.compaction", "output": reply.output}
        body = orjson.dumps({**fields, "usage": reply.final_usage()})
        await exchange.reply(Refusal(200, body, turns.head_headers(world, turn)))
    finally:
        account.leave()


async def models(world: World, exchange: Exchange) -> None:
    """`GET /backend-api/codex/models`: the manifest, or 304 when it is known."""
    account = await _admitted(world, exchange)
    if account is None:
        return
    knobs = world.knobs(exchange, account)
    exchange.govern(knobs)
    await _lead_in(exchange)
    if knobs.fault is not None:
        await exchange.reply(errors.named(knobs.fault, world.facts(account, "", knobs), knobs))
        return
    if not parse_qs(exchange.request.query).get("client_version"):
        text = "models requested without client_version"
        world.ledger.violate("invalid_request", exchange.id, account.id, text)
    known = {slug: model for slug, model in world.models.items() if account.entitled(slug)}
    body = manifest.body(known)
    etag = manifest.etag(body)
    if exchange.request.headers.get("if-none-match") == etag:
        await exchange.begin(304, [("etag", etag), ("x-sim-request-id", exchange.id)], 0)
        exchange.end()
        return
    await exchange.reply(Refusal(200, body, [("etag", etag)]))


async def usage(world: World, exchange: Exchange) -> None:
    """`GET /backend-api/wham/usage`."""
    await _account_json(world, exchange, lambda one: limits.usage(one, world.clock.now()))


async def reset_credits(world: World, exchange: Exchange) -> None:
    """`GET /backend-api/wham/rate-limit-reset-credits`."""
    await _account_json(world, exchange, _credits)


async def consume_credit(world: World, exchange: Exchange) -> None:
    """`POST /backend-api/wham/rate-limit-reset-credits/consume`, idempotent on its request id."""
    body = orjson.loads(await exchange.request.body() or b"{}")
    await _account_json(world, exchange, lambda account: _consumed(world, account, body))


def _credit(number: int, *, status: str = "available") -> dict[str, Any]:
    return {
        "id": f"credit_{number}",
        "reset_type": "codex_rate_limits",
        "status": status,
        "granted_at": "2026-08-01T00:00:00Z",
        "expires_at": "2027-08-01T00:00:00Z",
        "consumable_until": "2027-08-01T00:00:00Z",
        "title": "Rate limit reset",
    }


def _credits(account: Account) -> dict[str, Any]:
    found = [_credit(number) for number in range(1, account.reset_credits + 1)]
    return {"available_count": account.reset_credits, "credits": found}


def _consumed(world: World, account: Account, body: dict[str, Any]) -> dict[str, Any]:
    request_id = str(body.get("redeem_request_id", ""))
    if request_id in account.redeemed:
        return account.redeemed[request_id]
    if not account.reset_credits:
        return {"code": "no_credit", "windows_reset": 0, "credit": None}
    used = [window for window in account.windows(world.clock.now()) if window.used_percent]
    if not used:
        return {"code": "nothing_to_reset", "windows_reset": 0, "credit": None}
    spent = _credit(account.reset_credits, status="consumed")
    account.reset_credits -= 1
    for window in used:
        window.used_percent = 0.0
    found = {"code": "reset", "windows_reset": len(used), "credit": spent}
    account.redeemed[request_id] = found
    return found


async def _account_json(world: World, exchange: Exchange, show: Any) -> None:
    account = await _admitted(world, exchange)
    if account is None:
        return
    knobs = world.knobs(exchange, account)
    exchange.govern(knobs)
    await _lead_in(exchange)
    if knobs.fault is not None:
        await exchange.reply(errors.named(knobs.fault, world.facts(account, "", knobs), knobs))
        return
    await exchange.reply(Refusal(200, orjson.dumps(show(account))))


async def _admitted(world: World, exchange: Exchange) -> Account | None:
    """The account, or None after the refusal was sent."""
    found = turns.authenticate(world, exchange.request.headers, exchange.record)
    if isinstance(found, Account):
        return found
    exchange.govern(world.book.standing(exchange.record.account))
    await exchange.request.body()
    await exchange.reply(found)
    return None


async def _read_turn(
    world: World, exchange: Exchange, account: Account, transport: str
) -> Turn | None:
    """The turn that the body describes, or None after a refusal was sent."""
    if world.book.standing(account.id).early_response:
        exchange.govern(world.book.standing(account.id))
        await exchange.begin(200, [("content-type", SSE)])
    raw = await exchange.request.body()
    record = exchange.record
    record.request_bytes, record.request_sha256 = len(raw), digest(raw)
    body = _json_object(raw, exchange.request.headers.get("content-encoding", ""))
    if body is None:
        await exchange.reply(errors.detail(400, "Invalid request body: expected a JSON object"))
        text = "the body is not a JSON object, or not in its content-encoding"
        world.ledger.violate("invalid_request", exchange.id, account.id, text)
        return None
    ask = from_responses(body)
    model = body.get("model")
    knobs = world.knobs(exchange, account, model if isinstance(model, str) else None, ask.text)
    exchange.govern(knobs)
    headers = exchange.request.headers
    turn = Turn(account, body, ask, knobs, record, headers, transport, len(raw))
    turns.note_identity(world, turn)
    return turn


def _json_object(raw: bytes, encoding: str) -> dict[str, Any] | None:
    try:
        body = orjson.loads(decoded(raw, encoding))
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


async def _lead_in(exchange: Exchange) -> None:
    """What happens before a head is written: silence, a break, or a delay."""
    knobs = exchange.knobs
    if knobs.silence == "head":
        await exchange.gone()
    if knobs.break_before_head != "no":
        raise Cut
    if knobs.headers_delay_ms:
        await asyncio.sleep(knobs.headers_delay_ms * knobs.time_scale / 1000)


async def _refuse(world: World, exchange: Exchange, turn: Turn, refusal: Refusal) -> None:
    headers = [*refusal.headers, *turns.limit_headers(world, turn, refusal)]
    full = Refusal(refusal.status, refusal.body, headers, refusal.content_type)
    await exchange.reply(full)


async def _stream(world: World, exchange: Exchange, turn: Turn) -> None:
    knobs = turn.knobs
    reply = turns.compose(world, turn)
    if not exchange.status:
        headers = [
            ("content-type", knobs.content_type or SSE),
            ("cache-control", "no-cache"),
            ("x-sim-request-id", exchange.id),
            *turns.head_headers(world, turn),
        ]
        if knobs.encoding != "identity":
            headers.append(("content-encoding", knobs.encoding))
        await exchange.begin(200, headers)
    if knobs.silence == "body":
        await exchange.gone()
    sink = SseSink(exchange, world.config.seed)
    playback = Playback(play(reply), sink, knobs, world.wheel)
    try:
        await perform(exchange, playback, sink)
    finally:
        turns.book_playback(world, turn, reply, playback)


async def perform(exchange: Exchange, playback: Playback, sink: SseSink) -> None:
    """Play a stream to its end and end the body. Raises Cut when the knobs cut it."""
    exchange.on_lost = playback.lost
    exchange.on_resumed = playback.resumed
    playback.start()
    outcome = await playback.finished
    if outcome == "cut":
        raise Cut
    if outcome == "end":
        sink.finish()
        if exchange.knobs.post_terminal_linger_ms:
            await asyncio.sleep(exchange.knobs.post_terminal_linger_ms / 1000)
        exchange.end()


async def _bomb(exchange: Exchange) -> None:
    """A small body that decompresses to `bomb_mib` MiB."""
    compress = Compressor("gzip")
    headers = [("content-type", SSE), ("content-encoding", "gzip")]
    await exchange.begin(200, headers)
    for _ in range(exchange.knobs.bomb_mib):
        exchange.body(compress(BOMB_BLOCK))
        await exchange.flushed()
    exchange.body(compress.finish())
    exchange.end()
