"""One turn of a Codex account, whether it came by HTTP or over a socket.

Who is asking (`authenticate`), whether it is refused (`refusal_of`), what is answered (`compose`)
and what it costs (`settle`). The transports read requests and write what this decides.
"""

import time
from typing import Any

import msgspec

from loadtests.simulator import counting, errors, limits, script, validation
from loadtests.simulator.accounts import Account
from loadtests.simulator.ask import Ask
from loadtests.simulator.cache import STEP
from loadtests.simulator.config import Knobs
from loadtests.simulator.errors import Refusal
from loadtests.simulator.events import CHARS_PER_TOKEN, Reply
from loadtests.simulator.ledger import Record
from loadtests.simulator.playback import Playback
from loadtests.simulator.tokens import AccessGrant
from loadtests.simulator.world import World

GRANTS_MAX = 20_000
LITE_HEADER = "x-openai-internal-codex-responses-lite"
LITE_METADATA = "ws_request_header_x_openai_internal_codex_responses_lite"
_grants: dict[tuple[int, str], AccessGrant] = {}


class Turn(msgspec.Struct):
    """A request that has been read: whose it is and what governs it."""

    account: Account
    body: dict[str, Any]
    ask: Ask
    knobs: Knobs
    record: Record
    headers: dict[str, str]
    transport: str = "http"
    body_bytes: int = 0

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.body.get("model", ""))

    @property
    def lite(self) -> bool:
        """Whether the request says that it speaks the Lite dialect."""
        if self.transport == "ws":
            metadata = self.body.get("client_metadata")
            marker = metadata.get(LITE_METADATA) if isinstance(metadata, dict) else None
            if marker is not None:
                return bool(marker == "true")
        return self.headers.get(LITE_HEADER) == "true"


