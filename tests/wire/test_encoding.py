"""Bodies come out of their codings whole and bounded, or not at all."""

import gzip
import zlib
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import InvalidRequest, PayloadTooLarge
from app.wire.encoding import CODINGS_MAX, FRAMES_MAX, decode_body

MAX = 1024 * 1024


def bare_deflate(data: bytes) -> bytes:
    """Return deflate without zlib's header, as some clients send it."""
    coder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return coder.compress(data) + coder.flush()


def sizeless_zstd(data: bytes) -> bytes:
    """Return a frame that does not say how large it is, as streaming clients send it."""
    coder = zstandard.ZstdCompressor(level=3).compressobj()
    return coder.compress(data) + coder.flush()


CODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor(level=3).compress,
    "identity": bytes,
    "": bytes,
}
ODD = {"deflate": bare_deflate, "zstd": sizeless_zstd}


@given(
    st.binary(max_size=200) | st.integers(0, 300_000).map(lambda n: b"ab" * (n // 2)),
    st.lists(st.sampled_from(sorted(CODERS)), max_size=CODINGS_MAX),
)
@settings(max_examples=60, deadline=None)
def test_any_stack_of_codings_is_undone(data, names):
    """The last one named was put on last."""
    body = data
    for name in names:
        body = CODERS[name](body)
    assert decode_body(body, " , ".join(names).upper(), bytes_max=MAX) == data


@pytest.mark.parametrize("name", sorted(ODD))
@pytest.mark.parametrize("data", [b"", b"x", b"hello " * 10_000])
def test_the_odd_forms_are_read(name, data):
    """Deflate without a header, zstd without a size."""
    assert decode_body(ODD[name](data), name, bytes_max=MAX) == data


@pytest.mark.parametrize("name", ["gzip", "zstd", "deflate"])
def test_several_frames_are_one_body(name):
    """They follow each other without a seam."""
    body = b"".join(CODERS[name](piece) for piece in (b"one ", b"", b"two " * 2000, b"three"))
    assert decode_body(body, name, bytes_max=MAX) == b"one " + b"two " * 2000 + b"three"


@pytest.mark.parametrize("name", ["gzip", "zstd", "deflate"])
def test_endless_frames_are_refused(name):
    """Empty frames would cost time without end."""
    with pytest.raises(InvalidRequest, match="more than 1024 frames"):
        decode_body(CODERS[name](b"") * (FRAMES_MAX + 1), name, bytes_max=MAX)


@pytest.mark.parametrize("name", ["gzip", "zstd", "deflate"])
def test_a_bomb_is_refused_while_it_grows(name):
    """A few kilobytes that stand for 64 MiB never become them."""
    with pytest.raises(PayloadTooLarge) as caught:
        decode_body(CODERS[name](bytes(64 * MAX)), name, bytes_max=MAX)
    assert caught.value.status == 413


def test_a_bomb_in_a_bomb_is_refused():
    """Each coding's result is bounded."""
    body = gzip.compress(gzip.compress(bytes(64 * MAX)))
    with pytest.raises(PayloadTooLarge):
        decode_body(body, "gzip, gzip", bytes_max=MAX)


@pytest.mark.parametrize("name", ["identity", "gzip"])
def test_the_limit_itself_passes(name):
    """One byte more does not."""
    assert len(decode_body(CODERS[name](bytes(MAX)), name, bytes_max=MAX)) == MAX
    with pytest.raises(PayloadTooLarge):
        decode_body(CODERS[name](bytes(MAX + 1)), name, bytes_max=MAX)


@pytest.mark.parametrize("name", ["gzip", "zstd", "deflate"])
def test_a_body_that_is_cut_short_is_refused(name):
    """Half a request is none."""
    body = CODERS[name](b"hello " * 1000)
    for part in (b"", body[:1], body[:-1]):
        with pytest.raises(InvalidRequest) as caught:
            decode_body(part, name, bytes_max=MAX)
        assert caught.value.param == "content-encoding"


@pytest.mark.parametrize("name", ["gzip", "zstd", "deflate"])
def test_a_corrupt_body_is_refused(name):
    """Plain JSON under a coding's name, and rubbish behind a good frame."""
    for body in (b'{"model":"m"}', CODERS[name](b"x") + b"\xff\xffrubbish"):
        with pytest.raises(InvalidRequest) as caught:
            decode_body(body, name, bytes_max=MAX)
        assert caught.value.status == 400


def test_a_window_that_is_too_large_is_refused():
    """Memory is bounded by the window too."""
    params = zstandard.ZstdCompressionParameters(window_log=27, compression_level=3)
    coder = zstandard.ZstdCompressor(compression_params=params).compressobj()
    body = coder.compress(b"hello") + coder.flush()
    with pytest.raises(InvalidRequest, match="not valid zstd"):
        decode_body(body, "zstd", bytes_max=MAX)


@pytest.mark.parametrize("name", ["br", "compress", "gzip;q=1", "gzip, br"])
def test_an_unknown_coding_is_named(name):
    """Status 415, and what would be read."""
    with pytest.raises(InvalidRequest, match="zstd, gzip, deflate and identity") as caught:
        decode_body(b"x", name, bytes_max=MAX)
    assert (caught.value.status, caught.value.code) == (415, "invalid_request")


def test_too_many_codings_are_refused():
    """Before any of them is undone."""
    with pytest.raises(InvalidRequest, match="at most 3"):
        decode_body(b"x", "gzip, gzip, gzip, gzip", bytes_max=MAX)


@given(st.binary(max_size=300), st.sampled_from(["gzip", "zstd", "deflate"]))
@settings(deadline=None)
def test_any_bytes_get_a_defined_answer(body, name):
    """Nothing but bytes or a refusal comes out."""
    with suppress(InvalidRequest, PayloadTooLarge):
        assert len(decode_body(body, name, bytes_max=MAX)) <= MAX
