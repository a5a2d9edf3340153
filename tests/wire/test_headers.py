"""Only what is named crosses the gateway, in either direction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest
from app.wire.headers import HEADER_BYTES_MAX, request_headers, response_headers

SECRET = [
    "authorization",
    "cookie",
    "x-api-key",
    "api-key",
    "chatgpt-account-id",
    "x-oai-attestation",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "host",
    "connection",
    "te",
    "transfer-encoding",
    "content-length",
    "content-type",
    "content-encoding",
    "accept-encoding",
    "openai-organization",
    "openai-project",
    "x-admin-key",
    "proxy-authorization",
    "x-codex-installation-id",
    "x-openai-internal-codex-responses-lite",
]
OWN = [
    "session-id",
    "session_id",
    "thread-id",
    "x-client-request-id",
    "x-codex-window-id",
    "x-codex-turn-metadata",
    "x-codex-turn-state",
    "x-codex-parent-thread-id",
    "x-openai-subagent",
    "x-openai-memgen-request",
    "x-codex-beta-features",
    "x-codex-routing-hint",
    "originator",
    "version",
    "user-agent",
    "accept-language",
    "x-responsesapi-include-timing-metrics",
    "traceparent",
    "tracestate",
]


def test_a_codex_clients_own_headers_travel():
    """All of them, in their order, names in lower case."""
    sent = [(name.title().encode(), name.encode()) for name in OWN]
    assert request_headers(sent) == tuple((name, name) for name in OWN)


def test_nothing_else_travels():
    """Not one credential, account id or hop's header."""
    assert request_headers([(name.encode(), b"x") for name in SECRET]) == ()


def test_what_connection_names_stays_on_its_hop():
    """Even a header that may travel."""
    sent = [(b"Connection", b"keep-alive, Session-Id"), (b"session-id", b"s"), (b"version", b"1")]
    assert request_headers(sent) == (("version", "1"),)


def test_of_a_header_that_stands_twice_the_first_travels():
    """So the upstream reads what policy read."""
    assert request_headers([(b"session-id", b"a"), (b"Session-Id", b"b")]) == (("session-id", "a"),)


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nb", b"a\x00b", b"\x7f", b"\x1b["])
def test_a_control_character_is_refused(value):
    """In a header that would travel; in others it is nobody's business here."""
    with pytest.raises(InvalidRequest) as caught:
        request_headers([(b"x-codex-turn-state", value)])
    assert caught.value.param == "x-codex-turn-state"
    assert request_headers([(b"x-other", value)]) == ()


def test_what_is_not_ascii_stays_behind():
    """Clients spell it differently, and none of these headers needs it."""
    assert request_headers([(b"user-agent", "né".encode()), (b"version", b"1\t2")]) == (
        ("version", "1\t2"),
    )


def test_all_together_are_bounded():
    """At 64 KiB the request is refused, one byte below it is not."""
    room = HEADER_BYTES_MAX - len("session-id")
    assert request_headers([(b"session-id", b"x" * room)])
    with pytest.raises(InvalidRequest, match="over 65536 bytes"):
        request_headers([(b"session-id", b"x" * room), (b"version", b"1")])


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20))))
def test_any_headers_get_an_answer(headers):
    """What comes out is clean."""
    try:
        travelling = request_headers(headers)
    except InvalidRequest:
        return
    assert all(name in OWN and value.isascii() for name, value in travelling)


REPLY = [
    ("OpenAI-Model", "gpt-5.5"),
    ("openai-processing-ms", "12"),
    ("openai-version", "2020-10-01"),
    ("x-models-etag", '"e"'),
    ("x-reasoning-included", "true"),
    ("x-codex-turn-state", "sticky"),
]
QUOTA = [
    ("x-codex-primary-used-percent", "37.5"),
    ("x-codex-secondary-window-minutes", "10080"),
    ("x-codex-primary-reset-at", "1"),
    ("x-codex-bengalfox-primary-reset-after-seconds", "1"),
]
NEVER = [
    ("set-cookie", "a=b"),
    ("x-codex-plan-type", "plus"),
    ("x-codex-credits-has-credits", "true"),
    ("x-codex-credits-balance", "1"),
    ("x-codex-active-limit", "codex"),
    ("x-codex-promo-message", "hello"),
    ("cf-ray", "1"),
    ("server", "cloudflare"),
    ("x-request-id", "1"),
    ("content-length", "1"),
    ("transfer-encoding", "chunked"),
]


def as_bytes(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return headers as ASGI has them."""
    return [(name.lower().encode(), value.encode()) for name, value in headers]


def test_a_public_caller_gets_no_account_s_quota():
    """The rest of what is named travels."""
    assert response_headers(REPLY + QUOTA + NEVER, codex_route=False) == as_bytes(REPLY)


def test_a_codex_client_gets_the_windows():
    """But no plan and no credits."""
    assert response_headers(REPLY + QUOTA + NEVER, codex_route=True) == as_bytes(REPLY + QUOTA)


@pytest.mark.parametrize("value", ["a\r\nset-cookie: b", "\x00", "é", "\u2028"])
def test_a_reply_s_unclean_header_stays_behind(value):
    """It is no reason to lose the answer."""
    assert response_headers([("openai-model", value)], codex_route=True) == []


def test_a_reply_s_hop_and_second_headers_stay_behind():
    """The same rules as for requests."""
    sent = [
        ("connection", "openai-model"),
        ("openai-model", "m"),
        ("openai-version", "1"),
        ("openai-version", "2"),
    ]
    assert response_headers(sent, codex_route=True) == [(b"openai-version", b"1")]


def test_a_reply_s_headers_are_bounded():
    """What is over the bound is left out."""
    sent = [("openai-model", "m"), ("openai-version", "x" * HEADER_BYTES_MAX)]
    assert response_headers(sent, codex_route=False) == [(b"openai-model", b"m")]
