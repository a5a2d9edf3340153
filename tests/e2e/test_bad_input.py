"""What callers get wrong, over real sockets: each gets a clear answer, and no account is touched.

The bytes on the wire are in `test_bad_input_framing`, slow and absent callers in
`test_bad_input_pace`.
"""

import gzip
import json
import sqlite3
import threading
from collections.abc import Iterator

import pytest
import zstandard

from tests.e2e.bad_input_bodies import CHAT_FIELDS, NOT_JSON, RESPONSES_FIELDS, TWICE
from tests.e2e.bad_input_wire import (
    CHAT,
    CODEX,
    RESPONSES,
    Reply,
    Wire,
    ask,
    chat,
    chunked,
    head,
    post,
    responses,
)
from tests.e2e.programs import API_KEY, MODEL, Gateway, Pair, Simulator, Starter, until

ROUTES = (CHAT, RESPONSES, CODEX)
MIB = 1 << 20


@pytest.fixture
def untouched(simulator: Simulator) -> Iterator[None]:
    """No account is asked during the test."""
    yield
    assert simulator.records == []


@pytest.fixture(scope="module")
def small(starter: Starter) -> Iterator[Gateway]:
    """A gateway that takes bodies of at most 1 MiB."""
    for pair in starter.pair(accounts=2, CODEX_MAX_REQUEST_BODY_SIZE_MB="1"):
        yield pair.gateway
        assert pair.simulator.records == []


def body_for(path: str, **more) -> bytes:
    """Return a good body for a route."""
    return chat(**more) if path == CHAT else responses(**more)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_no_json_object_is_refused(gateway: Gateway, name: str, path: str) -> None:
    """C8: whatever parsers may disagree about gets 400."""
    reply = ask(gateway.port, post(path, NOT_JSON[name]))
    assert reply.said == (400, "invalid_request")
    assert reply.error["type"] == "invalid_request_error"


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("name", TWICE)
def test_a_name_that_stands_twice_is_refused(gateway: Gateway, name: str, path: str) -> None:
    """C8: the gateway judges one value and the upstream would get the other."""
    param, body = TWICE[name]
    reply = ask(gateway.port, post(path, body))
    assert (reply.said, reply.error["param"]) == ((400, "invalid_request"), param)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", CHAT_FIELDS)
def test_a_wrong_chat_field_is_named(gateway: Gateway, name: str) -> None:
    """The error has the path of the field."""
    param, body = CHAT_FIELDS[name]
    reply = ask(gateway.port, post(CHAT, body))
    assert (reply.status, reply.error["param"]) == (400, param)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", [RESPONSES, CODEX])
@pytest.mark.parametrize("name", RESPONSES_FIELDS)
def test_a_wrong_responses_field_is_named(gateway: Gateway, name: str, path: str) -> None:
    """The error has the path of the field, on the Codex routes as well."""
    param, body = RESPONSES_FIELDS[name]
    reply = ask(gateway.port, post(path, body))
    assert (reply.status, reply.error["param"]) == (400, param)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", [RESPONSES, CODEX])
def test_a_response_that_is_not_stored_can_not_be_continued(gateway: Gateway, path: str) -> None:
    """`previous_response_id` is never dropped in silence."""
    reply = ask(gateway.port, post(path, responses(previous_response_id="resp_1")))
    assert reply.said == (409, "response_context_unavailable")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", ROUTES)
def test_an_unknown_model_is_not_found(gateway: Gateway, path: str) -> None:
    """It is not sent anywhere to see whether it works."""
    reply = ask(gateway.port, post(path, body_for(path, model="gpt-imaginary")))
    assert (reply.said, reply.error["param"]) == ((404, "model_not_found"), "model")


