"""TLS without I/O: against OpenSSL's other end, however the bytes are cut."""

import ssl
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.upstream.tls import Tls
from loadtests.simulator.tls import make_certificates, server_context


class Other:
    """The server's end."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def hear(self, data: bytes) -> bytes:
        """Go on with the handshake; return what is to be sent back."""
        self.incoming.write(data)
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    def say(self, *words: bytes) -> bytes:
        """Return the records that carry these words."""
        for word in words:
            self.tls.write(word)
        return self.outgoing.read()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A private authority and a server certificate of its."""
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def contexts(files):
    """Whom both ends trust."""
    ours = ssl.create_default_context(cafile=files.authority)
    return ours, server_context(files.certificate, files.key)


def met(contexts, name: str = "localhost") -> tuple[Tls, Other]:
    """Return two ends that have shaken hands."""
    ours, theirs = contexts
    tls, other = Tls(ours, name), Other(theirs)
    tls.begin()
    while not tls.ready and not tls.over:
        assert tls.receive(other.hear(tls.owed())) == b""
    if tls.ready:
        # Its tickets; they hold no words.
        assert tls.receive(other.hear(tls.owed())) == b""
    return tls, other


def test_both_ends_understand_each_other(contexts):
    """In both directions."""
    tls, other = met(contexts)
    assert tls.receive(other.say(b"hello")) == b"hello"
    other.incoming.write(tls.send(b"x" * 100_000))
    heard = b""
    while len(heard) < 100_000:
        heard += other.tls.read(65_536)
    assert heard == b"x" * 100_000


@given(st.data())
def test_however_it_is_cut_it_is_the_same(contexts, data):
    """Records come in one piece, in many, and several at a time."""
    sizes = st.integers(1, 40_000)
    words = [bytes([n]) * size for n, size in enumerate(data.draw(st.lists(sizes, max_size=4)))]
    tls, other = met(contexts)
    wire = other.say(*words)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert b"".join(tls.receive(piece) for piece in pieces) == b"".join(words)
    assert not tls.over


@pytest.mark.parametrize("name", ["other.test", "127.0.0.2"])
def test_a_certificate_for_another_name_is_none(contexts, name):
    """Nothing may be sent."""
    tls, _ = met(contexts, name)
    assert (tls.ready, tls.over) == (False, True)
    assert isinstance(tls.broken, ssl.SSLCertVerificationError)


def test_a_farewell_is_told_from_a_break(contexts):
    """The first is the other side's word, and what it said before is not lost."""
    tls, other = met(contexts)
    wire = other.say(b"last")
    with pytest.raises(ssl.SSLWantReadError):
        other.tls.unwrap()
    assert tls.receive(wire + other.outgoing.read()) == b"last"
    assert (tls.over, tls.broken) == (True, None)


def test_what_is_no_tls_breaks_it(contexts):
    """Also after words that were some."""
    tls, other = met(contexts)
    assert tls.receive(other.say(b"fine") + b"HTTP/1.1 400 Bad Request\r\n\r\n") == b"fine"
    assert tls.over
    assert tls.broken is not None


def test_what_is_owed_is_returned_once(contexts):
    """The handshake's bytes, and no byte twice."""
    tls = Tls(contexts[0], "localhost")
    assert tls.owed() == b""
    tls.begin()
    assert tls.owed().startswith(b"\x16\x03")
    assert tls.owed() == b""
