"""Real programs over real sockets: the simulator as the upstream, and the gateway in front of it.

One pair serves all tests of a worker that leave the pool as it was; `start` gives a pair of its
own to those that don't. After each test the simulator must have nothing to complain about, unless
the test looks at the complaints itself and then calls `simulator.mark()`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.programs import Gateway, Pair, Simulator, Starter

LOG_CHARS_MAX = 8_000
HERE = Path(__file__).parent
_LOGS = pytest.StashKey[list[tuple[Gateway, int]]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder, so that `-m "not e2e"` leaves it out."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show what the gateways wrote during a test that has failed."""
    report = yield
    if report.failed:
        for gateway, since in item.stash.get(_LOGS, []):
            report.sections.append(("gateway's log", gateway.printed(since)[-LOG_CHARS_MAX:]))
    return report


@pytest.fixture(scope="session")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Starter:
    """What starts pairs."""
    return Starter(tmp_path_factory.mktemp("e2e"))


@pytest.fixture(scope="session")
def shared(starter: Starter) -> Iterator[Pair]:
    """The pair that all tests of a worker share; its accounts are many, so that one may rest.

    Nearly every call of the tests fails at first, which no budget of retries would pay for. A
    refusal keeps its status however slow the machine is: no head goes out while attempts are made.
    """
    patient = {"retries_min": 1_000_000, "commit_after_s": 60.0}
    yield from starter.pair(accounts=32, limits=patient)


@pytest.fixture
def pair(shared: Pair, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """The shared pair, watched during one test."""
    yield from _watched(shared, request)
    shared.simulator.control(rules=[])


@pytest.fixture
def start(starter: Starter, request: pytest.FixtureRequest) -> Iterator[Callable[..., Pair]]:
    """Start a pair of one's own; it ends with the test."""
    running: list[Iterator[Pair]] = []

    def start(**options) -> Pair:
        started = starter.pair(**options)
        watched = _watched(next(started), request)
        running.extend((started, watched))
        return next(watched)

    yield start
    for generator in reversed(running):
        next(generator, None)


@pytest.fixture
def simulator(pair: Pair) -> Simulator:
    """The simulator of the shared pair."""
    return pair.simulator


@pytest.fixture
def gateway(pair: Pair) -> Gateway:
    """The gateway of the shared pair."""
    return pair.gateway


def _watched(pair: Pair, request: pytest.FixtureRequest) -> Iterator[Pair]:
    logs = request.node.stash.setdefault(_LOGS, [])
    logs.append((pair.gateway, len(pair.gateway.printed().encode())))
    pair.simulator.mark()
    yield pair
    pair.simulator.quiet()
    assert pair.simulator.violations == []
