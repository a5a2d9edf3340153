"""Requests whose bytes can be read in more than one way: one answer, and never a second request.

What the server in front of the gateway refuses by itself gets its bare status and no body; what it
lets pass is refused by the gateway. Either way the connection ends where its meaning is in doubt.
"""

from collections.abc import Iterator

import pytest

from tests.e2e.bad_input_wire import (
    CHAT,
    CODEX,
    RESPONSES,
    Wire,
    ask,
    chat,
    chunked,
    head,
    post,
    responses,
)
from tests.e2e.programs import API_KEY, Gateway, Simulator

SMUGGLED = b"GET /v1/models HTTP/1.1\r\nHost: gateway\r\n\r\n"
NO_HOST = f"POST {CHAT} HTTP/1.1\r\nAuthorization: Bearer {API_KEY}\r\n".encode()
CHUNKS = chunked(b"{}")

SMUGGLING = {
    "a length and a coding": head(CHAT, "Content-Length: 5", "Transfer-Encoding: chunked")
    + b"0\r\n\r\n",
    "a coding and a length": head(CHAT, "Transfer-Encoding: chunked", "Content-Length: 100")
    + b"0\r\n\r\n",
    "two lengths": head(CHAT, "Content-Length: 2", "Content-Length: 40") + b"{}",
    "two lengths in one": head(CHAT, "Content-Length: 2, 2") + b"{}",
    "a length with a sign": head(CHAT, "Content-Length: +2") + b"{}",
    "a negative length": head(CHAT, "Content-Length: -2") + b"{}",
    "a length in hex": head(CHAT, "Content-Length: 0x2") + b"{}",
    "a length past 64 bits": head(CHAT, "Content-Length: 18446744073709551618") + b"{}",
    "an unknown coding": head(CHAT, "Transfer-Encoding: xchunked") + CHUNKS,
    "identity before chunked": head(CHAT, "Transfer-Encoding: identity, chunked") + CHUNKS,
    "identity after chunked": head(CHAT, "Transfer-Encoding: chunked, identity") + CHUNKS,
    "identity alone": head(CHAT, "Transfer-Encoding: identity") + CHUNKS,
    "gzip before chunked": head(CHAT, "Transfer-Encoding: gzip, chunked") + CHUNKS,
    "chunked twice": head(CHAT, "Transfer-Encoding: chunked, chunked") + CHUNKS,
    "two codings": head(CHAT, "Transfer-Encoding: identity", "Transfer-Encoding: chunked") + CHUNKS,
    "two equal codings": head(CHAT, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked")
    + CHUNKS,
    "a vertical tab": head(CHAT, "Transfer-Encoding: \x0bchunked") + CHUNKS,
    "a space before the colon": head(CHAT, "Transfer-Encoding : chunked") + CHUNKS,
    "a space before another colon": head(CHAT, "X-A : b", "Content-Length: 2") + b"{}",
    "a folded line": head(CHAT, "X-A: b\r\n c", "Content-Length: 2") + b"{}",
    "a folded coding": head(CHAT, "Transfer-Encoding:\r\n chunked") + CHUNKS,
    "a name with a NUL": head(CHAT, "X-\x00A: b", "Content-Length: 2") + b"{}",
    "a value with a NUL": head(CHAT, "X-A: \x00", "Content-Length: 2") + b"{}",
    "a bare carriage return": head(CHAT, "X-A: b\rX-B: c", "Content-Length: 2") + b"{}",
    "two hosts": head(CHAT, "Host: elsewhere", "Content-Length: 2") + b"{}",
    "two equal hosts": head(CHAT, "Host: gateway", "Content-Length: 2") + b"{}",
    "no host": NO_HOST + b"Content-Length: 2\r\n\r\n{}",
    "an empty host": NO_HOST + b"Host:\r\nContent-Length: 2\r\n\r\n{}",
    "two keys": head(CHAT, "Authorization: Bearer other", "Content-Length: 2") + b"{}",
    "chunked in HTTP/1.0": head(CHAT, "Transfer-Encoding: chunked", version="1.0") + CHUNKS,
    "HTTP/1.2": head(CHAT, "Content-Length: 2", version="1.2") + b"{}",
    "HTTP/9.9": head(CHAT, "Content-Length: 2", version="9.9") + b"{}",
    "no version": b"POST /v1/chat/completions\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a byte no path has": head("/v1/\xc0\xaf", "Content-Length: 2") + b"{}",
    "a NUL in the path": head("/v1/mod\x00els", "Content-Length: 2") + b"{}",
}

CHUNKING = {
    "a size that is none": b"zz\r\n{}\r\n0\r\n\r\n",
    "no size": b"\r\n{}\r\n0\r\n\r\n",
    "a negative size": b"-2\r\n{}\r\n0\r\n\r\n",
    "a size with 0x": b"0x2\r\n{}\r\n0\r\n\r\n",
    "a size past 64 bits": b"10000000000000002\r\n{}\r\n0\r\n\r\n",
    "no end of the chunk": b"2\r\n{}0\r\n\r\n",
    "a longer chunk than said": b"2\r\n{}}}\r\n0\r\n\r\n",
    "an end that is none": b"2\r\n{}\r\nzz\r\n\r\n",
    "a line feed in an extension": b"2;a=\nb\r\n{}\r\n0\r\n\r\n",
    "an endless extension": b"2;" + b"a" * 100_000 + b"\r\n{}\r\n0\r\n\r\n",
    "endless trailers": b"2\r\n{}\r\n0\r\n" + b"X-A: " + b"a" * 100_000 + b"\r\n\r\n",
}


@pytest.fixture(autouse=True)
def untouched(request: pytest.FixtureRequest, simulator: Simulator) -> Iterator[None]:
    """No account is asked during the test, but by those that say so."""
    yield
    asked = request.node.get_closest_marker("usefixtures") is not None
    assert asked or simulator.records == []


@pytest.mark.parametrize("name", SMUGGLING)
def test_what_can_be_read_twice_is_refused_and_the_connection_ends(
    gateway: Gateway, name: str
) -> None:
    """C9, C11: 4xx or 5xx; the request that hides behind it is never answered."""
    with Wire(gateway.port) as wire:
        wire.send(SMUGGLING[name] + SMUGGLED)
        heard = wire.rest()
    status = int(heard.split(b" ", 2)[1])
    assert status in {400, 505}, heard
    assert heard.count(b"HTTP/1.") == 1, heard
    assert b'"object":"list"' not in heard


@pytest.mark.parametrize("name", CHUNKING)
def test_broken_chunks_are_no_body(gateway: Gateway, name: str) -> None:
    """C10: 400, and the connection ends, since nobody knows where the next request begins."""
    for path in (CHAT, CODEX):
        with Wire(gateway.port) as wire:
            wire.send(head(path, "Transfer-Encoding: chunked") + CHUNKING[name])
            assert wire.reply().said == (400, "invalid_request")
            assert wire.closed


@pytest.mark.parametrize("name", ["two hosts", "identity before chunked", "two keys", "no host"])
def test_what_the_gateway_itself_refuses_is_a_whole_answer(gateway: Gateway, name: str) -> None:
    """In the shape of all errors, with a request id, and it says that the connection ends."""
    reply = ask(gateway.port, SMUGGLING[name])
    assert reply.said == (400, "invalid_request")
    assert reply.headers["connection"] == "close"


def test_bare_line_feeds_end_lines_and_nothing_else(gateway: Gateway) -> None:
    """C9: the server is lenient here; there is still one request and one answer."""
    request = post(CHAT, b"{}", "Connection: close").replace(b"\r\n", b"\n")
    with Wire(gateway.port) as wire:
        wire.send(request)
        heard = wire.rest()
    assert heard.count(b"HTTP/1.1 400") == heard.count(b"HTTP/1.") == 1


def test_an_absolute_address_is_a_path(gateway: Gateway) -> None:
    """C9: whatever host it names, nothing is fetched from there."""
    reply = ask(gateway.port, post(f"http://169.254.169.254{CHAT}", b"{}"))
    assert reply.said == (400, "invalid_request")


@pytest.mark.parametrize(("lines", "status"), [
    ([f"X-{number}: 1" for number in range(101)], 431),
    (["X-A: " + "a" * (1 << 20)], 431),
    (["X-A: " + "a" * 500_000], 431),
])  # fmt: skip
def test_a_huge_head_is_refused_by_the_server(
    gateway: Gateway, lines: list[str], status: int
) -> None:
    """C6: 431, and the connection ends."""
    with Wire(gateway.port) as wire:
        wire.send_until_refused(post(CHAT, b"{}", *lines), 1)
        assert wire.reply().status == status
        assert wire.closed


def test_a_long_address_is_refused_by_the_server(gateway: Gateway) -> None:
    """C6: 70 KB get 414."""
    with Wire(gateway.port) as wire:
        wire.send(post(f"{CHAT}?{'a' * 70_000}", b"{}"))
        assert wire.reply().status == 414
        assert wire.closed


@pytest.mark.parametrize("host", ["a b/c", "gateway/", "a" * 5_000 + "/"])
def test_a_host_that_is_none_is_refused(gateway: Gateway, host: str) -> None:
    """C9: 400 on every route; the answer is made without parsing it once more."""
    for path in (CHAT, "/v1/nothing", "/health"):
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"
        assert ask(gateway.port, request.encode()).said == (400, "invalid_request")


@pytest.mark.parametrize("host", ["[::1", "[", "user@gateway", "gateway:x", "\xfc", ":", "%00"])
def test_no_host_breaks_an_answer(gateway: Gateway, host: str) -> None:
    """C9: nobody parses it, so nobody fails to."""
    for path in (CHAT, "/v1/nothing", "/health", "/metrics", "/admin/"):
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"
        assert ask(gateway.port, request.encode("latin-1")).status < 500
    assert "Traceback" not in gateway.printed()


def test_a_control_character_in_a_header_is_refused(gateway: Gateway) -> None:
    """C11: by the server, or by the gateway where the server lets it pass."""
    reply = ask(gateway.port, post(CHAT, chat(), "X-Codex-Turn-Metadata: a\x01b"))
    assert reply.status == 400


def test_requests_in_a_row_are_answered_in_a_row(gateway: Gateway) -> None:
    """C16: pipelined requests get their own answers, in order, good ones after bad ones."""
    requests = [
        post(CHAT, b"{}", "X-Request-ID: first"),
        head("/v1/models", "X-Request-ID: second", method="GET"),
        post(RESPONSES, b"[]", "X-Request-ID: third"),
        head("/v1/nothing", "X-Request-ID: fourth", method="GET"),
    ]
    with Wire(gateway.port) as wire:
        wire.send(b"".join(requests))
        replies = [wire.reply() for _ in requests]
    assert [reply.status for reply in replies] == [400, 200, 400, 404]
    ids = [reply.headers["x-request-id"] for reply in replies]
    assert ids == ["first", "second", "third", "fourth"]


REFUSED = {
    "form": post(CHAT, b"{}"),
    "model": post(RESPONSES, responses(model="nobody")),
    "method": head(CHAT, "Content-Length: 2", method="PUT") + b"{}",
    "route": head("/v1/nothing", "Content-Length: 2") + b"{}",
    "key": b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" % CHAT.encode(),
    "coding": post(CHAT, b"{}", "Content-Encoding: gzip"),
    "absent": head("/v1/embeddings", "Content-Length: 2") + b"{}",
}


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize("name", REFUSED)
def test_a_connection_outlives_an_error(gateway: Gateway, name: str) -> None:
    """C16: after a clean refusal the next request on the same connection is answered."""
    with Wire(gateway.port) as wire:
        for _ in range(2):
            wire.send(REFUSED[name])
            assert wire.reply().status >= 400
        wire.send(post(CHAT, chat()))
        assert wire.reply().status == 200


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_may_speak_the_old_http(gateway: Gateway, *, stream: bool) -> None:
    """C16: HTTP/1.0, without a Host, is answered and closed; a stream has its end in it."""
    body = chat("echo: hello", stream=stream)
    request = f"POST {CHAT} HTTP/1.0\r\nAuthorization: Bearer {API_KEY}\r\n"
    with Wire(gateway.port) as wire:
        wire.send(request.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        heard = wire.rest()
    assert heard.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"transfer-encoding" not in heard.lower()
    assert not stream or heard.endswith(b"data: [DONE]\n\n")


@pytest.mark.usefixtures("simulator")
def test_a_caller_that_waits_for_a_go_ahead_gets_one(gateway: Gateway) -> None:
    """C16: `100 Continue` once the head is good."""
    body = chat()
    with Wire(gateway.port) as wire:
        wire.send(head(CHAT, "Expect: 100-continue", f"Content-Length: {len(body)}"))
        assert wire.reply().status == 100
        wire.send(body)
        assert wire.reply().status == 200


def test_a_caller_that_waits_for_a_go_ahead_may_be_told_no(gateway: Gateway) -> None:
    """C16: with a head that is refused, the body is never asked for."""
    lines = [f"POST {CHAT} HTTP/1.1", "Host: x", "Expect: 100-continue", "Content-Length: 100000"]
    assert ask(gateway.port, "\r\n".join([*lines, "", ""]).encode()).said[0] == 401


@pytest.mark.parametrize(("path", "status", "code"), [
    (CHAT, 426, "not_supported_by_upstream"),
    ("/v1/models", 404, "unknown_route"),
])  # fmt: skip
def test_a_websocket_is_refused_before_it_opens(
    gateway: Gateway, path: str, status: int, code: str
) -> None:
    """426 is what makes a Codex client stay with HTTP; nothing crashes."""
    handshake = (
        "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )  # fmt: skip
    assert ask(gateway.port, head(path, *handshake, method="GET")).said == (status, code)
    for unknown in ("/v1/nothing", "/health"):
        reply = ask(gateway.port, head(unknown, *handshake, method="GET"))
        assert 400 <= reply.status < 500
    assert "Traceback" not in gateway.printed()