def authenticate(world: World, headers: dict[str, str], record: Record) -> Account | Refusal:
    """The account whose access token the request carries, or the refusal it earns."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    grant = _grant(world, token) if scheme.lower() == "bearer" else None
    account = world.accounts.by_id.get(grant.account) if grant else None
    if grant is None or account is None:
        return errors.detail(401, "Unauthorized")
    record.account = account.id
    record.generation = grant.generation
    if grant.expires_at <= world.clock.now() or grant.generation < account.access_floor:
        return _fault("401_expired", world, account)
    if account.deactivated:
        return _fault("402_deactivated", world, account)
    claimed = headers.get("chatgpt-account-id")
    if claimed is None and world.book.standing(account.id).require_account_id:
        return errors.detail(401, "Unauthorized")
    if claimed is not None and claimed != account.account_id:
        text = f"token of {account.account_id!r} sent with account id {claimed!r}"
        world.ledger.violate("account_id_mismatch", record.id, account.id, text)
        return errors.problem(403, "The account does not match the token.", code="account_mismatch")
    return account


def _grant(world: World, token: str) -> AccessGrant | None:
    key = (world.config.seed, token)
    grant = _grants.get(key)
    if grant is None:
        try:
            grant = world.mint.read_access(token)
        except (ValueError, KeyError, IndexError):
            grant = None
        if grant is not None:
            if len(_grants) >= GRANTS_MAX:
                _grants.clear()
            _grants[key] = grant
    return grant


def _fault(name: str, world: World, account: Account) -> Refusal:
    knobs = world.book.standing(account.id)
    return errors.FAULTS[name](world.facts(account, "", knobs))


def refusal_of(
    world: World, turn: Turn, known_outputs: frozenset[str] = frozenset()
) -> Refusal | None:
    """Why this turn is refused: an injected fault, a broken rule, or a used-up window."""
    injected = injected_fault(world, turn)
    if injected is not None:
        return injected
    knobs, account = turn.knobs, turn.account
    if _too_old(knobs.minimum_version, turn.headers.get("version", "")):
        return _fault("426", world, account)
    if knobs.strict:
        broken = _broken_rule(world, turn, known_outputs)
        if broken is not None:
            turn.record.fault = _kind_of(broken)
            world.ledger.violate(
                turn.record.fault, turn.record.id, account.id, broken.body.decode()
            )
            return broken
    if account.exhausted(world.clock.now()) is not None:
        turn.record.fault = "usage_limit_reached"
        return errors.usage_limit(world.facts(account, turn.model, knobs))
    return _turn_state_refusal(world, turn)


def injected_fault(world: World, turn: Turn) -> Refusal | None:
    """The fault that the knobs name, if any."""
    knobs = turn.knobs
    facts = world.facts(turn.account, turn.model, knobs)
    if knobs.fault is not None:
        turn.record.fault = knobs.fault
        return errors.named(knobs.fault, facts, knobs)
    if knobs.status is not None:
        turn.record.fault = str(knobs.status)
        plain = errors.problem(knobs.status, "Injected by the simulator", kind="server_error")
        return errors.adjusted(plain, knobs)
    return None


def _broken_rule(world: World, turn: Turn, known_outputs: frozenset[str]) -> Refusal | None:
    subject = validation.Subject(
        body=turn.body,
        account=turn.account.id,
        entitled=turn.account.entitled(turn.model),
        model=world.models.get(turn.model),
        lite=turn.lite,
        transport=turn.transport,
        owner_of=world.mint.content_owner,
        known_outputs=known_outputs,
    )
    return validation.check(subject)


def _kind_of(broken: Refusal) -> str:
    """What to call a broken rule: a gateway cannot foresee the first two."""
    if b"invalid_encrypted_content" in broken.body:
        return "foreign_encrypted_content"
    if b"is not supported when using Codex" in broken.body:
        return "unentitled_model"
    return "invalid_request"


def _too_old(minimum: str | None, version: str) -> bool:
    return minimum is not None and _version(version) < _version(minimum)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in text.split("."))


def turn_state_of(turn: Turn) -> str | None:
    """The turn state that the request brought along."""
    metadata = turn.body.get("client_metadata")
    if turn.transport == "ws" and isinstance(metadata, dict):
        state = metadata.get("x-codex-turn-state")
        if state is not None:
            return str(state)
    return turn.headers.get("x-codex-turn-state")


def _turn_state_refusal(world: World, turn: Turn) -> Refusal | None:
    state = turn_state_of(turn)
    if state is None:
        return None
    owner = world.mint.turn_owner(state)
    if owner == turn.account.id:
        return None
    text = f"turn state of {owner!r} sent to {turn.account.id!r}"
    world.ledger.violate("foreign_turn_state", turn.record.id, turn.account.id, text)
    if turn.knobs.foreign_turn_state == "reject":
        return errors.problem(400, "Invalid x-codex-turn-state.", code="invalid_turn_state")
    return None


def note_identity(world: World, turn: Turn) -> None:
    """Write down whose turn it is, and check that tenants share no session id."""
    record, knobs = turn.record, turn.knobs
    record.model = turn.model or None
    record.tenant = knobs.tenant
    record.nonce = knobs.nonce
    record.in_flight = turn.account.in_flight
    sessions = {turn.headers.get("session-id"), turn.headers.get("session_id")}
    sessions.add(turn.body.get("prompt_cache_key"))
    world.ledger.claim_session(record, {str(session) for session in sessions if session})


def head_headers(world: World, turn: Turn) -> list[tuple[str, str]]:
    """The headers of a 200, or of a handshake's 101."""
    headers = [
        ("x-request-id", turn.record.id),
        ("openai-model", turn.model),
        ("x-models-etag", world.models_etag),
        ("x-reasoning-included", "true"),
        ("cf-ray", f"{turn.record.id}-SIM"),
        *limits.headers(turn.account, turn.knobs, world.clock.now()),
    ]
    if turn_state_of(turn) is None:
        headers.append(("x-codex-turn-state", new_turn_state(world, turn)))
    return headers