BAD_KEYS = {
    "none": [],
    "an empty one": ["Authorization: Bearer "],
    "no scheme": [f"Authorization: {API_KEY}"],
    "another scheme": [f"Authorization: Basic {API_KEY}"],
    "a wrong one": ["Authorization: Bearer sk-c2a-nobody"],
    "a part": [f"Authorization: Bearer {API_KEY[:-1]}"],
    "one with a tail": [f"Authorization: Bearer {API_KEY}x"],
    "two in one": [f"Authorization: Bearer {API_KEY}, {API_KEY}"],
    "10 KB": ["Authorization: Bearer " + "k" * 10_240],
    "no ASCII": ["Authorization: Bearer \xfcml\xe4ut\xff"],
    "a wrong x-api-key": ["x-api-key: sk-c2a-nobody"],
    "a cookie": [f"Cookie: api_key={API_KEY}"],
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", BAD_KEYS)
@pytest.mark.parametrize("path", [*ROUTES, "/v1/models"])
def test_a_key_that_opens_nothing_is_refused(gateway: Gateway, name: str, path: str) -> None:
    """C14: 401 whatever is wrong with it; the answer does not repeat it."""
    method = "GET" if path == "/v1/models" else "POST"
    lines = [f"{method} {path} HTTP/1.1", "Host: gateway", "Content-Length: 2", *BAD_KEYS[name]]
    reply = ask(gateway.port, "\r\n".join([*lines, "", "{}"]).encode("latin-1"))
    assert reply.said == (401, "invalid_api_key")
    assert b"sk-c2a" not in reply.body


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", ["key", "api_key", "api-key", "access_token", "authorization"])
def test_a_key_in_the_query_is_no_key(gateway: Gateway, name: str) -> None:
    """C14: queries end up in logs; such a key is not even looked at, nor logged."""
    request = f"POST {CHAT}?{name}={API_KEY} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}"
    assert ask(gateway.port, request.encode()).said == (401, "invalid_api_key")
    assert API_KEY not in gateway.printed()


def test_a_key_works_until_it_is_revoked_or_expires(gateway: Gateway) -> None:
    """C14: a running gateway hears of both."""
    body = b"{}"

    def said(key: str) -> tuple[int, str]:
        request = (
            f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nx-api-key: {key}\r\nContent-Length: 2\r\n\r\n"
        )
        return ask(gateway.port, request.encode() + body).said

    revoked = gateway.command("keys", "create", "--name", "to be revoked")
    expiring = gateway.command("keys", "create", "--name", "to expire", "--days", "1")
    for made in (revoked, expiring):
        until(lambda made=made: said(made["key"])[0] == 400, "the gateway knows the new key")
    gateway.command("keys", "revoke", revoked["id"])
    until(lambda: said(revoked["key"]) == (401, "invalid_api_key"), "the key is revoked")
    with sqlite3.connect(gateway.log.parent / "data" / "codex2api.db") as database:
        database.execute("UPDATE keys SET expires_at = 1 WHERE id = ?", (expiring["id"],))
    gateway.command("keys", "create", "--name", "a change that is noticed")
    until(lambda: said(expiring["key"]) == (401, "key_expired"), "the key has expired")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("path", ["/v1/nothing", "/v1", "/nothing", "/v1/chat", "/v1/modelsx"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "TRACE"])
def test_an_unknown_route_is_said_to_be_unknown(gateway: Gateway, method: str, path: str) -> None:
    """404 in OpenAI's shape, which names the route."""
    reply = ask(gateway.port, head(path, "Content-Length: 0", method=method))
    assert reply.said == (404, "unknown_route")
    assert f"{method} {path}" in reply.error["message"]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/v1/responses/resp_1"), ("DELETE", "/v1/responses/resp_1"),
    ("GET", "/responses/resp_1"), ("POST", "/v1/responses/resp_1/cancel"),
    ("GET", "/v1/responses/resp_1/input_items"),
])  # fmt: skip
def test_a_stored_response_is_not_found_for_a_reason(
    gateway: Gateway, method: str, path: str
) -> None:
    """404 that says why: nothing is stored."""
    reply = ask(gateway.port, head(path, "Content-Length: 0", method=method))
    assert reply.status == 404
    assert "No response is stored" in reply.error["message"]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize(("path", "allowed"), [
    (CHAT, "POST"), (RESPONSES, "POST"), (CODEX, "POST"), ("/v1/embeddings", "POST"),
])  # fmt: skip
def test_a_wrong_method_is_told_the_right_one(
    gateway: Gateway, method: str, path: str, allowed: str
) -> None:
    """C16: 405 with `Allow`; the request itself is never echoed, not to TRACE either."""
    reply = ask(gateway.port, head(path, "Content-Length: 0", "X-Canary: 4711", method=method))
    assert reply.said == (405, "method_not_allowed")
    assert reply.headers["allow"] == allowed
    assert b"4711" not in reply.body


