"""The OAuth issuer: authorize, token (code, refresh, exchange), revoke, and the device flow.

Refresh tokens rotate and work once; a second use is refused and noted as a violation. Rotation
happens before a delay with `oauth_delay_when: "after"`, so that a client that gave up waiting has
lost its token, as it would at the real issuer.
"""

import asyncio
import base64
import hashlib
import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode

import orjson

from loadtests.simulator import errors
from loadtests.simulator.accounts import Account
from loadtests.simulator.config import Knobs
from loadtests.simulator.errors import HTML, Refusal
from loadtests.simulator.exchange import Exchange
from loadtests.simulator.world import World

CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
CODES_MAX = 10_000
_EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"


async def authorize(world: World, exchange: Exchange) -> None:
    """`GET /oauth/authorize`: approves at once, for the account in `login_hint` or the next."""
    query = {name: values[0] for name, values in parse_qs(exchange.request.query).items()}
    missing = [
        name
        for name in ("response_type", "client_id", "redirect_uri", "code_challenge", "state")
        if name not in query
    ]
    if missing or query.get("code_challenge_method") != "S256":
        text = f"missing or wrong: {', '.join(missing) or 'code_challenge_method'}"
        await exchange.reply(_oauth_error(400, "invalid_request", text))
        return
    account = _chosen(world, query.get("login_hint"))
    code = _new_code(world, account, query["redirect_uri"], query["code_challenge"])
    target = f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"
    if world.book.standing(account.id).oauth_html:
        page = f'<html><body><a id="approve" href="{target}">Continue</a></body></html>'
        await exchange.reply(Refusal(200, page.encode(), content_type=HTML))
        return
    await exchange.reply(Refusal(302, b"", [("location", target)]))


async def token(world: World, exchange: Exchange) -> None:
    """`POST /oauth/token`, form or JSON."""
    fields = await _fields(exchange)
    match fields.get("grant_type"):
        case "refresh_token":
            await _refresh(world, exchange, fields)
        case "authorization_code":
            await _code(world, exchange, fields)
        case grant if grant == _EXCHANGE_GRANT:
            key = world.config.api_keys[0] if world.config.api_keys else "sk-sim-none"
            await exchange.reply(Refusal(200, orjson.dumps({"access_token": key})))
        case other:
            text = f"unexpected grant_type {other!r}"
            await exchange.reply(_oauth_error(400, "unsupported_grant_type", text))


async def revoke(world: World, exchange: Exchange) -> None:
    """`POST /oauth/revoke`: the token's whole family ends."""
    fields = await _fields(exchange)
    found = world.mint.read_refresh(str(fields.get("token", "")))
    account = world.accounts.by_id.get(found[0]) if found else None
    if account is not None:
        account.family_revoked = True
        account.access_floor = account.generation + 1
    await exchange.reply(Refusal(200, b"{}"))


async def device_code(world: World, exchange: Exchange) -> None:
    """`POST /api/accounts/deviceauth/usercode`."""
    if world.book.standing(None).device_disabled:
        await exchange.reply(errors.detail(404, "Not Found"))
        return
    number = len(world.devices) + 1
    device_id = f"device_{number}"
    code = f"SIMU-{number:04d}"
    world.devices[device_id] = {"user_code": code, "polls": 0}
    body = {"device_auth_id": device_id, "user_code": code, "interval": "1"}
    await exchange.reply(Refusal(200, orjson.dumps(body)))


async def device_token(world: World, exchange: Exchange) -> None:
    """`POST /api/accounts/deviceauth/token`: pending a few times, then a code."""
    fields = await _fields(exchange)
    device = world.devices.get(str(fields.get("device_auth_id")))
    if device is None or device["user_code"] != fields.get("user_code"):
        await exchange.reply(errors.detail(404, "Not Found"))
        return
    device["polls"] += 1
    if device["polls"] <= world.book.standing(None).device_pending:
        await exchange.reply(errors.detail(403, "authorization_pending"))
        return
    verifier = secrets.token_urlsafe(48)
    challenge = _challenge(verifier)
    redirect = "deviceauth/callback"
    code = _new_code(world, _chosen(world, None), redirect, challenge)
    body = {"authorization_code": code, "code_challenge": challenge, "code_verifier": verifier}
    await exchange.reply(Refusal(200, orjson.dumps(body)))


async def device_page(_: World, exchange: Exchange) -> None:
    """`GET /codex/device`: the page that a person would open."""
    await exchange.reply(Refusal(200, b"<html><body>Approved.</body></html>", content_type=HTML))


async def keys(_: World, exchange: Exchange) -> None:
    """`GET /.well-known/jwks.json`: empty, as tokens are signed with a shared secret."""
    await exchange.reply(Refusal(200, b'{"keys":[]}'))


async def _refresh(world: World, exchange: Exchange, fields: dict[str, Any]) -> None:
    given = str(fields.get("refresh_token", ""))
    found = world.mint.read_refresh(given) if given.startswith("rt_") else None
    account = world.accounts.by_id.get(found[0]) if found else None
    knobs = world.knobs(exchange, account)
    exchange.govern(knobs)
    if account is None or found is None:
        await exchange.reply(_refresh_error("refresh_token_invalidated"))
        return
    exchange.record.account = account.id
    exchange.record.generation = found[1]
    _refresh_began(world, account)
    try:
        await _delayed(exchange, knobs, "before")
        answer = _rotated(world, exchange, account, found[1])
        await _delayed(exchange, knobs, "after")
        await exchange.reply(answer)
    finally:
        world.gauges.refreshing -= 1
        account.refreshing -= 1