def new_turn_state(world: World, turn: Turn) -> str:
    """The sticky token of a turn that begins."""
    session = turn.record.session or str(turn.body.get("prompt_cache_key") or "none")
    return world.mint.turn_state(turn.account.id, session, turn.account.requests)


def limit_headers(world: World, turn: Turn, refusal: Refusal) -> list[tuple[str, str]]:
    """The quota headers of an error reply, agreeing with an injected usage limit."""
    now = world.clock.now()
    headers = dict(limits.headers(turn.account, turn.knobs, now))
    limited = refusal.status == 429 and (turn.record.fault or "").startswith("429_usage_limit")
    if limited and headers:
        resets_at = world.facts(turn.account, turn.model, turn.knobs).resets_at
        headers["x-codex-primary-used-percent"] = "100.0"
        if "x-codex-primary-reset-at" in headers:
            headers["x-codex-primary-reset-at"] = str(int(resets_at))
        if "x-codex-primary-reset-after-seconds" in headers:
            headers["x-codex-primary-reset-after-seconds"] = str(max(0, int(resets_at - now)))
        overrides = turn.knobs.limit_header_overrides.items()
        headers |= {name: value for name, value in overrides if value is not None}
    return list(headers.items())


def compose(world: World, turn: Turn) -> Reply:
    """The reply to a turn that was not refused."""
    account, knobs, now = turn.account, turn.knobs, world.clock.now()
    setting = script.Setting(
        seed=world.config.seed,
        account=account.id,
        plan=account.plan,
        model=turn.model,
        transport=turn.transport,
        used_percent=account.primary.used_percent,
        requests=account.requests,
    )
    key = world.next_response_key()
    cache_key = turn.headers.get("session-id") or turn.body.get("prompt_cache_key")
    metadata = {
        "type": "codex.response.metadata",
        "headers": {"openai-model": turn.model, "x-models-etag": world.models_etag},
        "metadata": {},
    }
    cached = 0
    if turn.body_bytes > CHARS_PER_TOKEN * 1024:
        cached = world.cache.cached_tokens(account.id, cache_key, turn.body)
    tokens = counting.input_tokens(turn.body)
    reply = Reply(
        key=key,
        created_at=int(now),
        model=turn.model,
        request=turn.body,
        knobs=knobs,
        items=script.answer(turn.ask, knobs, setting),
        plan=account.plan,
        resets_at=world.facts(account, turn.model, knobs).resets_at,
        seal=lambda item_id: world.mint.encrypted_content(account.id, item_id),
        private=[metadata, limits.event(account, now)] if knobs.private_events else [],
        seed=world.config.seed,
        input_tokens=tokens,
        cached_tokens=min(cached, tokens // STEP * STEP),
    )
    turn.record.response_id = reply.id
    return reply


def settle(world: World, turn: Turn, reply: Reply, terminal: str | None) -> None:
    """Book a reply: its terminal, its tokens, and its cost when it was completed."""
    turn.record.terminal = terminal
    if terminal is not None:
        turn.record.tokens = reply.usage
    if terminal == "completed":
        turn.account.charge(turn.knobs.cost_percent, world.clock.now())


def book_playback(world: World, turn: Turn, reply: Reply, playback: Playback) -> None:
    """Write what was played into the record."""
    record = turn.record
    record.events = playback.delivered
    record.first_write_ns = playback.first_write_ns
    record.last_write_ns = playback.last_write_ns
    world.gauges.events += playback.delivered
    settle(world, turn, reply, playback.terminal)


def count_status(turn: Turn, status: int) -> None:
    """Count how the turn went in the account's figures."""
    statuses = turn.account.statuses
    statuses[status] = statuses.get(status, 0) + 1
    turn.record.in_flight_max = turn.account.in_flight_max
    if not turn.record.began_ns:
        turn.record.began_ns = time.monotonic_ns()
