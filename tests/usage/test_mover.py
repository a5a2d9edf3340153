"""Tests of app.usage.mover."""

import asyncio
from itertools import pairwise
from random import Random

import pytest

from app.errors import StateError
from app.usage.framing import HEAD, encode
from app.usage.journal import Journal, JournalLimits
from app.usage.mover import BUSY_S, MOVE_S, Mover
from tests.fakes.clock import FakeClock
from tests.fakes.ledger import FakeLedger
from tests.usage.records import answered, attempted, began
from tests.usage.test_framing import frame

LIMITS = JournalLimits(segment_bytes=len(HEAD) + 4 * len(encode(attempted())))


class Worker:
    """A journal with its mover; `die` leaves the folder behind as a crash would."""

    def __init__(self, root, ledger: FakeLedger, name: str = "me") -> None:
        self.clock = FakeClock()
        self.journal = Journal(root, incarnation=name, limits=LIMITS)
        self.journal.open()
        self.ledger = ledger
        self.mover = Mover(journal=self.journal, ledger=ledger, sleep=self.clock.sleep)

    def write(self, *records) -> None:
        """Append records, with a spare segment always at hand."""
        for record in records:
            self.journal.append(record)
            self.journal._maintain()

    def call(self, uid: str) -> None:
        """Write down a call that goes well."""
        self.write(began(uid), attempted(uid), answered(uid))

    def die(self) -> None:
        """Let go of everything without a word."""
        self.journal.folder.release()

    @property
    def numbers(self) -> list[int]:
        """The segments that are there."""
        return self.journal.folder.numbers()


@pytest.fixture
def ledger():
    """A ledger in memory."""
    return FakeLedger()


@pytest.fixture
def worker(tmp_path, ledger):
    """A worker with a journal of small segments."""
    return Worker(tmp_path / "journal", ledger)


async def test_what_is_written_arrives(worker, ledger):
    """Each attempt and each request once, and segments that are done with go."""
    for n in range(8):
        worker.call(f"u{n}")
    await worker.mover.flush()
    assert len(ledger.attempts) == len(ledger.requests) == 8
    assert worker.mover.moved == ledger.taken == 16
    assert worker.numbers == [worker.journal.current.number, worker.journal.current.number + 1]
    assert set(ledger.known) == {f"me/{worker.journal.current.number}"}


async def test_nothing_new_moves_nothing(worker, ledger):
    """Asking costs no transaction."""
    worker.call("u1")
    await worker.mover.flush()
    await worker.mover.flush()
    assert ledger.taken == 2


async def test_a_segment_stays_until_its_calls_are_answered(worker, ledger):
    """A stream of an hour keeps the segment in which it began, and only that and later ones."""
    worker.write(began("long"))
    for n in range(5):
        worker.call(f"u{n}")
    await worker.mover.flush()
    assert worker.numbers[0] == 1
    worker.write(attempted("long"), answered("long"))
    await worker.mover.flush()
    assert worker.numbers[0] == worker.journal.current.number
    assert len(ledger.requests) == 6


async def test_a_database_that_is_away_loses_nothing_and_doubles_nothing(worker, ledger):
    """Whether the batch was not taken, or taken and the answer lost."""
    worker.call("u1")
    ledger.away = 2
    for _ in range(2):
        with pytest.raises(StateError):
            await worker.mover.flush()
    ledger.deaf = 1
    with pytest.raises(StateError):
        await worker.mover.flush()
    worker.call("u2")
    await worker.mover.flush()
    assert ledger.taken == 4
    assert ledger.requests["u1"].usage == ledger.requests["u2"].usage


async def test_a_row_that_the_database_refuses_stops_no_other(worker, ledger):
    """It goes to a file of its own, with the reason."""
    ledger.refusing = {"bad"}
    worker.call("u1")
    worker.call("bad")
    worker.call("u2")
    await worker.mover.flush()
    assert set(ledger.requests) == {"u1", "u2"}
    assert worker.mover.refused == 2
    aside = next((worker.journal.folder.path.parent / "bad").iterdir()).read_text()
    assert '"uid":"bad"' in aside
    assert "bad is no good" in aside


