"""Framing, cuts and encodings, without a socket."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.simulator.encode import Compressor, Framer, cuts, decoded
from loadtests.simulator.knobs import build
from loadtests.simulator.tokens import Mint
from tests.loadtests.simulator.peer import sse

MODES = ["natural", "byte", "random", "utf8", "crlf", "field", "line"]


@given(data=st.binary(max_size=300), mode=st.sampled_from(MODES), seed=st.integers())
def test_cuts_lose_nothing(data, mode, seed):
    """The pieces add up to the data, and none is empty."""
    pieces = cuts(data, mode, random.Random(seed))
    assert b"".join(pieces) == data
    assert all(pieces) or mode == "natural"


@given(
    eol=st.sampled_from(["LF", "CRLF", "CR"]),
    event_line=st.booleans(),
    multi=st.booleans(),
    ids=st.booleans(),
)
def test_every_spelling_reads_the_same(eol, event_line, multi, ids):
    """A reader of the standard sees the same data."""
    knobs = build(
        {"eol": eol, "event_line": event_line, "multi_line_data": multi, "id_retry_fields": ids}
    )
    framer = Framer(knobs)
    payloads = [b'{"type":"a","n":1}', b'{"type":"b","n":2}']
    wire = b"".join(framer.frame(b"name", payload) for payload in payloads)
    read = [data.replace("\n", "") for _, data in sse(wire)]
    assert read == [payload.decode() for payload in payloads]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_each_event_can_be_read_at_once(encoding):
    """A compressor flushes after every piece, and what it makes can be decoded."""
    compress = Compressor(encoding)
    wire = compress(b"one") + compress(b"two") + compress.finish()
    assert decoded(wire, encoding) == b"onetwo"


@pytest.mark.parametrize(("body", "encoding"), [(b"x", "gzip"), (b"x", "zstd"), (b"x", "lzw")])
def test_damaged_bodies_are_refused(body, encoding):
    """With a reason."""
    with pytest.raises(ValueError, match=encoding):
        decoded(body, encoding)


@given(text=st.text(max_size=80))
def test_forged_values_are_recognised(text):
    """Whatever is made up, the mint did not make it."""
    mint = Mint(1)
    assert mint.content_owner(text) is None
    assert mint.turn_owner(text) is None
    assert mint.read_refresh(text) is None


def test_sealed_values_name_their_owner():
    """And only under the seed that made them."""
    mint = Mint(1)
    sealed = mint.encrypted_content("acct-1", "rs_1")
    assert mint.content_owner(sealed) == "acct-1"
    assert Mint(2).content_owner(sealed) is None
    assert mint.read_refresh(mint.refresh_token("acct-1", 3)) == ("acct-1", 3)
