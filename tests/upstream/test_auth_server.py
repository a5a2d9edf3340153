"""Tests of app.upstream.auth_server: against the simulator, and against servers that misbehave."""

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.domain.account import Secret
from app.domain.login import AuthorizationGrant
from app.ports import RenewalRefused, RenewalUnknown, RenewalUnsent
from app.upstream.auth_server import LOGIN_REDIRECT_URI, OAuthServer, Route, trust_store
from loadtests.simulator.config import fast
from loadtests.simulator.server import Simulator
from tests.fakes.clock import FakeClock

TLS = trust_store(None)
RT = Secret("rt_x")


def server(issuer, **route):
    """Return a client of an issuer."""
    return OAuthServer(
        issuer=issuer,
        user_agent="codex2api/1",
        originator="codex2api",
        route=Route(tls=TLS, **route),
        clock=FakeClock(),
    )


@pytest.fixture
async def simulator():
    """The simulated issuer with its accounts."""
    async with Simulator(fast()) as running:
        yield running


def first(simulator):
    """Return an account of the simulator and its credentials."""
    account = next(iter(simulator.world.accounts.by_id.values()))
    return account, Secret(simulator.world.accounts.refresh_token(account))


@asynccontextmanager
async def raw(answer, *, tls=None):
    """Serve one fixed answer to everybody; yields the origin and the requests that came."""
    requests, serving = [], []

    async def serve(reader, writer):
        serving.append(asyncio.current_task())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            body = await reader.readexactly(int(length or b"0"))
            requests.append((head, body))
            writer.write(answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{port}", requests
        await asyncio.gather(*serving)


def http(status, body=b"", *headers):
    """Return the bytes of a reply."""
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_a_renewal_spends_the_token_and_brings_the_next(simulator):
    """Each of them works once."""
    account, token = first(simulator)
    issuer = server(simulator.url)
    tokens = await issuer.renew(token, proxy_url=None)
    assert account.refreshes == 1
    assert tokens.expires_at == FakeClock().now() + 864_000
    assert tokens.access_token.reveal().count(".") == 2
    assert tokens.id_token is not None
    again = await issuer.renew(tokens.refresh_token, proxy_url=None)
    assert again.refresh_token != tokens.refresh_token
    with pytest.raises(RenewalRefused) as refused:
        await issuer.renew(token, proxy_url=None)
    assert (refused.value.code, refused.value.permanent) == ("refresh_token_reused", True)


@pytest.mark.parametrize(
    ("omit", "missing"),
    [(["refresh_token"], "refresh_token"), (["access_token", "expires_in"], "access_token")],
)
async def test_a_field_that_the_server_leaves_out_is_none(simulator, omit, missing):
    """The old value counts on; that is the store's part."""
    _, token = first(simulator)
    simulator.world.book.set_base({"oauth_omit": [*omit, "id_token"]})
    tokens = await server(simulator.url).renew(token, proxy_url=None)
    assert getattr(tokens, missing) is None
    assert tokens.id_token is None


@pytest.mark.parametrize(
    ("fault", "code", "permanent"),
    [
        ("500", "temporary-failure", False),
        ("429", "rate_limited", False),
        ("403_cloudflare", "http_403", False),
        ("invalid_grant", "invalid_grant", True),
        ("refresh_token_expired", "refresh_token_expired", True),
    ],
)
async def test_a_refusal_is_told_with_its_class(simulator, fault, code, permanent):
    """As the authorization server means it."""
    _, token = first(simulator)
    simulator.world.book.set_base({"oauth_fault": fault})
    with pytest.raises(RenewalRefused) as refused:
        await server(simulator.url).renew(token, proxy_url=None)
    assert (refused.value.code, refused.value.permanent) == (code, permanent)


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("retry-after: 30", 30.0),
        ("retry-after: Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("retry-after: -1", None),
        ("retry-after: soon", None),
        ("x-nothing: 1", None),
    ],
)
async def test_a_refusal_says_how_long_the_server_wants_to_be_left_alone(header, wait_s):
    """In seconds or until a date; nonsense is no wish."""
    async with raw(http(429, b'{"error":"rate_limited"}', header)) as (url, _):
        with pytest.raises(RenewalRefused) as refused:
            await server(url).renew(RT, proxy_url=None)
    assert refused.value.retry_after_s == wait_s


