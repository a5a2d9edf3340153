"""The OAuth issuer: codes with PKCE, rotation, refusals, and the device flow."""

import asyncio
import base64
import hashlib
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson
import pytest

from tests.loadtests.simulator.peer import CODEX, Peer, prompt

TOKEN = "/oauth/token"
REDIRECT = "http://localhost:1455/auth/callback"
FORM = {"content-type": "application/x-www-form-urlencoded"}
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")


def refresh(token: str) -> dict:
    """Return the fields of a refresh."""
    return {"grant_type": "refresh_token", "client_id": "app_x", "refresh_token": token}


def claims(token: str) -> dict:
    """Return the claims of a JWT."""
    payload = token.split(".")[1]
    return orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


@pytest.mark.parametrize("form", [True, False])
async def test_a_refresh_rotates(simulator, peer, form):
    """Form and JSON alike; the new access token works, the claims are complete."""
    fields = refresh(peer.credentials["refresh_token"])
    if form:
        answer = await peer.post(TOKEN, urlencode(fields).encode(), FORM)
    else:
        answer = await peer.post(TOKEN, fields)
    assert answer.status == 200
    issued = answer.json
    assert issued["refresh_token"] != peer.credentials["refresh_token"]
    assert issued["expires_in"] == 864_000
    auth = claims(issued["id_token"])["https://api.openai.com/auth"]
    assert auth["chatgpt_account_id"] == "acct-1"
    assert auth["chatgpt_plan_type"] == "plus"
    peer.headers["authorization"] = f"Bearer {issued['access_token']}"
    assert (await peer.ask("hi")).status == 200
    assert simulator.world.ledger.records[0].generation == 0
    assert simulator.world.gauges.refreshes == 1


async def test_a_second_use_is_refused_and_noted(simulator, peer):
    """401 `refresh_token_reused`, and optionally the end of the family."""
    first = await peer.post(TOKEN, refresh(peer.credentials["refresh_token"]))
    again = await peer.post(TOKEN, refresh(peer.credentials["refresh_token"]))
    assert (again.status, again.json["error"]["code"]) == (401, "refresh_token_reused")
    assert simulator.world.ledger.violations[0].kind == "refresh_token_reused"
    simulator.control(base={"oauth_revoke_family": True})
    await peer.post(TOKEN, refresh(peer.credentials["refresh_token"]))
    dead = await peer.post(TOKEN, refresh(first.json["refresh_token"]))
    assert dead.json["error"]["code"] == "refresh_token_invalidated"


