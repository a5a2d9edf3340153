"""Tests of app.accounts.oauth."""

import asyncio
from base64 import urlsafe_b64decode
from hashlib import sha256
from itertools import count

import pytest

from app.accounts.oauth import LOGIN_TTL_S, Logins
from app.accounts.pending import MemoryLogins
from app.domain.account import Secret
from app.domain.login import LOGINS_MAX, AuthorizationGrant, DeviceLogin
from app.errors import InvalidRequest, NotSupportedByUpstream, UpstreamError
from app.ports import RenewalRefused, RenewalUnknown, RenewalUnsent, Tokens
from tests.accounts.tokens import jwt, payload
from tests.fakes.clock import FakeClock, settle

PROXY = Secret("http://proxy")
REFUSED = RenewalRefused("invalid_grant", "used", permanent=True)


class FakeLoginServer:
    """Satisfies `LoginServer`; raises what it is told to, one a call."""

    def __init__(self):
        self.faults = []
        self.grants = []
        self.pending = 1
        self.polls = 0
        self.proxies = []
        self.gate = None
        self.access_token = jwt(payload())

    def authorize_url(self, *, challenge, state):
        """Return an address that shows what it was given."""
        return f"https://issuer/authorize?{challenge}&{state}"

    async def exchange_code(self, grant, *, proxy_url):
        """Return the tokens of a person."""
        self.grants.append(grant)
        await self._called(proxy_url)
        return Tokens(
            access_token=Secret(self.access_token),
            refresh_token=Secret("rt_1"),
            id_token=None,
            expires_at=5.0,
        )

    async def start_device(self, *, proxy_url):
        """Open a device login."""
        await self._called(proxy_url)
        return DeviceLogin(
            device_id=Secret("d"), user_code="AB-12", url="https://issuer/device", interval_s=5
        )

    async def poll_device(self, login, *, proxy_url):
        """Agree after `pending` polls."""
        assert login.device_id == Secret("d")
        self.polls += 1
        await self._called(proxy_url)
        if self.polls <= self.pending:
            return None
        return AuthorizationGrant(code=Secret("dc"), verifier=Secret("dv"), device=True)

    async def _called(self, proxy_url):
        self.proxies.append(proxy_url)
        if self.gate is not None:
            await self.gate.wait()
        if self.faults:
            raise self.faults.pop(0)


class Bench:
    """Logins over a fake server and a clock that stands still."""

    def __init__(self):
        self.clock = FakeClock()
        self.server = FakeLoginServer()
        numbers = count()
        self.logins = Logins(
            server=self.server,
            pending=MemoryLogins(),
            clock=self.clock,
            entropy=lambda n: next(numbers).to_bytes(n, "big"),
        )


@pytest.fixture
def bench():
    """No login has been begun."""
    return Bench()


def callback(login, code="c0de"):
    """Return the address that the browser ends at."""
    return f"http://localhost:1455/auth/callback?code={code}&state={login.state}"


async def test_a_login_in_the_browser_gives_an_account(bench):
    """The verifier that goes with the code is the one whose digest went with the browser."""
    login = await bench.logins.begin(proxy_url=PROXY)
    account = await bench.logins.finish(f"  {callback(login)}\n", name="mine")
    assert (account.name, account.refresh_token) == ("mine", Secret("rt_1"))
    assert account.chatgpt_account_id == "acc-00001"
    (grant,) = bench.server.grants
    assert grant.code == Secret("c0de")
    challenge = login.url.partition("?")[2].partition("&")[0]
    digest = sha256(grant.verifier.reveal().encode()).digest()
    assert urlsafe_b64decode(challenge + "=") == digest
    assert len(grant.verifier.reveal()) == 86
    assert bench.server.proxies == [PROXY]
    assert login.expires_at == bench.clock.now() + LOGIN_TTL_S


@pytest.mark.parametrize(
    "form",
    [
        "http://localhost:1455/auth/callback?state={state}&code=c0de&scope=x",
        "/auth/callback?code=c0de&state={state}",
        "code=c0de&state={state}",
        "c0de#{state}",
    ],
)
async def test_a_pasted_address_may_be_cut(bench, form):
    """What matters is its end."""
    login = await bench.logins.begin()
    account = await bench.logins.finish(form.format(state=login.state))
    assert account.name == "user-1@example.com"
    assert bench.server.grants[0].code == Secret("c0de")


async def test_a_bare_code_needs_its_state_beside_it(bench):
    """Otherwise anybody's code could be slipped in."""
    login = await bench.logins.begin()
    with pytest.raises(InvalidRequest, match="no such login"):
        await bench.logins.finish("c0de")
    assert await bench.logins.finish("c0de", state=login.state)


@pytest.mark.parametrize(
    ("pasted", "reason"),
    [
        ("", "Paste the address"),
        ("x" * 9000, "Paste the address"),
        ("http://localhost:1455/auth/callback?state=x", "no code"),
        ("http://localhost:1455/auth/callback?error=access_denied&state=x", "access_denied"),
        ("http://[x/?code=1", "can't be read"),
        ("&".join(["code=1"] * 99), "can't be read"),
    ],
)
async def test_what_is_no_callback_is_refused(bench, pasted, reason):
    """With what was expected instead."""
    with pytest.raises(InvalidRequest, match=reason) as refused:
        await bench.logins.finish(pasted)
    assert refused.value.param == "code"


