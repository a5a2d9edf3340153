"""The control API under `/__sim/`: what happened, what shall happen, who exists.

Everything a test can do by embedding the simulator it can also do here over HTTP.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
import orjson

from loadtests.simulator.config import AccountSpec, Knobs, Rule
from loadtests.simulator.errors import FAULTS, Refusal, problem
from loadtests.simulator.exchange import Exchange
from loadtests.simulator.knobs import BadKnobs
from loadtests.simulator.world import World


class AccountChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes to the state of one account; what is left out stays."""

    used_percent: float | None = None
    secondary_used_percent: float | None = None
    resets_in_s: float | None = None
    deactivated: bool | None = None
    expire_access: bool = False
    rotate_elsewhere: bool = False
    revoke: bool | None = None
    reset_credits: int | None = None


class Command(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /__sim/control`; everything in it is optional."""

    base: dict[str, Any] = {}
    accounts: dict[str, dict[str, Any]] = {}
    models: dict[str, dict[str, Any]] = {}
    rules: list[Rule] | None = None
    account_state: dict[str, AccountChange] = {}
    advance_s: float = 0
    accept: Literal["normal", "silent", "reset", "close"] | None = None
    listen: bool | None = None
    drop_connections: Literal["fin", "rst"] | None = None


Listener = Callable[[Command], Awaitable[None]]


def apply(world: World, command: Command) -> None:
    """Carry out what concerns knobs, accounts and the clock.

    Raises:
        BadKnobs: a knob is wrong.
        KeyError: there is no account of that name.
    """
    if command.rules is not None:
        world.book.set_rules(command.rules)
    if command.base:
        world.book.set_base(command.base)
    for account, overrides in command.accounts.items():
        world.book.set_account(account, overrides)
    for model, overrides in command.models.items():
        world.book.set_model(model, overrides)
    world.clock.advance(command.advance_s)
    for account, change in command.account_state.items():
        _change(world, account, change)
    if command.accept is not None:
        world.gauges.accept = command.accept


def _change(world: World, name: str, change: AccountChange) -> None:
    account = world.accounts.by_id[name]
    if change.used_percent is not None:
        account.primary.used_percent = change.used_percent
    if change.secondary_used_percent is not None and account.secondary is not None:
        account.secondary.used_percent = change.secondary_used_percent
    if change.resets_in_s is not None:
        account.primary.reset_at = world.clock.now() + change.resets_in_s
    if change.deactivated is not None:
        account.deactivated = change.deactivated
    if change.rotate_elsewhere:
        account.generation += 1
    if change.expire_access:
        account.access_floor = account.generation + 1
    if change.revoke is not None:
        account.family_revoked = change.revoke
    if change.reset_credits is not None:
        account.reset_credits = change.reset_credits


async def serve(world: World, exchange: Exchange, listener: Listener) -> None:
    """Any request below `/__sim/`."""
    request = exchange.request
    try:
        shown = await _answer(world, request.method, request.path, exchange, listener)
    except (BadKnobs, msgspec.DecodeError, KeyError) as error:
        await exchange.reply(problem(400, str(error), code="bad_control"))
        return
    if shown is None:
        await exchange.reply(problem(404, "no such control", code="unknown_control"))
        return
    body = msgspec.json.encode(shown)
    await exchange.reply(Refusal(200, body))


async def _answer(
    world: World, method: str, path: str, exchange: Exchange, listener: Listener
) -> Any:
    body = await exchange.request.body()
    name = path.removeprefix("/__sim/")
    if method == "GET":
        return _VIEWS[name](world) if name in _VIEWS else None
    match method, name:
        case "POST", "accounts":
            return _added(world, body)
        case "POST", "reset":
            world.reset()
        case "POST", "control":
            command = msgspec.json.decode(body, type=Command)
            apply(world, command)
            await listener(command)
        case "POST", "step":
            return {"streams": world.wheel.turnstile.step()}
        case _:
            return None
    return {"ok": True}


_VIEWS: dict[str, Callable[[World], Any]] = {
    "state": World.state,
    "ledger": lambda world: list(world.ledger.records),
    "violations": lambda world: list(world.ledger.violations),
    "accounts": lambda world: [
        world.accounts.credentials(account) for account in world.accounts.by_id.values()
    ],
    "knobs": lambda _: {"knobs": msgspec.to_builtins(Knobs()), "faults": sorted(FAULTS)},
    "time": lambda world: {
        "monotonic_ns": time.monotonic_ns(),
        "now": world.clock.now(),
        "cpu_s": time.process_time(),
    },
}


def _added(world: World, body: bytes) -> list[dict[str, Any]]:
    raw = orjson.loads(body)
    specs = msgspec.convert(raw if isinstance(raw, list) else [raw], list[AccountSpec])
    added = [world.accounts.add(spec) for spec in specs]
    for account in added:
        if account.spec.knobs:
            world.book.set_account(account.id, account.spec.knobs)
    return [world.accounts.credentials(account) for account in added]
