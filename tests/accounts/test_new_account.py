"""Tests of app.accounts.new_account."""

import pytest

from app.accounts.claims import TOKEN_CHARS_MAX
from app.accounts.new_account import (
    NAME_CHARS_MAX,
    NewAccount,
    Unusable,
    from_line,
    from_object,
    from_tokens,
)
from app.domain.account import AccountKind, Secret
from app.ports import Tokens
from tests.accounts.tokens import EXP, auth, jwt, payload

ID = jwt(payload())
ACCESS = jwt({"exp": EXP + 5})
OWNER = {
    "email": "user-1@example.com",
    "chatgpt_user_id": "user-1",
    "chatgpt_account_id": "acc-00001",
    "plan": "plus",
}


def codex(name="file 1", **fields):
    """Return a Codex account."""
    return NewAccount(name=name, kind=AccountKind.CODEX, **fields)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rt_abc", codex(refresh_token=Secret("rt_abc"))),
        ("  'rt-abc', ", codex(refresh_token=Secret("rt-abc"))),
        ("at-abc", codex(access_token=Secret("at-abc"))),
        (ACCESS, codex(access_token=Secret(ACCESS), expires_at=EXP + 5)),
        (
            '"sk-abc"',
            NewAccount(name="file 1", kind=AccountKind.OPENAI, api_key=Secret("sk-abc")),
        ),
    ],
)
def test_a_bare_token_is_known_by_its_form(line, expected):
    """Refresh token, access token or API key; quotes and commas around it are no part of it."""
    assert from_line(line, fallback="file 1") == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("hello", "neither a refresh token"),
        ("eyJnot.a-jwt", "neither a refresh token"),
        ("eyJhbGciOi..iv.text.tag", "session token"),
        ("rt_abc def", "characters that no token has"),
        ("rt_abc\x07", "characters that no token has"),
    ],
)
def test_a_line_that_is_no_token_is_refused(line, reason):
    """And the reason does not repeat it."""
    with pytest.raises(Unusable, match=reason) as refused:
        from_line(line, fallback="file 1")
    assert line not in str(refused.value)


