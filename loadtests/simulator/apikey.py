"""The API-key service: Responses and Chat Completions as the public API speaks them.

Lenient where the Codex backend is strict: it answers unstreamed requests natively, sends the full
output in the terminal event, knows nothing of accounts, and limits by `x-ratelimit-*` headers.
Each API key is counted like an account of that name.

Below `/compatible` the same chat and embeddings are served as small compatible servers do: without
a key, without Responses, and with models of their own. That server is the account `compatible`.
"""

import asyncio
from typing import Any

import orjson

from loadtests.simulator import ask as asks
from loadtests.simulator import chat, counting, embeddings, errors, images, script
from loadtests.simulator.accounts import Account
from loadtests.simulator.codex import perform
from loadtests.simulator.config import AccountSpec, Knobs
from loadtests.simulator.encode import decoded
from loadtests.simulator.errors import SSE, Facts, Refusal
from loadtests.simulator.events import CHARS_PER_TOKEN, Reply, response_object
from loadtests.simulator.exchange import Cut, Exchange
from loadtests.simulator.item_events import content, play
from loadtests.simulator.ledger import digest
from loadtests.simulator.playback import Playback, SseSink
from loadtests.simulator.validation import COMPACT_PARAMETERS
from loadtests.simulator.world import World

REQUESTS_LIMIT = 10_000
TOKENS_LIMIT = 30_000_000
COMPATIBLE = "compatible"
COMPATIBLE_MODELS = ("qwen3", "nomic-embedding")
EMBEDDING_MODEL = "text-embedding-3-small"
IMAGE_MODEL = "gpt-image-1"


class _Visit:
    """One request with a valid key, read and governed."""

    def __init__(self, world: World, exchange: Exchange, key: Account) -> None:
        self.world = world
        self.exchange = exchange
        self.key = key
        self.body: dict[str, Any] = {}
        self.ask = asks.Ask()
        self.size = 0

    @property
    def knobs(self) -> Knobs:
        """What governs the reply."""
        return self.exchange.knobs

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.body.get("model", ""))

    @property
    def streams(self) -> bool:
        """Whether events are wanted."""
        return self.body.get("stream") is True


async def responses(world: World, exchange: Exchange) -> None:
    """`POST /v1/responses`."""
    key = await admitted(world, exchange)
    if key is None:
        return
    key.enter()
    try:
        visit = await _read(world, exchange, key, asks.from_responses)
        if visit is None or await _refused(visit):
            return
        if "input" not in visit.body:
            text = "Missing required parameter: 'input'."
            await exchange.reply(errors.problem(400, text, param="input"))
            return
        reply = _reply(visit)
        if visit.streams:
            await _stream(visit, reply, Playback(play(reply), *_stage(visit)))
            return
        for _ in content(reply):
            pass
        await _paced(visit)
        body = orjson.dumps(response_object(reply, "completed", with_output=True))
        exchange.record.terminal = "completed"
        exchange.record.tokens = reply.usage
        await exchange.reply(Refusal(200, body, _headers(visit)))
    finally:
        _leave(exchange, key)


async def compact(world: World, exchange: Exchange) -> None:
    """`POST /v1/responses/compact`: a conversation in, the same made short out."""
    key = await admitted(world, exchange)
    if key is None:
        return
    key.enter()
    try:
        visit = await _read(world, exchange, key, asks.from_responses)
        if visit is None or await _refused(visit):
            return
        stray = sorted(visit.body.keys() - COMPACT_PARAMETERS)
        if stray:
            text = f"Unknown parameter: '{stray[0]}'."
            await exchange.reply(errors.problem(400, text, param=stray[0]))
            return
        visit.ask.compaction = True
        reply = _reply(visit)
        for _ in content(reply):
            pass
        exchange.record.terminal = "completed"
        exchange.record.tokens = reply.usage
        body = {
            "id": reply.id,
            "object": "response.compaction",
            "created_at": reply.created_at,
            "output": reply.output,
            "usage": reply.final_usage(),
        }
        await exchange.reply(Refusal(200, orjson.dumps(body), _headers(visit)))
    finally:
        _leave(exchange, key)


