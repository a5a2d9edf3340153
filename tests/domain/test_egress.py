"""Addresses that an upstream may have, and those that it may not."""

import pytest

from app.domain.egress import base_url, flaw_of, is_address
from app.errors import InvalidRequest

GOOD = [
    "https://api.openai.com/v1",
    "https://example.com:8443/v1",
    "https://93.184.216.34/v1",
    "https://[2606:2800:220:1::1]/v1",
    "http://localhost:11434/v1",
    "http://127.0.0.1:8000/v1",
    "http://[::1]:8000/v1",
    "http://10.1.2.3/v1",
    "http://172.31.0.1/v1",
    "http://192.168.1.5:1234",
    "http://100.64.0.9/v1",
    "http://[fd12:3456::1]/v1",
    "http://[::ffff:10.0.0.1]/v1",
    "http://ollama:11434/v1",
    "http://vllm.default.svc/v1",
    "http://box.local/v1",
    "http://llm.corp.internal/v1",
    "https://llm.corp.internal/v1",
]
BAD = [
    "",
    "api.openai.com/v1",
    "ftp://example.com",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_x",
    "https://",
    "https://example.com/v1?key=1",
    "https://example.com/v1#x",
    "https://user@example.com/v1",
    "https://user:password@example.com/v1",
    "https://example.com:99999/v1",
    "https://[::1/v1",
    "https://exa mple.com/v1",
    "https://example.com/\tv1",
    "https://example.com/" + "x" * 3_000,
    "http://example.com/v1",
    "http://api.openai.com/v1",
    "http://93.184.216.34/v1",
    "http://[2606:2800:220:1::1]/v1",
    "http://169.254.169.254/v1",
    "https://169.254.169.254/v1",
    "http://169.254.1.1/v1",
    "http://100.100.100.200/v1",
    "http://metadata/v1",
    "http://metadata.google.internal/computeMetadata/v1",
    "https://metadata.google.internal./v1",
    "http://instance-data/v1",
    "http://0.0.0.0:8000/v1",
    "http://0.1.2.3/v1",
    "http://[::]/v1",
    "http://224.0.0.1/v1",
    "https://255.255.255.255/v1",
    "https://240.0.0.1/v1",
    "http://[fe80::1]/v1",
    "http://[fd00:ec2::254]/v1",
    "https://[ff02::1]/v1",
    "https://[64:ff9b::a9fe:a9fe]/v1",
    "https://[2002:a9fe:a9fe::1]/v1",
    "https://[2001:0:a9fe:a9fe::1]/v1",
    "http://[::ffff:169.254.169.254]/v1",
    "http://[::ffff:93.184.216.34]/v1",
    "http://2130706433/v1",
    "http://0x7f000001/v1",
    "http://0x7f.1/v1",
    "http://127.1/v1",
    "http://0177.0.0.1/v1",
    "https://0xa9fea9fe/v1",
    "https://2852039166/v1",
    "https://169.254.43518/v1",
]


@pytest.mark.parametrize("url", GOOD)
def test_an_upstream_may_be_public_with_tls_or_private(url):
    """Its address is kept as it was given, but for a slash at the end."""
    assert base_url(f" {url}/ ") == url


@pytest.mark.parametrize("url", BAD)
def test_an_address_where_no_upstream_may_be_is_refused(url):
    """However it is spelled; the field is named, and no password is repeated."""
    with pytest.raises(InvalidRequest) as caught:
        base_url(url, param="address")
    assert caught.value.param == "address"
    assert "password" not in caught.value.message or "user" in caught.value.message


LEADS = [
    ("93.184.216.34", "api.example.com", True, True),
    ("2606:2800:220:1::1", "api.example.com", True, True),
    ("10.0.0.1", "api.example.com", True, False),
    ("127.0.0.1", "api.example.com", True, False),
    ("::1", "api.example.com.", True, False),
    ("fd12::1", "api.example.com", True, False),
    ("::ffff:10.0.0.1", "api.example.com", True, False),
    ("169.254.169.254", "api.example.com", True, False),
    ("169.254.169.254", "ollama", False, False),
    ("64:ff9b::a00:1", "api.example.com", True, False),
    ("fe80::1%eth0", "ollama", False, False),
    ("10.0.0.1", "ollama", False, True),
    ("127.0.0.1", "localhost", False, True),
    ("10.0.0.1", "llm.corp.internal", True, True),
    ("93.184.216.34", "llm.corp.internal", True, True),
    ("93.184.216.34", "ollama", False, False),
    ("10.0.0.1", "LLM.mine.example.org", True, True),
    ("10.0.0.1", "one.example.net", True, True),
    ("10.0.0.1", "two.example.net", True, False),
    ("10.0.0.1", "evil-mine.example.org", True, False),
    ("169.254.169.254", "one.example.net", True, False),
]


@pytest.mark.parametrize(("address", "host", "secure", "good"), LEADS)
def test_where_a_name_may_lead(address, host, secure, good):
    """Names of the internet to the internet, private ones anywhere that their scheme is good for.

    What an operator lets lead into private networks may do that, and no more.
    """
    private = ("*.mine.example.org", "one.example.net")
    assert (flaw_of(address, host, secure=secure, private=private) is None) is good


def test_a_name_is_no_address():
    """However an address is written in a URL's host."""
    names = {"10.0.0.1": True, "::1": True, "ollama": False, "1.2.3.example": False}
    assert {name: is_address(name) for name in names} == names
