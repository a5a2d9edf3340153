"""What the others said, summed up: nothing counts twice, nothing is forgotten."""

from random import Random

import pytest

from app.domain.account import AccountId
from app.domain.caller import KeyId
from app.domain.shared import AccountTally, KeySpent, Missed, Presence, StoreChanged
from app.shared.codec import Announcement, Page
from app.shared.peers import RETIRED, Peers

A, B, K = AccountId("a"), AccountId("b"), KeyId("k")


def hear(peers: Peers, *rows: AccountTally | KeySpent, name: str = "two", live=True) -> None:
    """Let a peer say rows."""
    page = Page(
        [row for row in rows if isinstance(row, AccountTally)],
        [row for row in rows if isinstance(row, KeySpent)],
    )
    peers.read(name, page, number=peers.known.get(name, 0) + 1)
    peers.seen(name, Presence(), live=live)


def test_a_peer_that_was_retired_counts_once() -> None:
    """Its figures come with those of all who are gone, and its own go."""
    peers = Peers("one")
    hear(peers, AccountTally(A, 2, 1, 10, 100), KeySpent(K, 1, 5, 1, 5))
    peers.settle(["two"], now=1.0)
    gone = Page([AccountTally(A, 0, 0, 10, 100)], [KeySpent(K, 1, 5, 1, 5)], ["two"])
    peers.read(RETIRED, gone, number=1)
    peers.seen(RETIRED, Presence(), live=True)
    peers.settle([RETIRED], now=2.0)
    assert peers.account(A) == AccountTally(A, 0, 0, 10, 100)
    assert peers.spent(K) == KeySpent(K, 1, 5, 1, 5)
    assert (peers.processes, list(peers.short), peers.presences) == (1, [], [])
    assert peers.known == {RETIRED: 1}


def test_a_peer_that_the_server_forgot_still_counts() -> None:
    """It is alive for a while, then its calls are over; and it can be told to the server again."""
    peers = Peers("one")
    hear(peers, AccountTally(A, 2, 1, 10, 100))
    peers.settle(["two"], now=1.0)
    peers.settle([], now=2.0)
    peers.settle([], now=3.0)
    assert peers.forgotten(since=1.9) == []
    assert peers.account(A) == AccountTally(A, 2, 1, 10, 100)
    assert peers.forgotten(since=2.0) == ["two"]
    assert peers.account(A) == AccountTally(A, 0, 0, 10, 100)
    assert peers.image("two") == (1, Page([AccountTally(A, 2, 1, 10, 100)]))
    peers.seen("two", Presence(), live=True)
    peers.settle(["two"], now=4.0)
    assert peers.forgotten(since=9.0) == []
    assert peers.account(A) == AccountTally(A, 2, 1, 10, 100)


def test_a_forgotten_peer_without_figures_is_dropped() -> None:
    """There is nothing to keep of it."""
    peers = Peers("one")
    hear(peers)
    peers.settle(["two"], now=1.0)
    peers.settle([], now=2.0)
    assert (peers.known, peers.processes) == ({}, 1)


def test_the_image_of_the_retired_names_them() -> None:
    """Whoever gets it must know who is in it."""
    peers = Peers("one")
    peers.read(RETIRED, Page([AccountTally(A, 0, 0, 1, 1)], [], ["x", "two"]), number=4)
    assert peers.image(RETIRED) == (4, Page([AccountTally(A, 0, 0, 1, 1)], [], ["two", "x"]))


def test_presences_are_of_those_alive() -> None:
    """Each with its name."""
    peers = Peers("one")
    peers.seen("two", Presence("1"), live=True)
    peers.seen("zwo", Presence("2"), live=False)
    peers.settle(["two", "zwo"], now=1.0)
    assert peers.presences == [("two", Presence("1"))]


def test_a_peer_can_be_read_from_the_beginning() -> None:
    """Rows replace what they were; nothing is added."""
    peers = Peers("one")
    hear(peers, AccountTally(A, 1, 0, 1, 1))
    peers.restart("two")
    assert peers.known == {}
    hear(peers, AccountTally(A, 3, 0, 4, 4))
    assert peers.account(A) == AccountTally(A, 3, 0, 4, 4)


def test_wants_are_of_those_alive() -> None:
    """And end when they end."""
    peers = Peers("one")
    hear(peers, AccountTally(A, 0, 2))
    hear(peers, AccountTally(A, 0, 1), name="zwo")
    hear(peers, AccountTally(A, 0, 0))
    assert list(peers.short) == [A]
    peers.seen("zwo", Presence(), live=False)
    assert list(peers.short) == []
    hear(peers, AccountTally(A, 5, 5), name="zwo", live=False)
    peers.settle(["two", "zwo"], now=1.0)
    assert list(peers.short) == []
    assert list(peers.needs(A, 1)) == [1, 0]


def test_an_announcement_is_heard_once() -> None:
    """And a gap in the numbers says that something was missed."""
    peers = Peers("one")
    event = StoreChanged(1)
    assert peers.news(Announcement("one", 1, event)) == []
    assert peers.news(Announcement("two", 5, event)) == [event]
    assert peers.news(Announcement("two", 5, event)) == []
    assert peers.news(Announcement("two", 4, event)) == []
    assert peers.news(Announcement("two", 6, event)) == [event]
    assert peers.news(Announcement("two", 8, event)) == [Missed(), event]


@pytest.mark.parametrize("seed", range(20))
def test_sums_are_always_the_sums(seed) -> None:
    """Compared with adding everything up each time."""
    rng = Random(seed)
    peers = Peers("m")
    rows: dict[str, dict[AccountId, AccountTally]] = {name: {} for name in "axz"}
    live = dict.fromkeys(rows, False)
    for step in range(300):
        name = rng.choice(list(rows))
        row = AccountTally(
            rng.choice([A, B]), rng.randrange(4), rng.choice([0, 0, 1]), step, rng.randrange(9)
        )
        rows[name][row.id] = row
        live[name] = rng.random() < 0.7
        hear(peers, row, name=name, live=live[name])
        peers.settle([name for name in rows if rows[name]], now=float(step))
        for account_id in (A, B):
            given = [rows[name].get(account_id, AccountTally(account_id)) for name in rows]
            alive = [rows[n].get(account_id, AccountTally(account_id)) for n in rows if live[n]]
            assert peers.account(account_id) == AccountTally(
                account_id,
                sum(each.in_flight for each in alive),
                sum(each.wanted for each in alive),
                sum(each.requests for each in given),
                sum(each.tokens for each in given),
            )
            assert (account_id in peers.short) == any(each.wanted for each in alive)
            assert sum(peers.needs(account_id, 3)) == 3 + sum(
                each.in_flight + each.wanted for each in alive
            )
        assert peers.processes == 1 + sum(live.values())
        assert peers.rank == sum(live[n] for n in "a")