async def test_what_a_dead_worker_left_is_moved(tmp_path, ledger, worker):
    """All of it, flagged where its end is not known; its folder is gone then."""
    dead = Worker(tmp_path / "journal", ledger, "dead")
    dead.call("whole")
    dead.write(began("cut"))
    dead.write(attempted("unanswered"))
    dead.die()
    await worker.mover.adopt()
    assert worker.mover.adopted == 1
    await worker.mover.flush()
    assert set(ledger.requests) == {"whole", "cut", "unanswered"}
    assert ledger.requests["cut"].interrupted
    assert ledger.attempts["cut", 1].outcome == "interrupted"
    assert ledger.requests["unanswered"].status == 200
    assert worker.mover.adopted == 0
    assert not dead.journal.folder.path.exists()


async def test_a_worker_that_lives_is_not_adopted(tmp_path, ledger, worker):
    """Its lock tells."""
    other = Worker(tmp_path / "journal", ledger, "other")
    other.call("u1")
    await worker.mover.adopt()
    assert worker.mover.adopted == 0


async def test_a_dead_worker_is_taken_up_where_it_stopped(tmp_path, ledger, worker):
    """What it moved is not moved again, but what was under way then is not forgotten."""
    dead = Worker(tmp_path / "journal", ledger, "dead")
    dead.write(began("long"), attempted("first", outcome="broken"))
    for n in range(3):
        dead.call(f"u{n}")
    await dead.mover.flush()
    before = ledger.taken
    dead.die()
    await worker.mover.adopt()
    await worker.mover.flush()
    assert ledger.taken == before + 3
    assert ledger.requests["long"].interrupted
    assert ledger.requests["first"].cost_nusd == 1_000


async def test_an_adopter_that_dies_is_adopted_itself(tmp_path, ledger, worker):
    """At whatever step it died, no row is lost or doubled."""
    dead = Worker(tmp_path / "journal", ledger, "dead")
    dead.write(began("cut"))
    dead.call("whole")
    dead.die()
    adopter = Worker(tmp_path / "journal", ledger, "adopter")
    await adopter.mover.adopt()
    ledger.deaf = 2
    for _ in range(2):
        with pytest.raises(StateError):
            await adopter.mover.flush()
    for reading in adopter.mover._adopted:
        reading.folder.release()
    adopter.die()
    await worker.mover.adopt()
    await worker.mover.flush()
    assert ledger.taken == 4
    assert set(ledger.requests) == {"cut", "whole"}
    assert worker.mover.adopted == 0


async def test_an_adoption_that_fails_lets_go(tmp_path, ledger, worker):
    """It is tried again when the database is back."""
    dead = Worker(tmp_path / "journal", ledger, "dead")
    dead.call("u1")
    dead.die()
    ledger.away = 1
    with pytest.raises(StateError):
        await worker.mover.adopt()
    await worker.mover.adopt()
    await worker.mover.flush()
    assert set(ledger.requests) == {"u1"}


async def test_damage_costs_the_rest_of_its_segment_only(tmp_path, ledger, worker):
    """What stands before it and in other segments is moved; the rest is kept for people."""
    dead = Worker(tmp_path / "journal", ledger, "dead")
    for n in range(4):
        dead.call(f"u{n}")
    path = dead.journal.folder.segment(1)
    data = bytearray(path.read_bytes())
    at = len(HEAD) + sum(len(encode(r)) for r in (began("u0"), attempted("u0"), answered("u0")))
    data[at + 20] ^= 255
    path.write_bytes(data)
    dead.die()
    await worker.mover.adopt()
    await worker.mover.flush()
    assert set(ledger.requests) >= {"u0", "u2", "u3"}
    assert worker.mover.flaws == 1
    assert b"a wrong checksum" in next((tmp_path / "journal" / "bad").iterdir()).read_bytes()
    assert not dead.journal.folder.path.exists()


async def test_a_segment_of_another_version_is_put_aside(tmp_path, ledger, worker):
    """Nothing is guessed."""
    dead = Worker(tmp_path / "journal", ledger, "dead")
    dead.call("u1")
    dead.journal.folder.segment(1).write_bytes(b"c2aj\x00\x09\x00\x00whatever")
    dead.die()
    await worker.mover.adopt()
    await worker.mover.flush()
    assert (ledger.taken, worker.mover.flaws) == (0, 1)
    assert not dead.journal.folder.path.exists()


async def test_poison_is_put_aside_and_counted(worker, ledger):
    """A record that this version does not know; what stands around it is moved."""
    worker.call("u0")
    worker.journal.current.append(frame(b"\x91\xa1z"))
    worker.call("u1")
    await worker.mover.flush()
    assert worker.mover.flaws == 1
    assert set(ledger.requests) == {"u0", "u1"}
    assert b"\x91\xa1z" in next((worker.journal.folder.path.parent / "bad").iterdir()).read_bytes()