@pytest.mark.parametrize(("path", "allowed"), [
    ("/v1/models", "GET, HEAD"), ("/backend-api/codex/models", "GET, HEAD"),
])  # fmt: skip
def test_models_are_only_asked_for(gateway: Gateway, path: str, allowed: str) -> None:
    """405 with `Allow` for all but GET and HEAD."""
    for method in ("POST", "OPTIONS", "TRACE"):
        reply = ask(gateway.port, head(path, "Content-Length: 0", method=method))
        assert reply.said == (405, "method_not_allowed")
        assert reply.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/health", "/ready", "/", "/v1/models", "/admin/", "/metrics"])
def test_head_is_get_without_the_body(gateway: Gateway, path: str) -> None:
    """C16: same status, same type, no byte after the head."""
    with Wire(gateway.port) as wire:
        wire.send(head(path, method="HEAD"))
        reply = wire.reply(bodiless=True)
        wire.send(head(path, "Connection: close", method="GET"))
        whole = wire.reply()
        assert (reply.status, reply.headers["content-type"]) == (200, whole.headers["content-type"])
        assert whole.body
        assert wire.closed


def test_one_model_can_be_asked_for(gateway: Gateway) -> None:
    """`/v1/models/{id}` answers for a model that exists, and says so of one that does not."""
    for base in ("/v1/models", "/models"):
        reply = ask(gateway.port, head(f"{base}/{MODEL}", method="GET"))
        assert (reply.status, json.loads(reply.body)["id"]) == (200, MODEL)
        for wanted in ("nothing", "a%2Fb", "a/b", "%00", "%ff", "..", "x" * 5_000):
            reply = ask(gateway.port, head(f"{base}/{wanted}", method="GET"))
            assert reply.said == (404, "model_not_found")


@pytest.mark.parametrize("path", [
    "/v1/%00", "/v1/../v1/nothing", "/v1/%2e%2e/%2e%2e/etc/passwd", "/admin/../../etc/passwd",
    "/v1/%c0%af", "/v1/%ff", "/v1/%zz", "/v1/%", "/v1/" + "a" * 30_000, "/\\", "*",
    "/v1/chat/completions%00", "/v1/chat/completions%0d%0aX-A:%20b",
])  # fmt: skip
def test_a_strange_path_is_not_found(gateway: Gateway, path: str) -> None:
    """C11: nothing decodes a path twice, and nothing breaks on it."""
    reply = ask(gateway.port, head(path, method="GET"))
    assert reply.said == (404, "unknown_route")
    assert len(reply.body) < 2_000
    assert "Traceback" not in gateway.printed()


ID_PLACES = {
    "a call": (CHAT, "POST", 400),
    "models": ("/v1/models", "GET", 200),
    "an unknown route": ("/v1/nothing", "GET", 404),
    "a wrong method": (RESPONSES, "PUT", 405),
    "health": ("/health", "GET", 200),
    "ready": ("/ready", "GET", 200),
    "metrics": ("/metrics", "GET", 200),
    "the root": ("/", "GET", 200),
    "the admin page": ("/admin/", "GET", 200),
}


@pytest.mark.parametrize("name", ID_PLACES)
def test_every_answer_has_a_request_id(gateway: Gateway, name: str) -> None:
    """The caller's own is kept if it is sane; another one is replaced."""
    path, method, status = ID_PLACES[name]

    def answered(*lines: str) -> Reply:
        length = "Content-Length: 2" if method == "POST" else "Content-Length: 0"
        body = b"{}" if method == "POST" else b""
        return ask(gateway.port, head(path, length, *lines, method=method) + body)

    mine = answered("X-Request-ID: mine-4711_a.b:c")
    assert (mine.status, mine.headers["x-request-id"]) == (status, "mine-4711_a.b:c")
    for insane in ("a b", "x" * 129, "caf\xe9", "<script>", ""):
        assert answered(f"X-Request-ID: {insane}").headers["x-request-id"].startswith("req_")
    first, second = (answered().headers["x-request-id"] for _ in range(2))
    assert first != second


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("path", ROUTES)
def test_a_bomb_does_not_go_off(gateway: Gateway, path: str, coding: str) -> None:
    """C7: 400 MiB in a few bytes are given up at the limit; Codex routes say 400 to it."""
    zeros = bytes(100 * MIB)
    packed = gzip.compress(zeros, 1) if coding == "gzip" else zstandard.compress(zeros)
    before = gateway.metrics()["process_resident_memory_bytes"]
    reply = ask(gateway.port, post(path, packed * 4, f"Content-Encoding: {coding}"))
    assert reply.said == (400 if path == CODEX else 413, "payload_too_large")
    assert gateway.metrics()["process_resident_memory_bytes"] - before < 100 * MIB


