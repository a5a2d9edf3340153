"""Tests of app.upstream.identity."""

import pytest
from msgspec import structs

from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.upstream import identity
from app.upstream.identity import LITE, Identity, is_codex_client

ACCOUNT = Account(
    id=AccountId("a1"),
    name="a1",
    kind=AccountKind.CODEX,
    credential=Credential(access_token=Secret("at-1")),
    chatgpt_account_id="0f9c",
)
CLI = (
    ("user-agent", "codex_cli_rs/0.146.0 (Mac OS 26.5.0; arm64) iTerm.app/3.6.10"),
    ("originator", "codex_cli_rs"),
    ("version", "0.146.0"),
)
CONSTANT = [
    ("authorization", "Bearer at-1"),
    ("chatgpt-account-id", "0f9c"),
    ("accept", "text/event-stream"),
    ("content-type", "application/json"),
]
OURS = [("user-agent", "codex2api/1"), ("originator", "codex2api")]


@pytest.fixture
def ours():
    """The gateway's own identity, without a version."""
    return Identity(user_agent="codex2api/1", originator="codex2api")


def test_a_codex_client_keeps_its_own_name(ours):
    """It is the one that asks."""
    assert ours.headers(ACCOUNT, CLI, lite=False) == [*CONSTANT, *CLI]


@pytest.mark.parametrize(
    "client",
    [
        (),
        (("user-agent", "curl/8"), ("originator", "me"), ("version", "9")),
        (("user-agent", "OpenAI/Python 3.54"), ("version", "9")),
        (("user-agent", "my codex_cli_rs/1"),),
        (("originator", "codex_cli_rs_2"),),
        (("originator", "codex"),),
    ],
)
def test_any_other_caller_is_answered_for_by_the_gateway(ours, client):
    """Under the gateway's own name; nobody is imitated."""
    assert not is_codex_client(client)
    assert ours.headers(ACCOUNT, client, lite=False) == [*CONSTANT, *OURS]


def test_a_gateway_with_a_version_states_it():
    """Only for itself: a Codex client without one gets none."""
    ours = Identity(user_agent="codex2api/1", originator="codex2api", version="1.2.3")
    assert ours.headers(ACCOUNT, (), lite=False)[-1] == ("version", "1.2.3")
    names = [name for name, _ in ours.headers(ACCOUNT, CLI[:2], lite=False)]
    assert "version" not in names


@pytest.mark.parametrize(
    ("client", "named"),
    [
        (
            (("originator", "codex-tui"),),
            [("user-agent", "codex2api/1"), ("originator", "codex-tui")],
        ),
        (
            (("originator", "Codex Desktop"),),
            [("user-agent", "codex2api/1"), ("originator", "Codex Desktop")],
        ),
        (
            (("user-agent", "codex_vscode/1.0 (x)"),),
            [("user-agent", "codex_vscode/1.0 (x)"), ("originator", "codex2api")],
        ),
        (
            (("user-agent", "Codex Atlas/1"),),
            [("user-agent", "Codex Atlas/1"), ("originator", "codex2api")],
        ),
    ],
)
def test_a_codex_client_is_known_by_either_name(ours, client, named):
    """Where it leaves one out, the gateway's own stands, not one that it might have had."""
    assert is_codex_client(client)
    assert ours.headers(ACCOUNT, client, lite=False) == [*CONSTANT, *named]


PASSED = [
    ("session-id", "s"),
    ("session_id", "s"),
    ("conversation_id", "c"),
    ("thread-id", "t"),
    ("x-client-request-id", "t"),
    ("x-codex-window-id", "t:1"),
    ("x-codex-turn-metadata", "{}"),
    ("x-codex-turn-state", "opaque"),
    ("x-codex-beta-features", "a,b"),
    ("x-codex-parent-thread-id", "p"),
    ("x-openai-subagent", "review"),
    ("x-openai-memgen-request", "true"),
    ("x-openai-internal-codex-residency", "us"),
]
HELD_BACK = [
    ("authorization", "Bearer sk-c2a-caller"),
    ("cookie", "a=b"),
    ("chatgpt-account-id", "theirs"),
    ("x-oai-attestation", "device"),
    ("x-openai-fedramp", "true"),
    ("x-api-key", "sk-c2a-caller"),
    ("x-forwarded-for", "10.0.0.1"),
    ("openai-organization", "org"),
    ("host", "evil"),
    ("content-length", "1"),
    ("connection", "x-codex-turn-state"),
    ("accept", "application/json"),
    ("content-type", "text/plain"),
    (LITE, "true"),
]


def test_a_sessions_headers_travel_and_nothing_else(ours):
    """In their order, and once: what the caller must not say is not said."""
    client = [pair for pairs in zip(PASSED, HELD_BACK, strict=False) for pair in pairs]
    found = ours.headers(ACCOUNT, [*client, HELD_BACK[-1]], lite=False)
    assert found == [*CONSTANT, *PASSED, *OURS]


def test_of_a_name_that_is_given_twice_the_first_counts(ours):
    """An upstream must not be able to read it otherwise than we do."""
    found = ours.headers(ACCOUNT, [*CLI, ("originator", "other")], lite=False)
    assert found == [*CONSTANT, *CLI]
    assert not is_codex_client([("originator", "other"), ("originator", "codex_cli_rs")])


def test_the_lite_marker_follows_the_model(ours):
    """It is there or absent, never `false`."""
    assert ours.headers(ACCOUNT, CLI, lite=True) == [*CONSTANT, *CLI, (LITE, "true")]


def test_an_account_id_that_is_unknown_is_left_out(ours):
    """It is never made up."""
    account = structs.replace(ACCOUNT, chatgpt_account_id=None)
    assert ours.headers(account, (), lite=False) == [CONSTANT[0], *CONSTANT[2:], *OURS]


def test_a_government_account_says_so(ours):
    """As its token does."""
    account = structs.replace(ACCOUNT, fedramp=True)
    assert ("x-openai-fedramp", "true") in ours.headers(account, (), lite=False)


def test_a_renewed_account_is_known_by_its_new_token(ours):
    """What is kept of an account lasts as long as the account's value."""
    ours.headers(ACCOUNT, (), lite=False)
    renewed = structs.replace(ACCOUNT, credential=Credential(access_token=Secret("at-2")))
    assert ours.headers(renewed, (), lite=False)[0] == ("authorization", "Bearer at-2")
    assert ours.headers(ACCOUNT, (), lite=False)[0] == ("authorization", "Bearer at-1")


def test_each_attempt_has_a_list_of_its_own(ours):
    """What one attempt appends does not show up in the next."""
    ours.headers(ACCOUNT, (), lite=False).append(("x", "y"))
    assert ours.headers(ACCOUNT, (), lite=False) == [*CONSTANT, *OURS]


def test_what_is_kept_of_accounts_is_bounded(ours, monkeypatch):
    """Accounts come and go."""
    monkeypatch.setattr(identity, "ACCOUNTS_KEPT_MAX", 3)
    for n in range(10):
        ours.headers(structs.replace(ACCOUNT, id=AccountId(str(n))), (), lite=False)
    assert len(ours._kept) <= 3
