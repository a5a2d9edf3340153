"""Who may follow whom on a socket."""

import pytest
from msgspec import structs

from app.domain.account import Secret
from app.domain.caller import KeyId
from app.upstream.identity import Identity
from app.upstream.sockets.key import introduction
from tests.fakes.accounts import account, call

IDENTITY = Identity(user_agent="codex2api/1", originator="codex2api")


def introduced(of=None, **changes):
    """Return how an account's attempt introduces itself."""
    of = of or account()
    asked = call(**changes)
    return introduction(of, asked, IDENTITY.headers(of, asked.headers, lite=asked.lite))


@pytest.mark.parametrize(
    ("of", "changes"),
    [
        (account("b"), {}),
        (account(generation=1), {}),
        (account(proxy_url=Secret("http://p")), {}),
        (account(chatgpt_account_id="workspace"), {}),
        (account(fedramp=True), {}),
        (None, {"caller_id": KeyId("key-2")}),
        (None, {"headers": (("session-id", "s"),)}),
        (None, {"headers": (("thread-id", "t"),)}),
        (None, {"headers": (("x-codex-window-id", "t:1"),)}),
        (None, {"headers": (("x-codex-routing-hint", "model=m"),)}),
        (None, {"headers": (("user-agent", "codex_cli_rs/1"),)}),
    ],
)
def test_whatever_a_handshake_says_keeps_sockets_apart(of, changes):
    """Above all another caller's key."""
    assert introduced(of, **changes).key != introduced().key


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("x-codex-turn-state", "x-codex-turn-state"),
        ("x-codex-turn-metadata", "x-codex-turn-metadata"),
        ("x-client-request-id", "x-client-request-id"),
    ],
)
def test_what_belongs_to_a_turn_travels_in_its_message(name, within):
    """It must not be said for the turns that follow, nor keep them away."""
    ours = introduced(headers=((name, "v"),))
    assert ours.key == introduced().key
    assert ours.metadata == {within: "v"}
    assert name not in dict(ours.handshake)


def test_the_lite_marker_belongs_to_a_turn():
    """The next turn may ask for a model without it."""
    ours = introduced(lite=True)
    assert ours.key == introduced().key
    assert ours.metadata == {"ws_request_header_x_openai_internal_codex_responses_lite": "true"}


def test_a_handshake_has_the_account_s_own_authorization_and_what_sockets_need():
    """And nothing that describes a body."""
    headers = dict(introduced().handshake)
    assert headers["authorization"] == "Bearer at-a-0"
    assert headers["openai-beta"].startswith("responses_websockets=")
    assert not {"accept", "content-type"} & headers.keys()


def test_a_key_tells_no_secret():
    """It may stand in a log."""
    shown = repr(introduced(account(proxy_url=Secret("http://u:pw@p"))).key)
    assert "at-a-0" not in shown
    assert "pw" not in shown
    assert structs.asdict(introduced().key)["generation"] == 0