CPA = {
    "type": "codex",
    "email": "a@example.com",
    "account_id": "0f9c",
    "access_token": "at-1",
    "refresh_token": "rt_1",
    "last_refresh": "2026-08-22T10:11:12Z",
    "expired": "2026-09-01T10:11:12Z",
}
SHAPES = {
    "auth.json": (
        {
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": None,
            "tokens": {
                "id_token": ID,
                "access_token": ACCESS,
                "refresh_token": "rt_1",
                "account_id": "ignored: the token knows better",
            },
            "last_refresh": "2026-08-22T10:11:12.345678Z",
        },
        codex(
            "user-1@example.com",
            id_token=Secret(ID),
            access_token=Secret(ACCESS),
            refresh_token=Secret("rt_1"),
            expires_at=EXP + 5,
            **OWNER,
        ),
    ),
    "auth.json with a key": (
        {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-1", "tokens": None},
        NewAccount(name="file 1", kind=AccountKind.OPENAI, api_key=Secret("sk-1")),
    ),
    "auth.json with both": (
        {"OPENAI_API_KEY": "sk-1", "tokens": {"refresh_token": "rt_1"}},
        codex(refresh_token=Secret("rt_1")),
    ),
    "auth.json with both, by key": (
        {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-1", "tokens": {"refresh_token": "rt_1"}},
        NewAccount(name="file 1", kind=AccountKind.OPENAI, api_key=Secret("sk-1")),
    ),
    "CPA": (
        CPA,
        codex(
            "a@example.com",
            email="a@example.com",
            chatgpt_account_id="0f9c",
            access_token=Secret("at-1"),
            refresh_token=Secret("rt_1"),
            expires_at=1788257472.0,
        ),
    ),
    "camelCase": (
        {"accessToken": "at-1", "refreshToken": "rt_1", "idToken": ID},
        codex(
            "user-1@example.com",
            access_token=Secret("at-1"),
            refresh_token=Secret("rt_1"),
            id_token=Secret(ID),
            **OWNER,
        ),
    ),
    "S2A": (
        {
            "name": "mine",
            "platform": "openai",
            "type": "oauth",
            "credentials": {
                "refresh_token": "rt_1",
                "chatgpt_user_id": "u",
                "plan_type": "team",
            },
        },
        codex("mine", refresh_token=Secret("rt_1"), chatgpt_user_id="u", plan="team"),
    ),
    "S2A with a key": (
        {
            "name": "relay",
            "platform": "openai",
            "type": "apikey",
            "credentials": {"api_key": "k", "base_url": "https://relay.example/v1/"},
        },
        NewAccount(
            name="relay",
            kind=AccountKind.OPENAI,
            api_key=Secret("k"),
            base_url="https://relay.example/v1",
        ),
    ),
    "session endpoint": (
        {
            "accessToken": "at-1",
            "expires": "2026-09-01T10:11:12Z",
            "user": {"email": "s@example.com"},
        },
        codex(
            "s@example.com",
            email="s@example.com",
            access_token=Secret("at-1"),
            expires_at=1788257472.0,
        ),
    ),
    "the outer of two": (
        {"refresh_token": "rt_1", "tokens": {"refresh_token": "rt_2", "access_token": "at-1"}},
        codex(refresh_token=Secret("rt_1"), access_token=Secret("at-1")),
    ),
    "name of an account id": (
        {"refresh_token": " rt_1 ", "account_id": "0123456789"},
        codex("01234567", refresh_token=Secret("rt_1"), chatgpt_account_id="0123456789"),
    ),
    "stand-in for an account id": (
        {"refresh_token": "rt_1", "account_id": "email_1", "user_id": "", "access_token": ""},
        codex(refresh_token=Secret("rt_1")),
    ),
    "a name that is none": (
        {"refresh_token": "rt_1", "name": 7, "label": "a\nb" + "x" * 500, "x" * 100: 1},
        codex("a b" + "x" * (NAME_CHARS_MAX - 3), refresh_token=Secret("rt_1")),
    ),
    "a government account": (
        {"access_token": jwt(auth(chatgpt_account_is_fedramp=True))},
        codex(access_token=Secret(jwt(auth(chatgpt_account_is_fedramp=True))), fedramp=True),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_its_account(shape):
    """Whatever the program that wrote it calls its fields."""
    entry, expected = SHAPES[shape]
    assert from_object(entry, fallback="file 1") == expected


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({}, "no refresh_token, access_token or api_key"),
        ({"tokens": [], "credentials": None}, "no refresh_token, access_token or api_key"),
        ({"session_token": "x"}, "session_token alone"),
        ({"id_token": ID}, "id_token alone"),
        ({"auth_mode": "agentIdentity", "agent_identity": {}}, "auth_mode is not supported"),
        ({"type": "claude", "access_token": "x"}, "type says that it is not an OpenAI account"),
        ({"platform": "Gemini", "access_token": "x"}, "platform says that"),
        ({"refresh_token": 7}, "refresh_token is not a string"),
        ({"refresh_token": "rt_ä"}, "refresh_token has characters"),
        ({"access_token": "x" * (TOKEN_CHARS_MAX + 1)}, "access_token is longer than"),
        ({"api_key": "k", "base_url": "ftp://x"}, "^base_url: "),
        ({"api_key": "k", "base_url": 7}, "^base_url: "),
        ({"api_key": "k", "base_url": "http://[x"}, "^base_url: "),
        ({"api_key": "k", "base_url": "http://user:pass@x"}, "^base_url: "),
        ({"api_key": "k", "base_url": "http://x/?key=1"}, "^base_url: "),
        ({"api_key": "k", "base_url": "http://x/a b"}, "^base_url: "),
        ({"api_key": "k", "base_url": "http://169.254.169.254/v1"}, "no address that an upstream"),
        ({"api_key": "k", "models": [""]}, "^models: "),
        ({"api_key": "k", "organization": "a b"}, "^organization: "),
        ({"type": "compatible"}, "a compatible server needs a base_url"),
    ],
)
def test_an_entry_that_is_no_account_is_refused_with_the_reason(entry, reason):
    """So that its owner knows what to bring instead."""
    with pytest.raises(Unusable, match=reason):
        from_object(entry, fallback="file 1")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_800_000_000, 1.8e9),
        (1_800_000_000_000, 1.8e9),
        (1_800_000_000.5, 1_800_000_000.5),
        ("2027-01-15T08:00:00Z", 1.8e9),
        ("2027-01-15T08:00:00", 1.8e9),
        ("2027-01-15T09:00:00.000000+01:00", 1.8e9),
        ("tomorrow", None),
        (True, None),
        (-1, None),
        (1e300, None),
        ([], None),
        (None, None),
    ],
)
def test_an_end_is_understood_in_every_usual_form(value, expected):
    """Seconds, milliseconds and ISO 8601, with and without a zone; anything else is unknown."""
    entry = {"access_token": "at-1", "expires_at": value}
    assert from_object(entry, fallback="x").expires_at == expected


def test_an_end_means_nothing_without_an_access_token():
    """It is the access token's."""
    entry = {"refresh_token": "rt_1", "expires_at": 1_800_000_000}
    assert from_object(entry, fallback="x").expires_at is None


def test_an_empty_base_url_is_none():
    """The public one is meant."""
    assert from_object({"api_key": "k", "base_url": ""}, fallback="x").base_url is None


def test_a_login_gives_an_account():
    """Named by the person or by its address."""
    tokens = Tokens(
        access_token=Secret("at-1"), refresh_token=None, id_token=Secret(ID), expires_at=7.0
    )
    account = from_tokens(tokens, name=None)
    assert (account.name, account.expires_at) == ("user-1@example.com", 7.0)
    assert account.chatgpt_account_id == "acc-00001"
    assert from_tokens(tokens, name="mine").name == "mine"


def test_a_server_that_asks_for_no_key_is_an_account():
    """If it says what it is; its models come along, as they were exported."""
    new = from_object(
        {
            "type": "compatible",
            "base_url": "http://ollama:11434/v1",
            "models": ["m", 7],
            "model_map": {"gpt-5.5": "qwen3", "x": None},
            "project": "p",
        },
        fallback="file 1",
    )
    assert (new.kind, new.api_key, new.name) == (AccountKind.COMPATIBLE, None, "file 1")
    assert (new.models, new.model_map, new.project) == (("m",), {"gpt-5.5": "qwen3"}, "p")
