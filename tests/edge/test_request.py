"""Tests of app.edge.request."""

import gzip

import pytest

from app.edge.request import Upload, read_head, request_id
from app.errors import InvalidRequest, Overloaded, PayloadTooLarge, RequestTimeout
from tests.edge.asgi import Server, scope


def read(upload: Upload, *, bytes_max: int = 100, hold=bool, timeout_s: float = 5.0):
    """Return the coroutine that reads the body."""
    return upload.read(bytes_max=bytes_max, timeout_s=timeout_s, hold=hold)


def test_a_head_is_what_the_request_says() -> None:
    """Method, key, coding and length; other headers can be looked up."""
    head = read_head(
        scope(
            ("authorization", "bearer  key "),
            ("content-encoding", "gzip"),
            ("content-length", "7"),
            ("x-request-id", "mine"),
            ("accept", "first"),
            ("accept", "second"),
        )
    )
    assert (head.method, head.key, head.content_encoding) == ("POST", "key", "gzip")
    assert (head.content_length, head.chunked, head.request_id) == (7, False, "mine")
    assert (head.find(b"accept"), head.find(b"cookie"), head.flaw) == ("first", None, None)


@pytest.mark.parametrize(("given", "key"), [
    ([], None),
    ([("authorization", "Bearer a")], "a"),
    ([("authorization", "BEARER a")], "a"),
    ([("authorization", "Bearer ")], ""),
    ([("authorization", "Bearer")], ""),
    ([("authorization", "Basic a")], None),
    ([("authorization", "Basic a"), ("x-api-key", "b")], "b"),
    ([("authorization", "Bearer a"), ("x-api-key", "b")], "a"),
    ([("x-api-key", "b")], "b"),
    ([("x-api-key", "")], None),
    ([("authorization", "Bearer " + "k" * 600)], "k" * 512),
    ([("x-api-key", "k" * 600)], "k" * 512),
    ([("authorization", "Bearer \xfc")], "\xfc"),
])  # fmt: skip
def test_a_key_is_taken_from_two_headers(given, key) -> None:
    """Of a long one as much as shows that it is wrong."""
    assert read_head(scope(*given)).key == key


@pytest.mark.parametrize(("given", "kept"), [
    ("mine-1.b_c:d", True), ("x" * 128, True), ("x" * 129, False), ("", False), ("a b", False),
    ("\xe9", False), ("a\nb", False),
])  # fmt: skip
def test_a_request_id_is_kept_if_it_is_sane(given, kept) -> None:
    """Another one is made up, and never the same twice."""
    found = {read_head(scope(("x-request-id", given))).request_id for _ in range(2)}
    assert found == {given} if kept else (len(found) == 2 and given not in found)
    assert request_id([(b"a", b"b"), (b"x-request-id", given.encode("latin-1"))]) in found or (
        not kept
    )
    assert request_id([]).startswith("req_")