FAULTS = {
    "500": (500, "temporary-failure"),
    "429": (429, "rate_limited"),
    "invalid_grant": (400, "invalid_grant"),
    "refresh_token_expired": (401, "refresh_token_expired"),
    "app_session_terminated": (401, "app_session_terminated"),
    "garbage": (200, "<html>"),
    "empty": (200, "{}"),
    "403_cloudflare": (403, "Just a moment"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_refresh_faults(simulator, peer, fault):
    """Each refusal, without a rotation."""
    simulator.control(base={"oauth_fault": fault})
    answer = await peer.post(TOKEN, refresh(peer.credentials["refresh_token"]))
    status, text = FAULTS[fault]
    assert answer.status == status
    assert text in answer.body.decode()
    assert simulator.world.accounts.by_id["acct-1"].generation == 0


async def test_variants_of_the_token_set(simulator, peer):
    """Fields left out, opaque access tokens, short lives."""
    knobs = {"oauth_omit": ["id_token", "refresh_token"], "oauth_opaque": True}
    simulator.control(accounts={"acct-1": {**knobs, "oauth_expires_in_s": 30}})
    answer = await peer.post(TOKEN, refresh(peer.credentials["refresh_token"]))
    issued = answer.json
    assert not {"id_token", "refresh_token"} & set(issued)
    assert issued["access_token"].startswith("at-")
    assert issued["expires_in"] == 30
    peer.headers["authorization"] = f"Bearer {issued['access_token']}"
    assert (await peer.ask("hi")).status == 200
    assert (await peer.post(TOKEN, refresh(peer.credentials["refresh_token"]))).status == 200


async def test_a_client_that_gives_up_may_have_lost_its_token(simulator, peer):
    """Rotation before the wait: the outcome is unknown to the client, the old token dead."""
    simulator.control(base={"oauth_delay_ms": 60_000, "oauth_delay_when": "after"})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(peer.post(TOKEN, refresh(peer.credentials["refresh_token"])), 0.1)
    assert simulator.world.accounts.by_id["acct-1"].generation == 1


async def test_two_refreshes_at_once_are_counted(simulator, peer):
    """The high-water mark shows them, and they are a violation."""
    simulator.control(base={"oauth_delay_ms": 30})
    token = refresh(peer.credentials["refresh_token"])
    answers = await asyncio.gather(peer.post(TOKEN, token), peer.post(TOKEN, token))
    assert sorted(answer.status for answer in answers) == [200, 401]
    state = simulator.world.state()
    assert state["refreshing_max"] == 2
    assert state["accounts"]["acct-1"]["refreshing_max"] == 2
    kinds = {violation.kind for violation in simulator.world.ledger.violations}
    assert kinds == {"concurrent_refresh", "refresh_token_reused"}


async def test_expired_access_needs_a_refresh(simulator, peer):
    """What a test does to force one: 401 until the rotation, then fine."""
    simulator.control(account_state={"acct-1": {"expire_access": True}})
    refused = await peer.ask("hi")
    assert refused.json["error"]["code"] == "token_expired"
    issued = (await peer.post(TOKEN, refresh(peer.credentials["refresh_token"]))).json
    peer.headers["authorization"] = f"Bearer {issued['access_token']}"
    assert (await peer.ask("hi")).status == 200


async def authorize(peer: Peer, **changes) -> str:
    """Return where the browser is sent."""
    query = {
        "response_type": "code",
        "client_id": "app_x",
        "redirect_uri": REDIRECT,
        "code_challenge": CHALLENGE.decode(),
        "code_challenge_method": "S256",
        "state": "s1",
        "login_hint": "acct-2",
        **changes,
    }
    answer = await peer.get(f"/oauth/authorize?{urlencode(query)}")
    return answer.header("location") or answer.body.decode()


async def test_a_code_is_exchanged_once(peer):
    """PKCE is checked, the state comes back, the account is the one that was hinted at."""
    query = parse_qs(urlsplit(await authorize(peer)).query)
    assert query["state"] == ["s1"]
    fields = {
        "grant_type": "authorization_code",
        "code": query["code"][0],
        "redirect_uri": REDIRECT,
        "client_id": "app_x",
        "code_verifier": VERIFIER,
    }
    body = urlencode(fields).encode()
    issued = await peer.post(TOKEN, body, FORM)
    auth = claims(issued.json["access_token"])["https://api.openai.com/auth"]
    assert auth["chatgpt_account_id"] == "acct-2"
    again = await peer.post(TOKEN, body, FORM)
    assert (again.status, again.json["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("wrong", [{"code_verifier": "x"}, {"redirect_uri": "http://evil/"}])
async def test_a_wrong_verifier_or_redirect_is_refused(peer, wrong):
    """And the code is spent."""
    query = parse_qs(urlsplit(await authorize(peer)).query)
    fields = {"code": query["code"][0], "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    fields |= {"grant_type": "authorization_code", **wrong}
    answer = await peer.post(TOKEN, fields)
    assert answer.json["error"] == "invalid_grant"


async def test_authorize_checks_its_query(peer):
    """And can show a page instead of a redirect."""
    assert "invalid_request" in await authorize(peer, code_challenge_method="plain")


async def test_the_device_flow(peer):
    """Pending twice, then a code that works with the verifier that came along."""
    base = "/api/accounts/deviceauth"
    begun = (await peer.post(f"{base}/usercode", {"client_id": "app_x"})).json
    ask = {"device_auth_id": begun["device_auth_id"], "user_code": begun["user_code"]}
    statuses = [(await peer.post(f"{base}/token", ask)).status for _ in range(2)]
    assert statuses == [403, 403]
    granted = (await peer.post(f"{base}/token", ask)).json
    fields = {
        "grant_type": "authorization_code",
        "code": granted["authorization_code"],
        "code_verifier": granted["code_verifier"],
        "redirect_uri": "http://127.0.0.1:1/deviceauth/callback",
    }
    assert (await peer.post(TOKEN, fields)).status == 200


async def test_other_grants_and_revocation(peer):
    """Token exchange gives an API key; revoking ends the family and its access."""
    grant = "urn:ietf:params:oauth:grant-type:token-exchange"
    assert (await peer.post(TOKEN, {"grant_type": grant})).json == {"access_token": "sk-sim-1"}
    assert (await peer.post(TOKEN, {"grant_type": "password"})).status == 400
    await peer.post("/oauth/revoke", {"token": peer.credentials["refresh_token"]})
    dead = await peer.post(TOKEN, refresh(peer.credentials["refresh_token"]))
    assert dead.status == 401
    assert (await peer.post(CODEX, prompt("hi"))).status == 401


@pytest.mark.parametrize("token", ["", "rt_acct-1.0.forged", "rt_x", "nonsense"])
async def test_unknown_refresh_tokens(peer, token):
    """Whatever is sent, a 401."""
    assert (await peer.post(TOKEN, refresh(token))).status == 401
