"""Whichever worker is asked answers for all, and no total falls on the way from one to the next."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from app.errors import StateError
from app.telemetry import exposition as expositions
from app.telemetry.exposition import Exposition
from app.telemetry.folder import Folder


class Counting:
    """A part of a worker: calls counted, leases out."""

    def __init__(self) -> None:
        self.calls = 0
        self.leases = 0

    def families(self):
        """Yield both."""
        yield CounterMetricFamily("codex2api_calls", "Calls.", value=self.calls)
        yield GaugeMetricFamily("codex2api_leases", "Leases.", value=self.leases)


class Known:
    """A part that knows the same in every worker."""

    asked = 0

    def families(self):
        """Yield a gauge without a rule."""
        self.asked += 1
        yield GaugeMetricFamily("codex2api_accounts", "Accounts.", value=3)


class Worker:
    """One worker of a program."""

    def __init__(self, root: Path, name: str) -> None:
        self.counting = Counting()
        self.known = Known()
        self.folder = Folder.join(root, program="p", name=name)
        self.exposition = Exposition(self.counting, own=(self.known,), folder=self.folder)


async def read(exposition: Exposition) -> dict[str, float]:
    """Return the samples of a scrape."""
    lines = (await exposition.text()).decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


async def turn(worker: Worker) -> None:
    """Let one second pass for a worker."""

    async def stop(_seconds: float) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await worker.exposition.run(sleep=stop)


@pytest.fixture
def workers(tmp_path):
    """Two workers of one program."""
    return [Worker(tmp_path / "metrics", name) for name in "ab"]


async def test_one_worker_speaks_for_itself():
    """And writes nothing anywhere; `run` has nothing to do."""
    counting = Counting()
    counting.calls = 4
    exposition = Exposition(counting, own=(Known(),))
    await exposition.run(sleep=asyncio.sleep)
    seen = await read(exposition)
    assert seen["codex2api_calls_total"] == 4
    assert seen["codex2api_accounts"] == 3
    assert seen["process_resident_memory_bytes"] > 0
    await exposition.close()


async def test_the_one_that_is_asked_answers_for_all(workers):
    """Totals and what is added up come from all, the rest from itself."""
    for number, worker in enumerate(workers, start=1):
        worker.counting.calls = worker.counting.leases = number
        await turn(worker)
    for worker in workers:
        seen = await read(worker.exposition)
        assert seen["codex2api_calls_total"] == 3
        assert seen["codex2api_leases"] == 3
        assert seen["codex2api_accounts"] == 3
        assert worker.known.asked == 1


async def test_what_was_on_a_page_is_known_to_the_others(workers):
    """Before its second is over, and even if the one that was asked dies right after."""
    asked, other = workers
    asked.counting.calls = 5
    assert (await read(asked.exposition))["codex2api_calls_total"] == 5
    assert (await read(other.exposition))["codex2api_calls_total"] == 5
    asked.counting.calls = 9
    assert (await read(asked.exposition))["codex2api_calls_total"] == 9
    asked.folder.leave()
    assert (await read(other.exposition))["codex2api_calls_total"] == 9
    await turn(other)
    assert (await read(other.exposition))["codex2api_calls_total"] == 9


async def test_totals_do_not_fall_in_any_order_of_scrapes_turns_and_deaths(tmp_path):
    """A new worker begins at zero, and the sum does not notice."""
    root = tmp_path / "metrics"
    living = [Worker(root, "0"), Worker(root, "1")]
    before, counted = 0.0, 0
    for number in range(2, 30):
        worker = living[number % 2]
        worker.counting.calls += number
        counted += number
        if number % 3 == 0:
            await turn(worker)
        seen = await read(living[number % 7 % 2].exposition)
        assert before <= seen["codex2api_calls_total"] <= counted
        before = seen["codex2api_calls_total"]
        if number % 5 == 0:
            await turn(worker)
            worker.folder.leave()
            living[number % 2] = Worker(root, str(number))
    for worker in living:
        await turn(worker)
    assert (await read(living[0].exposition))["codex2api_calls_total"] == counted


async def test_the_last_counts_are_left_at_the_end(workers):
    """Whoever lives has them; the gauges of the one that is gone are no more."""
    leaving, staying = workers
    await turn(leaving)
    leaving.counting.calls = leaving.counting.leases = 7
    await leaving.exposition.close()
    seen = await read(staying.exposition)
    assert seen["codex2api_calls_total"] == 7
    assert seen["codex2api_leases"] == 0
    await turn(staying)
    assert (await read(staying.exposition))["codex2api_calls_total"] == 7


async def test_it_is_done_about_once_a_second(workers):
    """Until it is cancelled."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await workers[0].exposition.run(sleep=sleep)
    assert slept == [expositions.PERIOD_S] * 3


async def test_a_full_disk_costs_no_page(workers, caplog, monkeypatch):
    """It is complained about once, and again only after it has worked."""
    asked, _ = workers
    asked.counting.calls = 5

    def full(_page) -> None:
        raise OSError(28, "No space left on device")

    for _ in range(2):
        with monkeypatch.context() as patched:
            patched.setattr(asked.folder, "put", full)
            for _ in range(3):
                assert (await read(asked.exposition))["codex2api_calls_total"] == 5
        await read(asked.exposition)
    assert caplog.text.count("No space left on device") == 2


async def test_a_page_that_would_lack_something_is_none(workers, monkeypatch):
    """A total that falls for one scrape would look like a restart; a gap is a gap."""

    def unreadable():
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(workers[0].folder, "others", unreadable)
    with pytest.raises(StateError, match="Too many open files"):
        await workers[0].exposition.text()


async def test_what_can_not_be_added_up_now_is_added_up_later(workers, monkeypatch):
    """Nobody is bothered with it."""
    gone, staying = workers
    gone.counting.calls = 5
    await turn(gone)
    gone.folder.leave()

    def unreadable(**_):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(staying.folder, "retire", unreadable)
        await turn(staying)
    await turn(staying)
    assert (await read(staying.exposition))["codex2api_calls_total"] == 5