async def chat_completions(world: World, exchange: Exchange) -> None:
    """`POST /v1/chat/completions`."""
    key = await admitted(world, exchange)
    if key is None:
        return
    key.enter()
    try:
        visit = await _read(world, exchange, key, asks.from_chat)
        if visit is None or await _refused(visit):
            return
        if not isinstance(visit.body.get("messages"), list):
            text = "Missing required parameter: 'messages'."
            await exchange.reply(errors.problem(400, text, param="messages"))
            return
        reply = _reply(visit)
        if visit.streams:
            await _stream(visit, reply, Playback(chat.play(reply), *_stage(visit)))
            return
        await _paced(visit)
        body = orjson.dumps(chat.completion(reply))
        exchange.record.terminal = "completed"
        exchange.record.tokens = reply.usage
        await exchange.reply(Refusal(200, body, _headers(visit)))
    finally:
        _leave(exchange, key)


async def embed(world: World, exchange: Exchange) -> None:
    """`POST /v1/embeddings`."""
    key = await admitted(world, exchange)
    if key is None:
        return
    key.enter()
    try:
        visit = await _read(world, exchange, key, asks.from_chat)
        if visit is None or await _refused(visit):
            return
        body = embeddings.reply(visit.body)
        exchange.record.terminal = "completed"
        exchange.record.tokens = body["usage"]
        await exchange.reply(Refusal(200, orjson.dumps(body), _headers(visit)))
    finally:
        _leave(exchange, key)


async def draw(world: World, exchange: Exchange) -> None:
    """`POST /v1/images/generations` and `/v1/images/edits`."""
    key = await admitted(world, exchange)
    if key is None:
        return
    key.enter()
    try:
        visit = await _read(world, exchange, key, asks.from_chat)
        if visit is None or await _refused(visit):
            return
        body = images.reply(visit.body, int(world.clock.now()))
        exchange.record.terminal = "completed"
        exchange.record.tokens = body["usage"]
        await exchange.reply(Refusal(200, orjson.dumps(body), _headers(visit)))
    finally:
        _leave(exchange, key)


async def models(world: World, exchange: Exchange) -> None:
    """`GET /v1/models`."""
    key = await admitted(world, exchange)
    if key is None:
        return
    exchange.govern(world.knobs(exchange, key))
    if exchange.knobs.fault is not None:
        facts = Facts("", "api", world.clock.now(), world.clock.now())
        await exchange.reply(errors.named(exchange.knobs.fault, facts, exchange.knobs))
        return
    entries = [
        {"id": slug, "object": "model", "created": 1_780_000_000, "owned_by": "simulator"}
        for slug in (
            COMPATIBLE_MODELS
            if key.id == COMPATIBLE
            else (*world.models, EMBEDDING_MODEL, IMAGE_MODEL)
        )
    ]
    await exchange.reply(Refusal(200, orjson.dumps({"object": "list", "data": entries})))


async def admitted(world: World, exchange: Exchange) -> Account | None:
    """Return whose key it is; None once a wrong one has been answered."""
    token = exchange.request.headers.get("authorization", "").partition(" ")[2]
    if exchange.request.path.startswith(f"/{COMPATIBLE}/"):
        token = COMPATIBLE
    if token == COMPATIBLE or token in world.config.api_keys:
        exchange.record.account = token
        return world.api_keys.setdefault(token, Account(AccountSpec(id=token), world.clock))
    await exchange.request.body()
    text = f"Incorrect API key provided: {token[:8]}***."
    await exchange.reply(errors.problem(401, text, code="invalid_api_key"))
    return None


async def _read(world: World, exchange: Exchange, key: Account, facts_of: Any) -> _Visit | None:
    visit = _Visit(world, exchange, key)
    raw = await exchange.request.body()
    record = exchange.record
    record.request_bytes, record.request_sha256 = len(raw), digest(raw)
    try:
        raw = decoded(raw, exchange.request.headers.get("content-encoding", ""))
        body = orjson.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        text = "We could not parse the JSON body of your request."
        await exchange.reply(errors.problem(400, text))
        return None
    visit.body, visit.size = body, len(raw)
    visit.ask = facts_of(body)
    knobs = world.knobs(exchange, key, visit.model, visit.ask.text)
    exchange.govern(knobs)
    record.model, record.tenant, record.nonce = visit.model, knobs.tenant, knobs.nonce
    record.in_flight = key.in_flight
    return visit


