"""Tests of app.accounts.manifests: what is kept, who is asked when, and what is learnt."""

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager
from random import Random

import pytest

from app.accounts.manifests import (
    ACCOUNT_POLL_S,
    CODEX_PROTOCOL_VERSION,
    FIRST_WAIT_S,
    FLIGHTS_MAX,
    REFRESH_S,
    RETRY_S,
    TTL_S,
    VERSIONS_MAX,
    Manifests,
    News,
)
from app.ports import Manifest, ManifestUnavailable
from tests.fakes.accounts import account
from tests.fakes.virtual import LoopClock, virtual


def body(*slugs, **entry):
    """Return a manifest of these models."""
    return json.dumps({"models": [{"slug": slug, **entry} for slug in slugs]}).encode()


class Source:
    """Satisfies `ManifestSource`; its one manifest is the newest one of its day."""

    def __init__(self):
        self.clock = LoopClock()
        self.latency_s = 0.5
        self.answer = Manifest(body("m1"), '"1"')
        self.away = set()
        self.asked = []
        self.now_in = self.most_in = 0

    async def fetch(self, account, client_version, if_none_match):
        """Answer after a while, as an upstream that is up or away."""
        self.asked.append((self.clock.monotonic(), account.id, client_version))
        self.now_in += 1
        self.most_in = max(self.most_in, self.now_in)
        await asyncio.sleep(self.latency_s)
        self.now_in -= 1
        if account.id in self.away:
            raise ManifestUnavailable("away")
        return None if if_none_match == self.answer.etag else self.answer

    @property
    def versions(self):
        """Which versions were asked for how often."""
        return Counter(version for _, _, version in self.asked)


class Scene:
    """The service between a source and a pool of accounts."""

    def __init__(self, *names):
        self.source = Source()
        self.ready = [account(name) for name in names]
        self.learnt = []
        self.service = Manifests(
            source=self.source,
            news=News(choose=self.choose, learnt=lambda cards: self.learnt.append(list(cards))),
            clock=self.source.clock,
            sleep=asyncio.sleep,
            rng=Random(1),
        )

    def choose(self, excluding):
        """Return the first account that is left."""
        return next((one for one in self.ready if one.id not in excluding), None)

    @asynccontextmanager
    async def running(self):
        """Run the service meanwhile."""
        task = asyncio.create_task(self.service.run())
        await asyncio.sleep(0)
        try:
            yield self.service
        finally:
            task.cancel()
            await asyncio.wait([task])
        assert task.cancelled()

    @property
    def slugs(self):
        """The names of all cards that were handed over last."""
        return [card.slug for card in self.learnt[-1]]


@virtual
async def test_the_gateway_learns_without_being_asked():
    """Soon after the start and every few hours, stating its own version."""
    scene = Scene("a")
    async with scene.running():
        await asyncio.sleep(2 * REFRESH_S + 10)
    assert scene.source.versions == {CODEX_PROTOCOL_VERSION: 3}
    assert [round(at) for at, _, _ in scene.source.asked] == [0, REFRESH_S, 2 * REFRESH_S + 1]
    assert scene.slugs == ["m1"]


@virtual
async def test_nobody_is_asked_before_an_account_is_ready():
    """And then at once, however long that took."""
    scene = Scene()
    async with scene.running():
        await asyncio.sleep(3600)
        assert scene.source.asked == []
        assert await scene.service.manifest("0.169.0") is None
        scene.ready = [account("a")]
        await asyncio.sleep(ACCOUNT_POLL_S + 1)
    assert len(scene.source.asked) == 1
    assert len(scene.learnt) == 1


@virtual
async def test_a_caller_waits_for_the_first_fetch_and_no_longer_than_it_may():
    """A fetch that takes longer goes on, for the next one who asks."""
    scene = Scene("a")
    async with scene.running() as service:
        first = await service.manifest("0.169.0")
        assert json.loads(first.body)["models"] == [{"slug": "m1", "prefer_websockets": False}]
        assert first.etag == '"1"'
        scene.source.latency_s = FIRST_WAIT_S + 2
        began = scene.source.clock.monotonic()
        assert await service.manifest("0.170.0") is None
        assert scene.source.clock.monotonic() - began == pytest.approx(FIRST_WAIT_S)
        assert await service.manifest("0.170.0") is not None


@virtual
async def test_what_was_fetched_serves_all_callers_of_a_version():
    """Many at once share one flight, and nobody is asked again before the end of its time."""
    scene = Scene("a")
    async with scene.running() as service:
        found = await asyncio.gather(*(service.manifest("0.169.0") for _ in range(50)))
        assert {one.etag for one in found} == {'"1"'}
        await asyncio.sleep(TTL_S - 1)
        await service.manifest("0.169.0")
        assert scene.source.versions["0.169.0"] == 1


@virtual
async def test_an_old_manifest_is_given_out_while_a_new_one_is_fetched():
    """Without any waiting; the next caller gets the new one."""
    scene = Scene("a")
    async with scene.running() as service:
        old = await service.manifest("0.169.0")
        scene.source.answer = Manifest(body("m2"), '"2"')
        await asyncio.sleep(TTL_S + 1)
        began = scene.source.clock.monotonic()
        assert await service.manifest("0.169.0") is old
        assert scene.source.clock.monotonic() == began
        await asyncio.sleep(1)
        assert (await service.manifest("0.169.0")).etag == '"2"'
        assert scene.slugs == ["m1", "m2"]


