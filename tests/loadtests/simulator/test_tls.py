"""TLS with a private CA: trusted, expired, misnamed, and cut without notice."""

import ssl

import pytest

from loadtests.simulator.tls import make_certificates
from tests.loadtests.simulator.peer import Peer, sim


async def served(start, files) -> Peer:
    """Return a peer of a TLS simulator that trusts its CA."""
    peer = Peer(await start(tls_cert=files.certificate, tls_key=files.key))
    peer.tls = ssl.create_default_context(cafile=files.authority)
    return peer


async def test_a_trusted_server_answers(start, tmp_path):
    """Streams and cuts work as without TLS."""
    peer = await served(start, make_certificates(tmp_path))
    answer = await peer.ask("echo: secret")
    assert (answer.text, answer.complete) == ("secret", True)
    for mode in ("fin", "rst", "tls"):
        cut = await peer.ask(sim(cut_after_events=3, cut_mode=mode))
        assert len(cut.events) == 3
        assert not cut.complete


@pytest.mark.parametrize("fault", [{"expired": True}, {"name": "other.example"}])
async def test_bad_certificates_are_refused_by_the_peer(start, tmp_path, fault):
    """Expired, or for another name."""
    peer = await served(start, make_certificates(tmp_path, **fault))
    with pytest.raises(ssl.SSLCertVerificationError):
        await peer.ask("hi")