async def test_the_address_of_another_login_is_refused(bench):
    """Both logins stay as they were."""
    one, other = await bench.logins.begin(), await bench.logins.begin()
    with pytest.raises(InvalidRequest, match="another login"):
        await bench.logins.finish(callback(one), state=other.state)
    assert await bench.logins.finish(callback(one), state=one.state)
    assert await bench.logins.finish(callback(other))


async def test_a_login_works_once(bench):
    """Its state is spent with it."""
    login = await bench.logins.begin()
    await bench.logins.finish(callback(login))
    with pytest.raises(InvalidRequest, match="no such login"):
        await bench.logins.finish(callback(login))


async def test_a_login_expires(bench):
    """After a quarter of an hour nobody comes back."""
    login = await bench.logins.begin()
    await bench.clock.advance(LOGIN_TTL_S)
    with pytest.raises(InvalidRequest, match="expired"):
        await bench.logins.finish(callback(login))


async def test_the_oldest_login_gives_way(bench):
    """Their number is bounded."""
    logins = [await bench.logins.begin() for _ in range(LOGINS_MAX + 1)]
    with pytest.raises(InvalidRequest, match="no such login"):
        await bench.logins.finish(callback(logins[0]))
    assert await bench.logins.finish(callback(logins[1]))


async def test_a_login_that_did_not_reach_the_server_can_be_pasted_again(bench):
    """Nothing was spent."""
    login = await bench.logins.begin()
    bench.server.faults = [RenewalUnsent("no route")]
    with pytest.raises(UpstreamError, match="could not be reached"):
        await bench.logins.finish(callback(login))
    assert await bench.logins.finish(callback(login))


@pytest.mark.parametrize(
    ("fault", "error", "reason"),
    [
        (REFUSED, InvalidRequest, "refused the login: invalid_grant"),
        (RenewalRefused("http_503", "", permanent=False), UpstreamError, "http_503"),
        (RenewalUnknown("silence"), UpstreamError, "begin the login anew"),
    ],
)
async def test_a_login_that_failed_is_spent(bench, fault, error, reason):
    """Its code may be."""
    login = await bench.logins.begin()
    bench.server.faults = [fault]
    with pytest.raises(error, match=reason):
        await bench.logins.finish(callback(login))
    with pytest.raises(InvalidRequest, match="no such login"):
        await bench.logins.finish(callback(login))


async def test_an_answer_with_an_unusable_token_is_the_servers_fault(bench):
    """Not the operator's."""
    login = await bench.logins.begin()
    bench.server.access_token = "a b"
    with pytest.raises(UpstreamError, match="access_token has characters"):
        await bench.logins.finish(callback(login))


async def test_a_device_login_gives_an_account_once_the_person_agreed(bench):
    """The server is asked at its own pace, whatever the caller's."""
    device = await bench.logins.begin_device(proxy_url=PROXY)
    assert (device.user_code, device.url, device.interval_s) == (
        "AB-12",
        "https://issuer/device",
        5,
    )
    assert await bench.logins.poll_device(device.id) is None
    assert bench.server.polls == 0
    await bench.clock.advance(5)
    for _ in range(10):
        assert await bench.logins.poll_device(device.id) is None
    assert bench.server.polls == 1
    await bench.clock.advance(5)
    account = await bench.logins.poll_device(device.id, name="mine")
    assert account.name == "mine"
    assert bench.server.grants[0].device
    assert set(bench.server.proxies) == {PROXY}
    with pytest.raises(InvalidRequest, match="no such login"):
        await bench.logins.poll_device(device.id)


async def test_two_who_poll_at_once_ask_the_server_once(bench):
    """The second is told to wait."""
    device = await bench.logins.begin_device()
    await bench.clock.advance(5)
    bench.server.gate = asyncio.Event()
    first = asyncio.create_task(bench.logins.poll_device(device.id))
    await settle()
    assert await bench.logins.poll_device(device.id) is None
    bench.server.gate.set()
    assert await first is None
    assert bench.server.polls == 1


async def test_a_grant_that_could_not_be_exchanged_is_kept(bench):
    """The next poll goes on from there."""
    bench.server.pending = 0
    device = await bench.logins.begin_device()
    await bench.clock.advance(5)
    bench.server.faults = []
    original = bench.server.poll_device

    async def then_unreachable(login, *, proxy_url):
        grant = await original(login, proxy_url=proxy_url)
        bench.server.faults = [RenewalUnsent("no route")]
        return grant

    bench.server.poll_device = then_unreachable
    with pytest.raises(UpstreamError):
        await bench.logins.poll_device(device.id)
    assert await bench.logins.poll_device(device.id)
    assert bench.server.polls == 1


async def test_a_device_login_that_is_refused_ends(bench):
    """There is nothing to poll for."""
    device = await bench.logins.begin_device()
    await bench.clock.advance(5)
    bench.server.faults = [REFUSED]
    with pytest.raises(InvalidRequest, match="invalid_grant"):
        await bench.logins.poll_device(device.id)
    with pytest.raises(InvalidRequest, match="no such login"):
        await bench.logins.poll_device(device.id)


async def test_a_server_without_device_logins_is_named(bench):
    """It is not the caller's fault, and trying again does not help."""
    bench.server.faults = [RenewalRefused("device_login_disabled", "", permanent=True)]
    with pytest.raises(NotSupportedByUpstream):
        await bench.logins.begin_device()