async def _refused(visit: _Visit) -> bool:
    """Answer an injected fault or an unknown model; true when that was done."""
    exchange, knobs, world = visit.exchange, visit.knobs, visit.world
    if knobs.silence == "head":
        await exchange.gone()
    if knobs.break_before_head != "no":
        raise Cut
    if knobs.headers_delay_ms:
        await asyncio.sleep(knobs.headers_delay_ms * knobs.time_scale / 1000)
    now = world.clock.now()
    facts = Facts(visit.model, "api", now, now + knobs.resets_in_s)
    if knobs.fault is not None:
        exchange.record.fault = knobs.fault
        refusal = errors.named(knobs.fault, facts, knobs)
    elif knobs.status is not None:
        exchange.record.fault = str(knobs.status)
        refusal = errors.adjusted(errors.problem(knobs.status, "Injected", kind=None), knobs)
    elif knobs.strict and not _known(visit):
        refusal = errors.named("404_model", facts, knobs)
        if visit.key.id == COMPATIBLE:
            refusal = errors.problem(404, f'model "{visit.model}" not found', kind="api_error")
    else:
        return False
    headers = [*refusal.headers, *_rate_headers(visit)]
    await exchange.reply(Refusal(refusal.status, refusal.body, headers, refusal.content_type))
    return True


def _known(visit: _Visit) -> bool:
    if visit.key.id == COMPATIBLE:
        return visit.model in COMPATIBLE_MODELS
    special = "embedding" in visit.model or visit.model == IMAGE_MODEL
    return special or visit.model in visit.world.models


def _reply(visit: _Visit) -> Reply:
    world, knobs = visit.world, visit.knobs
    setting = script.Setting(
        seed=world.config.seed,
        account="an API key",
        plan="pay as you go",
        model=visit.model,
        transport="http",
        used_percent=0.0,
        requests=visit.key.requests,
    )
    reply = Reply(
        key=world.next_response_key(),
        created_at=int(world.clock.now()),
        model=visit.model,
        request=visit.body,
        knobs=knobs,
        items=script.answer(visit.ask, knobs, setting),
        plan="api",
        resets_at=world.clock.now() + knobs.resets_in_s,
        seal=lambda item_id: world.mint.encrypted_content(visit.key.id, item_id),
        private=[],
        seed=world.config.seed,
        input_tokens=counting.input_tokens(visit.body),
        full_output=True,
    )
    visit.exchange.record.response_id = reply.id
    return reply


def _stage(visit: _Visit) -> tuple[SseSink, Knobs, Any]:
    return SseSink(visit.exchange, visit.world.config.seed), visit.knobs, visit.world.wheel


async def _stream(visit: _Visit, reply: Reply, playback: Playback) -> None:
    exchange, record = visit.exchange, visit.exchange.record
    headers = [("content-type", visit.knobs.content_type or SSE), *_headers(visit)]
    if visit.knobs.encoding != "identity":
        headers.append(("content-encoding", visit.knobs.encoding))
    await exchange.begin(200, [*headers, ("x-sim-request-id", exchange.id)])
    if visit.knobs.silence == "body":
        await exchange.gone()
    sink = playback.sink
    assert isinstance(sink, SseSink)  # noqa: S101  (narrows the type)
    try:
        await perform(exchange, playback, sink)
    finally:
        record.events = playback.delivered
        record.first_write_ns = playback.first_write_ns
        record.last_write_ns = playback.last_write_ns
        record.terminal = playback.terminal
        record.tokens = reply.usage if playback.terminal else None
        visit.world.gauges.events += playback.delivered


async def _paced(visit: _Visit) -> None:
    """The time that an unstreamed answer takes."""
    if visit.knobs.ttft_ms:
        await asyncio.sleep(visit.knobs.ttft_ms * visit.knobs.time_scale / 1000)


def _headers(visit: _Visit) -> list[tuple[str, str]]:
    return [
        ("x-request-id", visit.exchange.id),
        ("openai-version", "2020-10-01"),
        ("openai-processing-ms", "12"),
        *_rate_headers(visit),
    ]


def _rate_headers(visit: _Visit) -> list[tuple[str, str]]:
    if visit.knobs.limit_headers == "none":
        return []
    left = max(0, REQUESTS_LIMIT - int(visit.key.rpm()))
    fields: dict[str, str | None] = {
        "x-ratelimit-limit-requests": str(REQUESTS_LIMIT),
        "x-ratelimit-limit-tokens": str(TOKENS_LIMIT),
        "x-ratelimit-remaining-requests": str(left),
        "x-ratelimit-remaining-tokens": str(TOKENS_LIMIT - visit.size // CHARS_PER_TOKEN),
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-reset-tokens": "1s",
        **visit.knobs.limit_header_overrides,
    }
    return [(name, value) for name, value in fields.items() if value is not None]


def _leave(exchange: Exchange, key: Account) -> None:
    key.leave()
    exchange.record.in_flight_max = key.in_flight_max
    key.statuses[exchange.status] = key.statuses.get(exchange.status, 0) + 1