@virtual
async def test_an_unchanged_manifest_is_kept():
    """The upstream is told what is known, and its 304 counts like an answer."""
    scene = Scene("a")
    async with scene.running() as service:
        old = await service.manifest("0.169.0")
        for _ in range(3):
            await asyncio.sleep(TTL_S + 1)
            assert await service.manifest("0.169.0") is old
        await asyncio.sleep(1)
        assert scene.source.versions["0.169.0"] == 4
        assert len(scene.learnt) == 2


@virtual
async def test_while_the_upstream_is_away_the_old_manifest_stays():
    """It isn't asked more often for that than once in a while."""
    scene = Scene("a")
    async with scene.running() as service:
        old = await service.manifest("0.169.0")
        scene.source.away = {"a"}
        await asyncio.sleep(TTL_S + 1)
        for _ in range(100):
            assert await service.manifest("0.169.0") is old
            await asyncio.sleep(1)
        assert scene.source.versions["0.169.0"] <= 2 + 100 // RETRY_S


@virtual
async def test_without_any_manifest_the_gateway_tries_ever_more_slowly():
    """And callers don't wait for what has just failed."""
    scene = Scene("a")
    scene.source.away = {"a"}
    async with scene.running() as service:
        await asyncio.sleep(3600)
        assert 10 < len(scene.source.asked) < 30
        await service.manifest("0.169.0")
        began = scene.source.clock.monotonic()
        assert await service.manifest("0.169.0") is None
        assert scene.source.clock.monotonic() == began
        scene.source.away = set()
        await asyncio.sleep(900)
        assert scene.slugs == ["m1"]


@virtual
async def test_an_account_that_could_not_say_is_asked_after_the_others():
    """It need not be the upstream's fault."""
    scene = Scene("a", "b")
    scene.source.away = {"a"}
    async with scene.running():
        await asyncio.sleep(60)
        assert [who for _, who, _ in scene.source.asked] == ["a", "b"]
        scene.source.away = {"a", "b"}
        await asyncio.sleep(REFRESH_S + 30)
        assert [who for _, who, _ in scene.source.asked][2:5] == ["b", "a", "b"]


@virtual
@pytest.mark.parametrize("answer", [b"<html>", b'{"models":[]}'])
async def test_what_is_no_manifest_is_as_none(answer):
    """Nothing is kept and nothing learnt."""
    scene = Scene("a")
    scene.source.answer = Manifest(answer, '"1"')
    async with scene.running() as service:
        assert await service.manifest("0.169.0") is None
    assert scene.learnt == []


@virtual
async def test_a_manifest_without_a_tag_gets_one():
    """It changes with what callers get."""
    scene = Scene("a")
    scene.source.answer = Manifest(body("m1"), "")
    async with scene.running() as service:
        first = await service.manifest("0.169.0")
        scene.source.answer = Manifest(body("m2"), "")
        assert first.etag.startswith('"')
        assert first.etag != (await service.manifest("0.170.0")).etag


@virtual
async def test_the_newest_version_that_was_answered_becomes_the_gateways_own():
    """What is no version is answered like it; one that is never answered isn't taken over."""
    scene = Scene("a")
    async with scene.running() as service:
        await service.manifest("0.169.0")
        await service.manifest("0.99.0")
        for version in ("", "latest", "0.169", "0.169.0\n", "9" * 500):
            assert await service.manifest(version) is not None
        assert set(scene.source.versions) == {CODEX_PROTOCOL_VERSION, "0.169.0", "0.99.0"}
        scene.source.away = {"a"}
        assert await service.manifest("99999.0.0") is None
        scene.source.away = set()
        scene.source.asked.clear()
        await asyncio.sleep(REFRESH_S)
    assert set(scene.source.versions) == {"0.169.0"}


@virtual
async def test_of_two_cards_for_a_model_the_newer_clients_counts():
    """An old client is told less; what only it is told of is learnt all the same."""
    scene = Scene("a")
    async with scene.running() as service:
        scene.source.answer = Manifest(body("m1", use_responses_lite=True), '"2"')
        await service.manifest("0.169.0")
        scene.source.answer = Manifest(body("m1", "m0", use_responses_lite=False), '"3"')
        await service.manifest("0.150.0-beta.1")
    assert {card.slug: card.lite for card in scene.learnt[-1]} == {"m1": True, "m0": False}


@virtual
async def test_versions_flights_and_cards_are_bounded(monkeypatch):
    """Whoever invents versions gets few fetches at a time and little memory."""
    monkeypatch.setattr("app.accounts.manifests.CARDS_MAX", 2)
    monkeypatch.setattr("app.accounts.manifests.SHUNNED_MAX", 1)
    scene = Scene("a", "b", "c")
    scene.source.answer = Manifest(body("m1", "m2", "m3"), '"1"')
    async with scene.running() as service:
        await asyncio.gather(*(service.manifest(f"0.{n}.0") for n in range(200)))
        assert scene.source.most_in == FLIGHTS_MAX
        for n in range(200, 240):
            assert await service.manifest(f"0.{n}.0") is not None
        assert len(service._kept) == VERSIONS_MAX
        assert scene.slugs == ["m1", "m2"]
        scene.source.away = {"a", "b"}
        assert [await service.manifest(f"0.{n}.0") for n in (300, 301)] == [None, None]
        assert await service.manifest("0.302.0") is None
        assert len(service._shunned) == 1


@virtual
async def test_a_service_that_does_not_run_fetches_nothing():
    """It may be run again."""
    scene = Scene("a")
    assert await scene.service.manifest("0.169.0") is None
    for _ in range(2):
        async with scene.running() as service:
            assert await service.manifest("0.169.0") is not None
    assert scene.source.versions["0.169.0"] == 1