async def test_what_cannot_even_be_put_aside_is_only_logged(worker, ledger, caplog):
    """A full disk must not stop the rest."""
    (worker.journal.folder.path.parent / "bad").write_text("not a folder")
    worker.journal.current.append(frame(b"\x91\xa1z"))
    worker.call("u1")
    await worker.mover.flush()
    assert "journal_not_set_aside" in caplog.text
    assert set(ledger.requests) == {"u1"}


async def test_it_goes_on_by_itself(tmp_path, worker, ledger):
    """It looks every fifth of a second, waits longer while the database is away, and adopts."""
    task = asyncio.create_task(worker.mover.run())
    worker.call("u1")
    await worker.clock.advance(MOVE_S)
    assert "u1" in ledger.requests or await until(worker, lambda: "u1" in ledger.requests)
    ledger.away = -1
    worker.call("u2")
    await until(worker, lambda: not worker.mover.up)
    ledger.away = 0
    await until(worker, lambda: "u2" in ledger.requests)
    await until(worker, lambda: worker.mover.up)
    dead = Worker(tmp_path / "journal", ledger, "dead")
    dead.call("u3")
    dead.die()
    await until(worker, lambda: "u3" in ledger.requests)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_where_calls_follow_each_other_many_share_a_transaction(worker, ledger):
    """A call that comes alone is moved at once; after it the next look is a second away."""
    take, times = ledger.take, []

    async def timed(attempts, requests, **place) -> None:
        times.extend(worker.clock.monotonic() for _ in requests)
        await take(attempts, requests, **place)

    ledger.take = timed
    task = asyncio.create_task(worker.mover.run())
    for uid in ("u1", "u2", "u3"):
        worker.call(uid)
        await until(worker, lambda uid=uid: uid in ledger.requests)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(times) == 3
    assert min(after - before for before, after in pairwise(times)) >= BUSY_S


async def test_what_is_written_while_rows_are_moved_waits_for_the_next_time(worker, ledger):
    """Or a worker that is never idle would move every call in a transaction of its own."""
    take = ledger.take

    async def written_meanwhile(*rows, **place) -> None:
        worker.call(f"u{len(ledger.requests)}")
        await take(*rows, **place)

    ledger.take = written_meanwhile
    worker.call("first")
    await worker.mover.flush()
    assert set(ledger.requests) == {"first"}
    await worker.mover.flush()
    assert set(ledger.requests) == {"first", "u0"}


async def until(worker: Worker, holds) -> bool:
    """Let time pass until something holds; the mover reads files in a thread meanwhile."""
    for _ in range(2_000):
        if holds():
            return True
        await asyncio.to_thread(lambda: None)
        await worker.clock.advance(MOVE_S)
    raise AssertionError


async def test_crashes_at_random_moments_lose_and_double_nothing(tmp_path):
    """Workers that write, move, die and adopt each other, with a database that comes and goes."""
    for seed in range(25):
        rng, ledger = Random(seed), FakeLedger()
        root = tmp_path / str(seed)
        written, generation = set(), 0
        worker = Worker(root, ledger, "w0")
        for step in range(40):
            match rng.randrange(6):
                case 0:
                    for reading in worker.mover._adopted:
                        reading.folder.release()
                    worker.die()
                    generation += 1
                    worker = Worker(root, ledger, f"w{generation}")
                case 1:
                    ledger.away, ledger.deaf = rng.choice([(1, 0), (0, 1), (0, 0)])
                case 2:
                    await attempt(worker.mover.adopt())
                case 3:
                    await attempt(worker.mover.flush())
                case _:
                    uid = f"{seed}-{step}"
                    written.add(uid)
                    worker.call(uid)
        ledger.away = ledger.deaf = 0
        await worker.mover.adopt()
        await worker.mover.flush()
        assert set(ledger.requests) == written, f"seed {seed}"
        assert ledger.taken == 2 * len(written), f"seed {seed}"
        assert not any(row.interrupted for row in ledger.requests.values())


async def attempt(doing) -> None:
    """Do something that may find the database away."""
    try:
        await doing
    except StateError:
        return


async def test_how_far_the_journal_was_moved_is_known(worker, ledger):
    """What is written while the database is away is not moved yet."""
    worker.call("u1")
    await worker.mover.flush()
    assert worker.mover.reached == worker.journal.written == 3
    ledger.away = -1
    worker.call("u2")
    with pytest.raises(StateError):
        await worker.mover.flush()
    assert (worker.mover.reached, worker.journal.written) == (3, 6)