@pytest.mark.parametrize("fault", ["garbage", "empty"])
async def test_a_success_without_tokens_is_unknown(simulator, fault):
    """The token may be spent."""
    _, token = first(simulator)
    simulator.world.book.set_base({"oauth_fault": fault})
    with pytest.raises(RenewalUnknown):
        await server(simulator.url).renew(token, proxy_url=None)


async def test_a_server_that_hangs_is_unknown(simulator):
    """Sent, and no answer in time."""
    _, token = first(simulator)
    simulator.world.book.set_base({"oauth_hang": True, "oauth_delay_when": "after"})
    with pytest.raises(RenewalUnknown, match="no answer within"):
        await server(simulator.url, timeout_s=0.3).renew(token, proxy_url=None)


async def test_a_login_in_the_browser_ends_in_tokens(simulator):
    """Through the address that the person opens to the code that comes back."""
    issuer = server(simulator.url)
    verifier = "v" * 64
    challenge = "w1TpKUdYE9hUAcNSeeSRFioHDxfUxuHho_JHAfZ_vDM"
    url = urlsplit(issuer.authorize_url(challenge=challenge, state="st/te"))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert url.path == "/oauth/authorize"
    assert query["redirect_uri"] == LOGIN_REDIRECT_URI
    assert query["state"] == "st/te"
    assert query["originator"] == "codex2api"
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    writer.write(f"GET {url.path}?{url.query} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.close()
    location = next(line for line in head.split("\r\n") if line.lower().startswith("location:"))
    code = parse_qs(urlsplit(location.partition(" ")[2]).query)["code"][0]
    grant = AuthorizationGrant(code=Secret(code), verifier=Secret(verifier))
    tokens = await issuer.exchange_code(grant, proxy_url=None)
    assert tokens.refresh_token is not None
    with pytest.raises(RenewalRefused, match="invalid_grant"):
        await issuer.exchange_code(grant, proxy_url=None)


async def test_a_device_login_ends_in_tokens(simulator):
    """Pending until the person agrees, then a grant like any other."""
    simulator.world.book.set_base({"device_pending": 2})
    issuer = server(simulator.url)
    login = await issuer.start_device(proxy_url=None)
    assert (login.user_code, login.interval_s) == ("SIMU-0001", 1)
    assert login.url == f"{simulator.url}/codex/device"
    assert await issuer.poll_device(login, proxy_url=None) is None
    assert await issuer.poll_device(login, proxy_url=None) is None
    grant = await issuer.poll_device(login, proxy_url=None)
    assert grant.device
    assert (await issuer.exchange_code(grant, proxy_url=None)).refresh_token is not None


async def test_an_issuer_without_device_logins_says_so(simulator):
    """For good."""
    simulator.world.book.set_base({"device_disabled": True})
    with pytest.raises(RenewalRefused) as refused:
        await server(simulator.url).start_device(proxy_url=None)
    assert (refused.value.code, refused.value.permanent) == ("device_login_disabled", True)


@pytest.mark.parametrize(
    ("body", "interval_s"),
    [
        (b'{"device_auth_id":"d","usercode":"u","interval":7}', 7),
        (b'{"device_auth_id":"d","user_code":"u","interval":"soon"}', 5),
        (b'{"device_auth_id":"d","user_code":"u","interval":0}', 5),
        (b'{"device_auth_id":"d","user_code":"u","interval":true}', 5),
        (b'{"device_auth_id":"d","user_code":"u","interval":"1e9"}', 60),
        (b'{"device_auth_id":"d","user_code":"u"}', 5),
    ],
)
async def test_the_pace_of_polling_is_always_a_sane_one(body, interval_s):
    """Whatever form it came in, and the user code under either name."""
    async with raw(http(200, body)) as (url, _):
        login = await server(url).start_device(proxy_url=None)
    assert (login.user_code, login.interval_s) == ("u", interval_s)


async def test_an_answer_without_codes_is_unknown():
    """Neither a login nor a grant."""
    async with raw(http(200, b'{"device_auth_id":"d","user_code":"u"}')) as (url, _):
        login = await server(url).start_device(proxy_url=None)
        with pytest.raises(RenewalUnknown, match="no authorization code"):
            await server(url).poll_device(login, proxy_url=None)
    async with raw(http(200, b"{}")) as (url, _):
        with pytest.raises(RenewalUnknown, match="no device code"):
            await server(url).start_device(proxy_url=None)


@pytest.mark.parametrize(
    ("expires_in", "lifetime_s"),
    [
        (b"3600", 3600),
        (b'"3600"', 3600),
        (b"null", None),
        (b"-5", None),
        (b"0", None),
        (b'"NaN"', None),
        (b"1e300", None),
        (b"true", None),
        (b"[]", None),
        (b"1" + b"0" * 400, None),
    ],
)
async def test_an_end_that_makes_no_sense_is_none(expires_in, lifetime_s):
    """The token itself may still say when."""
    body = b'{"access_token":"at-1","expires_in":' + expires_in + b"}"
    async with raw(http(200, body)) as (url, _):
        tokens = await server(url).renew(RT, proxy_url=None)
    expected = None if lifetime_s is None else FakeClock().now() + lifetime_s
    assert tokens.expires_at == expected


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\n{",
        b"garbage\r\n\r\n",
        http(200, b"[]"),
        http(200, b"\x1f\x8b not gzip", "content-encoding: gzip"),
        http(200, b" " * (2 << 20)),
    ],
)
async def test_an_answer_that_breaks_off_or_breaks_the_protocol_is_unknown(answer):
    """The request had been received."""
    async with raw(answer) as (url, requests):
        with pytest.raises(RenewalUnknown):
            await server(url).renew(RT, proxy_url=None)
    assert len(requests) == 1


