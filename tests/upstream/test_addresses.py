"""Tests of app.upstream.addresses."""

import asyncio

import pytest

from app.domain.account import AccountKind, Secret
from app.ports import UpstreamFailure
from app.upstream import addresses as module
from app.upstream.addresses import KNOWN_S, Addresses, Pin, looked_up, pinned
from tests.fakes.accounts import account

URL = "https://llm.example.com/v1"
HERE = "93.184.216.34"
THERE = "93.184.216.35"


class World:
    """Names that can be changed, and a clock."""

    def __init__(self, *found: str, **more) -> None:
        self.found: list[str] | OSError = list(found)
        self.asked: list[tuple[str, int]] = []
        self.now = 0.0
        self.gate: asyncio.Event | None = None
        self.addresses = Addresses(look_up=self._look_up, monotonic=lambda: self.now, **more)

    async def pin(self, url: str | None = URL, **changes) -> Pin | None:
        """Ask for an account's pin."""
        mine = account(kind=AccountKind.COMPATIBLE, base_url=url, **changes)
        return await self.addresses.pin(mine)

    async def _look_up(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.found, OSError):
            raise self.found
        return self.found


@pytest.mark.parametrize(
    ("url", "changes"),
    [
        (None, {}),
        ("http://127.0.0.1:11434/v1", {}),
        ("https://[2606:2800:220:1::1]/v1", {}),
        (URL, {"proxy_url": Secret("http://proxy.internal:3128")}),
    ],
)
async def test_what_has_nothing_to_look_up_is_not_looked_up(url, changes):
    """A proxy does so itself."""
    world, proxied = World(), World(proxied=True)
    assert await world.pin(url, **changes) is None
    assert await proxied.pin() is None
    assert world.asked == proxied.asked == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (URL, ("llm.example.com", 443)),
        ("http://ollama/v1", ("ollama", 80)),
        ("http://ollama:11434/v1", ("ollama", 11434)),
    ],
)
async def test_a_look_up_counts_for_a_while(url, expected):
    """Then it is made again; whoever is in use stays so while it is among the answers."""
    host, port = expected
    first, second = (HERE, THERE) if port == 443 else ("10.0.0.1", "10.0.0.2")
    world = World(first)
    assert await world.pin(url) == await world.pin(url) == Pin(host, first, port)
    world.found = [second, first]
    world.now = KNOWN_S
    assert await world.pin(url) == Pin(host, first, port)
    world.found = [second]
    world.now = 2 * KNOWN_S
    assert await world.pin(url) == Pin(host, second, port)
    assert world.asked == [expected] * 3


@pytest.mark.parametrize(
    "found",
    [
        OSError("unknown"),
        [],
        ["10.0.0.1"],
        ["127.0.0.1", "::1"],
        ["169.254.169.254"],
        ["::ffff:169.254.169.254"],
        ["fe80::1%eth0"],
    ],
)
async def test_a_name_that_leads_nowhere_good_is_refused(found):
    """Nothing was sent, so that another account can be tried."""
    world = World()
    world.found = found
    with pytest.raises(UpstreamFailure) as caught:
        await world.pin()
    assert caught.value.sent is False


async def test_only_the_good_ones_of_several_addresses_are_used():
    """A name server that mixes them makes nobody connect to the others."""
    world = World("10.0.0.1", HERE, "169.254.169.254")
    assert await world.pin() == Pin("llm.example.com", HERE, 443)


async def test_an_operator_may_let_a_name_lead_into_a_private_network():
    """By name or by domain, and never to where no upstream can be."""
    world = World("10.0.0.1", private=("*.example.com",))
    assert await world.pin() == Pin("llm.example.com", "10.0.0.1", 443)
    world = World("169.254.169.254", private=("llm.example.com",))
    with pytest.raises(UpstreamFailure):
        await world.pin()


async def test_those_who_ask_at_the_same_time_share_one_look_up():
    """Whoever of them leaves."""
    world = World(HERE)
    world.gate = asyncio.Event()
    several = [asyncio.create_task(world.pin()) for _ in range(5)]
    await asyncio.sleep(0)
    several[0].cancel()
    await asyncio.sleep(0)
    world.gate.set()
    found = await asyncio.gather(*several, return_exceptions=True)
    assert [type(each) for each in found] == [asyncio.CancelledError, *[Pin] * 4]
    assert len(world.asked) == 1


async def test_the_next_address_takes_the_turn_of_one_that_does_not_answer():
    """The failed one is the last to be tried again; of a stale pin nothing is learnt."""
    world = World(HERE, THERE)
    mine = account(kind=AccountKind.COMPATIBLE, base_url=URL)
    first = await world.pin()
    world.addresses.failed(mine, first)
    second = await world.pin()
    assert (first.address, second.address) == (HERE, THERE)
    world.addresses.failed(mine, first)
    assert await world.pin() == second
    world.addresses.failed(mine, second)
    assert await world.pin() == first


async def test_names_that_are_kept_are_bounded(monkeypatch):
    """The oldest goes."""
    monkeypatch.setattr(module, "NAMES_MAX", 2)
    world = World(HERE)
    for name in ("a", "b", "c", "c", "a"):
        await world.pin(f"https://{name}.example.com")
    assert [host[0] for host, _ in world.asked] == ["a", "b", "c", "a"]


async def test_the_system_knows_this_machine():
    """Each address once."""
    assert set(await looked_up("localhost", 80)) <= {"127.0.0.1", "::1"}


def test_a_request_to_a_pinned_address_is_made_as_by_the_name():
    """The certificate is that of the name; so is the host that the server is told."""
    pin = Pin("llm.example.com", HERE, 8443)
    assert pinned("https://llm.example.com:8443/v1/models", pin) == (
        f"https://{HERE}:8443/v1/models",
        [("host", "llm.example.com:8443")],
        {"sni_hostname": "llm.example.com"},
    )
    assert pinned(URL, None) == (URL, [], {})