def _refresh_began(world: World, account: Account) -> None:
    world.gauges.refresh_began()
    account.refreshing += 1
    if account.refreshing > 1:
        text = f"{account.refreshing} refreshes of one account in flight"
        world.ledger.violate("concurrent_refresh", "", account.id, text)
    account.refreshing_max = max(account.refreshing_max, account.refreshing)


def _rotated(world: World, exchange: Exchange, account: Account, generation: int) -> Refusal:
    knobs = exchange.knobs
    if knobs.oauth_fault is not None:
        exchange.record.fault = knobs.oauth_fault
        return _oauth_fault(knobs.oauth_fault)
    if account.family_revoked:
        return _refresh_error("refresh_token_invalidated")
    if generation != account.generation:
        text = f"generation {generation} used again, {account.generation} is current"
        world.ledger.violate("refresh_token_reused", exchange.id, account.id, text)
        account.family_revoked = account.family_revoked or knobs.oauth_revoke_family
        return _refresh_error("refresh_token_reused")
    if "refresh_token" not in knobs.oauth_omit:
        account.generation += 1
    account.refreshes += 1
    world.gauges.refreshes += 1
    return Refusal(200, orjson.dumps(_token_set(world, account, knobs)))


async def _code(world: World, exchange: Exchange, fields: dict[str, Any]) -> None:
    grant = world.codes.pop(str(fields.get("code", "")), None)
    if grant is None:
        await exchange.reply(_oauth_error(400, "invalid_grant", "unknown or used code"))
        return
    account = world.accounts.by_id[grant["account"]]
    knobs = world.knobs(exchange, account)
    exchange.govern(knobs)
    verifier = str(fields.get("code_verifier", ""))
    redirect_fits = str(fields.get("redirect_uri", "")).endswith(grant["redirect_uri"])
    if _challenge(verifier) != grant["challenge"] or not redirect_fits:
        text = "code_verifier or redirect_uri does not match"
        await exchange.reply(_oauth_error(400, "invalid_grant", text))
        return
    await _delayed(exchange, knobs, "before")
    if knobs.oauth_fault is not None:
        await exchange.reply(_oauth_fault(knobs.oauth_fault))
        return
    exchange.record.account = account.id
    account.family_revoked = False
    account.generation += 1
    world.gauges.code_exchanges += 1
    await exchange.reply(Refusal(200, orjson.dumps(_token_set(world, account, knobs))))


def _token_set(world: World, account: Account, knobs: Knobs) -> dict[str, Any]:
    expires_in_s = knobs.oauth_expires_in_s
    accounts = world.accounts
    access = accounts.access_token(account, opaque=knobs.oauth_opaque, ttl_s=expires_in_s)
    fields: dict[str, Any] = {
        "id_token": accounts.id_token(account),
        "access_token": access,
        "refresh_token": accounts.refresh_token(account),
        "token_type": "Bearer",
        "expires_in": expires_in_s,
        "scope": "openid profile email offline_access",
    }
    return {name: value for name, value in fields.items() if name not in knobs.oauth_omit}


async def _delayed(exchange: Exchange, knobs: Knobs, when: str) -> None:
    if knobs.oauth_delay_when != when:
        return
    if knobs.oauth_hang:
        await exchange.gone()
    if knobs.oauth_delay_ms:
        await asyncio.sleep(knobs.oauth_delay_ms / 1000)


async def _fields(exchange: Exchange) -> dict[str, Any]:
    raw = await exchange.request.body()
    if "json" in exchange.request.headers.get("content-type", ""):
        try:
            found = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return {}
        return found if isinstance(found, dict) else {}
    return {name: values[0] for name, values in parse_qs(raw.decode("latin-1")).items()}


def _oauth_fault(name: str) -> Refusal:
    known = _FAULTS.get(name)
    if known is not None:
        return known
    if name in {"invalid_grant", "invalid_client", "unauthorized_client", "access_denied"}:
        return _oauth_error(400, name, "Your session has ended.")
    return _refresh_error(name)


_FAULTS = {
    "500": Refusal(500, b'{"error":"temporary-failure"}'),
    "429": Refusal(429, b'{"error":"rate_limited"}', [("retry-after", "1")]),
    "403_cloudflare": Refusal(403, errors.CHALLENGE, [("cf-mitigated", "challenge")], HTML),
    "garbage": Refusal(200, b"<html>not json</html>", content_type=HTML),
    "empty": Refusal(200, b"{}"),
}


def _refresh_error(code: str) -> Refusal:
    text = f"Your refresh token could not be used ({code}). Please sign in again."
    return errors.problem(401, text, code=code)


def _oauth_error(status: int, error: str, text: str) -> Refusal:
    return Refusal(status, orjson.dumps({"error": error, "error_description": text}))


def _chosen(world: World, hint: str | None) -> Account:
    accounts = list(world.accounts.by_id.values())
    for account in accounts:
        if hint in {account.id, account.email}:
            return account
    return accounts[(world.gauges.code_exchanges + len(world.codes)) % len(accounts)]


def _new_code(world: World, account: Account, redirect_uri: str, challenge: str) -> str:
    if len(world.codes) >= CODES_MAX:
        world.codes.clear()
    code = "ac_" + secrets.token_urlsafe(24)
    world.codes[code] = {
        "account": account.id,
        "redirect_uri": redirect_uri,
        "challenge": challenge,
    }
    return code


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