async def test_a_redirect_is_not_followed():
    """The token goes to nobody else."""
    async with raw(http(200, b'{"access_token":"at-1"}')) as (evil, stolen):
        async with raw(http(307, b"", f"location: {evil}/oauth/token")) as (url, _):
            with pytest.raises(RenewalRefused) as refused:
                await server(url).renew(RT, proxy_url=None)
        assert (refused.value.code, refused.value.permanent) == ("http_307", False)
        assert stolen == []


async def test_nothing_is_kept_between_two_calls():
    """Neither a connection, with what may be left on it, nor a cookie."""
    stale = http(200, b'{"access_token":"at-1"}', "set-cookie: a=b; path=/")
    async with raw(stale + http(200, b'{"access_token":"stale"}')) as (url, requests):
        issuer = server(url)
        for _ in range(2):
            tokens = await issuer.renew(RT, proxy_url=None)
            assert tokens.access_token == Secret("at-1")
    assert len(requests) == 2
    assert not any(b"cookie" in head.lower() for head, _ in requests)


async def test_a_renewal_is_a_form_under_our_own_name():
    """Content type, names and fields as the protocol has them."""
    async with raw(http(200, b'{"access_token":"at-1"}')) as (url, requests):
        await server(url + "/").renew(RT, proxy_url=None)
    ((head, body),) = requests
    assert head.startswith(b"POST /oauth/token HTTP/1.1\r\n")
    assert b"application/x-www-form-urlencoded" in head
    assert b"codex2api/1" in head
    assert parse_qs(body.decode()) == {
        "client_id": ["app_EMoamEEZ73f0CkXaXp7hrann"],
        "grant_type": ["refresh_token"],
        "refresh_token": ["rt_x"],
        "scope": ["openid profile email"],
    }


def closed_port():
    """Return an origin at which nobody listens."""
    return "127.0.0.1:9"


async def test_a_refused_connection_spent_nothing():
    """The request never left."""
    with pytest.raises(RenewalUnsent, match="no connection"):
        await server(f"http://{closed_port()}").renew(RT, proxy_url=None)


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
@pytest.mark.parametrize("own", [True, False])
async def test_a_proxy_that_is_away_is_never_passed_by(scheme, own):
    """Neither the account's own nor the general one: no direct connection instead."""
    proxy = Secret(f"{scheme}://user:pass@{closed_port()}")
    async with raw(http(200, b'{"access_token":"at-1"}')) as (url, requests):
        issuer = server(url) if own else server(url, proxy_url=proxy)
        with pytest.raises(RenewalUnsent):
            await issuer.renew(RT, proxy_url=proxy if own else None)
    assert requests == []


@pytest.mark.parametrize("proxy", ["ftp://x", "nonsense", "http://[x", "socks4://127.0.0.1:1"])
async def test_a_proxy_that_cannot_be_used_is_never_passed_by(proxy):
    """And its URL, which may hold a password, is not told."""
    async with raw(http(200, b'{"access_token":"at-1"}')) as (url, requests):
        with pytest.raises(RenewalUnsent) as unsent:
            await server(url).renew(RT, proxy_url=Secret(proxy))
    assert requests == []
    assert proxy not in str(unsent.value)