@pytest.mark.parametrize(("given", "param"), [
    ([("host", "other")], "host"),
    ([("host", "gateway")], "host"),
    ([("content-length", "2"), ("content-length", "2")], "content-length"),
    ([("authorization", "a"), ("authorization", "b")], "authorization"),
    ([("transfer-encoding", "identity")], "transfer-encoding"),
    ([("transfer-encoding", "gzip, chunked")], "transfer-encoding"),
    ([("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], "transfer-encoding"),
    ([("transfer-encoding", "chunked"), ("content-length", "2")], "transfer-encoding"),
    ([("transfer-encoding", " Chunked ")], None),
    ([("x-request-id", "a"), ("x-request-id", "b")], None),
])  # fmt: skip
def test_what_can_be_read_twice_is_a_flaw(given, param) -> None:
    """The head is there all the same, so that the answer can have its id."""
    head = read_head(scope(*given, ("x-request-id", "mine")))
    assert (head.flaw.param if head.flaw else None) == param
    assert head.request_id in {"mine", "a"}


@pytest.mark.parametrize(("version", "host", "flawed"), [
    ("1.1", None, True), ("1.1", "", True), ("1.0", None, False), ("1", "", False),
    ("1.1", "x", False), ("1.1", "[::1]:80", False), ("1.1", "a/b", True), ("1.0", "a b", True),
])  # fmt: skip
def test_only_the_old_http_does_without_a_host(version, host, flawed) -> None:
    """An empty one is none: that is how the server spells it. One with a path in it is wrong."""
    given = [] if host is None else [("host", host)]
    head = read_head(scope(*given, version=version, host=False))
    assert (head.flaw is not None) == flawed


@pytest.mark.parametrize("length", ["", "-1", "+1", "1e3", "0x1", "9" * 5_000])
def test_a_length_that_is_none_is_not_believed(length) -> None:
    """Nor is it converted at any price."""
    assert read_head(scope(("content-length", length))).content_length is None


async def test_a_body_is_all_of_its_pieces() -> None:
    """What is held is told as it comes."""
    held: list[int] = []
    server = Server(b"ab", b"", b"c")
    upload = Upload(read_head(scope()), server.receive)
    assert await read(upload, hold=held.append) == b"abc"
    assert (sum(held), upload.owed) == (3, False)


async def test_a_body_is_decoded_and_counted_decoded() -> None:
    """The bytes that count are those that are held."""
    held: list[int] = []
    packed = gzip.compress(b"a" * 90)
    upload = Upload(read_head(scope(("content-encoding", "gzip"))), Server(packed).receive)
    assert await read(upload, hold=held.append) == b"a" * 90
    assert sum(held) == 90
    upload = Upload(read_head(scope(("content-encoding", "gzip"))), Server(packed).receive)
    with pytest.raises(PayloadTooLarge):
        await read(upload, bytes_max=50)


async def test_a_body_over_the_limit_is_given_up_where_it_is_known() -> None:
    """As announced before the first byte, else at the piece that is too much."""
    server = Server(b"a" * 60, b"a" * 60, b"a")
    with pytest.raises(PayloadTooLarge):
        await read(Upload(read_head(scope(("content-length", "101"))), server.receive))
    upload = Upload(read_head(scope(("transfer-encoding", "chunked"))), server.receive)
    with pytest.raises(PayloadTooLarge):
        await read(upload)
    assert upload.owed


async def test_a_body_that_breaks_off_is_no_body() -> None:
    """Nor does anybody wait for the rest of it."""
    server = Server()
    server.bring(b"a", more=True)
    server.leave()
    upload = Upload(read_head(scope(("transfer-encoding", "chunked"))), server.receive)
    with pytest.raises(InvalidRequest, match="broke off"):
        await read(upload)
    assert not upload.owed


async def test_a_body_that_does_not_come_is_a_timeout() -> None:
    """The limit is on the whole body."""
    with pytest.raises(RequestTimeout):
        await read(Upload(read_head(scope()), Server().receive), timeout_s=0.0)


async def test_what_can_not_be_held_ends_the_reading() -> None:
    """The budget's own error goes to the caller."""

    def hold(size: int) -> None:
        raise Overloaded(f"{size}")

    with pytest.raises(Overloaded, match="2"):
        await read(Upload(read_head(scope()), Server(b"ab").receive), hold=hold)


@pytest.mark.parametrize(("given", "owed"), [
    ([], False),
    ([("content-length", "0")], False),
    ([("content-length", "65536")], False),
    ([("content-length", "65537")], True),
    ([("transfer-encoding", "chunked")], True),
    ([("content-length", "65537"), ("expect", "100-continue")], False),
    ([("transfer-encoding", "identity")], False),
])  # fmt: skip
def test_only_a_long_body_is_owed_patience(given, owed) -> None:
    """The server takes in a short one; who waits for a go-ahead is not sending."""
    assert Upload(read_head(scope(*given)), Server().receive).owed == owed


@pytest.mark.parametrize("end", ["whole", "gone", "too long", "too late"])
async def test_the_rest_of_a_body_is_taken_in_within_bounds(end) -> None:
    """Until its end, the caller's, or ours."""
    server = Server()
    for _ in range(5):
        server.bring(b"a" * 10, more=True)
    if end == "whole":
        server.bring(b"", more=False)
    elif end == "gone":
        server.leave()
    upload = Upload(read_head(scope(("transfer-encoding", "chunked"))), server.receive)
    await upload.discard(
        bytes_max=25 if end == "too long" else 100, timeout_s=0.0 if end == "too late" else 5.0
    )
    assert upload.owed == (end == "too long")