BAD_CODINGS = {
    "unknown": (415, "br", b"{}"),
    "too many": (400, "gzip, gzip, gzip, gzip", b"{}"),
    "not gzip": (400, "gzip", b"{}"),
    "gzip cut short": (400, "gzip", gzip.compress(b"{}" * 100)[:-9]),
    "not zstd": (400, "zstd", b"{}"),
    "zstd cut short": (400, "zstd", zstandard.compress(b"{}" * 100)[:-1]),
    "gzip with a tail": (400, "gzip", gzip.compress(chat()) + b"tail"),
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", BAD_CODINGS)
def test_a_wrong_coding_is_named(gateway: Gateway, name: str) -> None:
    """A body that is not what its Content-Encoding says is refused, as is an unknown coding."""
    status, coding, body = BAD_CODINGS[name]
    reply = ask(gateway.port, post(CHAT, body, f"Content-Encoding: {coding}"))
    assert (reply.status, reply.error["param"]) == (status, "content-encoding")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(("path", "status"), [(CHAT, 413), (RESPONSES, 413), (CODEX, 400)])
def test_a_body_that_says_it_is_too_large_is_not_waited_for(
    gateway: Gateway, path: str, status: int
) -> None:
    """C7: the announced 50 MiB get their answer before the first byte of them."""
    reply = ask(gateway.port, head(path, f"Content-Length: {50 * MIB}"))
    assert reply.said == (status, "payload_too_large")
    reply = ask(gateway.port, head(path, f"Content-Length: {50 * MIB}", "Expect: 100-continue"))
    assert reply.said == (status, "payload_too_large")


def test_a_caller_that_sends_all_of_50_mib_still_reads_the_answer(gateway: Gateway) -> None:
    """C7: the rest is taken in and forgotten, or closing would reset the connection."""
    for path, status in ((CHAT, 413), (CODEX, 400)):
        with Wire(gateway.port) as wire:
            wire.send(head(path, f"Content-Length: {50 * MIB}"))
            assert wire.send_until_refused(bytes(MIB), 50) == 50 * MIB
            assert wire.reply().said == (status, "payload_too_large")
            assert wire.closed


@pytest.mark.parametrize("path", ROUTES)
def test_a_body_without_a_length_is_counted(small: Gateway, path: str) -> None:
    """C7: chunked and endless, it is given up at the limit."""
    with Wire(small.port) as wire:
        wire.send(head(path, "Transfer-Encoding: chunked"))
        piece = chunked(bytes(65_536)).removesuffix(b"0\r\n\r\n")
        wire.send(piece * 20)
        assert wire.reply().said == (400 if path == CODEX else 413, "payload_too_large")


def test_a_length_that_promises_too_little_or_too_much(small: Gateway) -> None:
    """C7: what follows the length is the next request; what never comes is no request."""
    with Wire(small.port) as wire:
        wire.send(head(CHAT, "Content-Length: 2") + b"{}GARBAGE\r\n\r\n")
        assert wire.reply().said == (400, "invalid_request")
        assert b"200 OK" not in wire.rest()
    with Wire(small.port) as wire:
        wire.send(head(CHAT, "Content-Length: 500") + chat())
        wire.socket.shutdown(1)
        assert b" 200 " not in wire.rest()


def test_a_hundred_large_bodies_at_once_are_bounded(small: Gateway) -> None:
    """C7: each is cut off at the limit, so together they take a hundred times that at most."""
    before = small.metrics()["process_resident_memory_bytes"]
    said: list[tuple[int, str]] = []

    def send() -> None:
        with Wire(small.port) as wire:
            wire.send(head(CHAT, "Transfer-Encoding: chunked"))
            piece = chunked(bytes(65_536)).removesuffix(b"0\r\n\r\n")
            wire.send_until_refused(piece, 64)
            said.append(wire.reply().said)

    threads = [threading.Thread(target=send) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [(413, "payload_too_large")] * 100
    after = small.metrics()["process_resident_memory_bytes"]
    assert after - before < 128 * MIB


def test_a_good_request_still_works_after_all_that(pair: Pair) -> None:
    """Nothing of it has left a mark."""
    for path in ROUTES:
        reply = ask(pair.gateway.port, post(path, body_for(path)))
        assert reply.status == 200, reply.body
    pair.gateway.settled()