async def test_the_accounts_own_proxy_comes_first():
    """The general one serves the others; the environment's serves nobody."""
    answer = http(200, b'{"access_token":"at-1"}')
    async with raw(answer) as (own, own_requests), raw(answer) as (general, general_requests):
        issuer = server("http://issuer.invalid", proxy_url=Secret(general))
        await issuer.renew(RT, proxy_url=Secret(own))
        await issuer.renew(RT, proxy_url=None)
    assert [len(own_requests), len(general_requests)] == [1, 1]
    assert own_requests[0][0].startswith(b"POST http://issuer.invalid/oauth/token")


async def test_a_socks_proxy_resolves_the_issuers_name():
    """It is given the name, so nothing about the issuer is asked of our own network."""
    asked, serving = [], []

    async def serve(reader, writer):
        serving.append(asyncio.current_task())
        await reader.readexactly(3)
        writer.write(b"\x05\x00")
        head = await reader.readexactly(5)
        asked.append(await reader.readexactly(head[4]))
        await reader.readexactly(2)
        writer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http(200, b'{"access_token":"at-1"}'))
        await reader.read()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        proxy = f"socks5://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        tokens = await server("http://issuer.invalid", proxy_url=Secret(proxy)).renew(
            RT, proxy_url=None
        )
        await asyncio.gather(*serving)
    assert tokens.access_token == Secret("at-1")
    assert asked == [b"issuer.invalid"]


async def test_the_environment_is_not_asked_for_a_proxy(monkeypatch):
    """What is not configured is not used."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{closed_port()}")
    async with raw(http(200, b'{"access_token":"at-1"}')) as (url, requests):
        await server(url).renew(RT, proxy_url=None)
    assert len(requests) == 1


async def test_a_tunnel_that_the_proxy_refuses_spent_nothing():
    """CONNECT comes before the request."""
    async with raw(http(403)) as (proxy, _):
        with pytest.raises(RenewalUnsent):
            await server("https://issuer.invalid").renew(RT, proxy_url=Secret(proxy))


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1 that signed itself, and the context of a server that has it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(
        now + timedelta(days=1)
    )
    made = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    path, key_path = tmp_path / "cert.pem", tmp_path / "key.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path, key_path)
    return path, context


async def test_a_server_that_is_not_trusted_gets_nothing(certificate):
    """The handshake fails before anything is said."""
    _, tls = certificate
    async with raw(http(200, b'{"access_token":"at-1"}'), tls=tls) as (url, requests):
        with pytest.raises(RenewalUnsent):
            await server(url).renew(RT, proxy_url=None)
    assert requests == []


async def test_a_private_authority_is_trusted_once_it_is_named(certificate):
    """Besides the public ones."""
    path, tls = certificate
    trusting = Route(tls=trust_store(str(path)))
    async with raw(http(200, b'{"access_token":"at-1"}'), tls=tls) as (url, _):
        issuer = OAuthServer(
            issuer=url, user_agent="x", originator="x", route=trusting, clock=FakeClock()
        )
        assert (await issuer.renew(RT, proxy_url=None)).access_token == Secret("at-1")
    assert trusting.tls.cert_store_stats()["x509"] == TLS.cert_store_stats()["x509"] + 1


async def test_a_handshake_that_hangs_spent_nothing():
    """A server that takes the connection and says nothing."""
    async with raw(b"") as (url, requests):
        with pytest.raises(RenewalUnsent, match="ConnectTimeout"):
            await server(url.replace("http", "https"), timeout_s=0.6).renew(RT, proxy_url=None)
    assert requests == []


async def test_no_failure_holds_the_token():
    """Neither in its words nor in what it was raised from."""
    async with raw(b"garbage\r\n\r\n") as (url, _):
        with pytest.raises(RenewalUnknown) as unknown:
            await server(url).renew(Secret("rt_s3cr3t"), proxy_url=None)
    assert unknown.value.__cause__ is None
    assert unknown.value.__suppress_context__
    assert "rt_s3cr3t" not in str(unknown.value)


def test_an_authority_that_is_none_is_told_at_the_start(tmp_path):
    """Not at the first renewal."""
    (tmp_path / "ca.pem").write_text("nonsense")
    with pytest.raises(OSError):
        trust_store(str(tmp_path / "ca.pem"))
