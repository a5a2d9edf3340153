"""How an account's cap is split among processes: never exceeded, hardly ever left unused."""

from itertools import product

import pytest

from app.domain.account import AccountId
from app.domain.shared import AccountTally, Claim, Snapshot
from app.shared.memory import Hub, MemoryShared
from app.shared.shares import CLAIMS_MAX, TURN, Shares, Standing, fair, granted, guess
from tests.shared.share_scene import Scene, done

A, B = AccountId("a"), AccountId("b")


def splits(cap: int, needs: list[int], turn: int = 0) -> list[int]:
    """Return what each process should hold."""
    return [fair(cap, needs, rank, turn=turn) for rank in range(len(needs))]


@pytest.mark.parametrize(
    ("cap", "needs", "split"),
    [
        (8, [0], [8]),
        (8, [20], [8]),
        (9, [0, 0, 0], [3, 3, 3]),
        (8, [0, 0, 0], [3, 3, 2]),
        (8, [20, 0, 0], [8, 0, 0]),
        (8, [20, 1, 0], [7, 1, 0]),
        (8, [20, 20, 0], [4, 4, 0]),
        (8, [20, 20, 1], [4, 3, 1]),
        (8, [20, 20, 20], [3, 3, 2]),
        (8, [3, 1, 0], [5, 2, 1]),
        (2, [0, 0, 0], [1, 1, 0]),
        (1, [0, 0, 5], [0, 0, 1]),
        (2, [1, 1, 1], [1, 1, 0]),
    ],
)
def test_the_split_is_the_most_even_that_leaves_nothing_unused(cap, needs, split) -> None:
    """Needs are met from the smallest up; what is left is split evenly."""
    assert splits(cap, needs) == split


def test_every_split_is_exact_and_fair() -> None:
    """Whatever is needed, for every small case: the sum is the cap, and nobody can complain."""
    for cap, *needs in product(range(1, 7), *[range(5)] * 3):
        for turn in range(3):
            split = splits(cap, needs, turn)
            assert sum(split) == cap
            for mine, need in zip(split, needs, strict=True):
                if mine < need:
                    others = zip(split, needs, strict=True)
                    assert all(theirs <= max(mine + 1, 0) or theirs <= n for theirs, n in others)
                    assert all(
                        theirs <= mine + 1 for theirs, n in zip(split, needs, strict=True) if n
                    )


def test_the_turn_decides_who_gets_the_odd_one() -> None:
    """So that the same process does not get it of every account."""
    assert {tuple(splits(1, [0, 0, 0], turn)) for turn in range(3)} == {
        (1, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
    }


@pytest.mark.parametrize(
    ("keep", "target", "others", "held"),
    [(0, 5, 0, 5), (0, 5, 6, 2), (3, 5, 8, 3), (3, 3, 0, 3), (2, 5, 9, 2), (0, 0, 0, 0)],
)
def test_a_claim_gets_what_nobody_holds(keep, target, others, held) -> None:
    """And never less than is kept."""
    assert granted(Claim(A, 8, keep, target), others=others) == held


def test_a_guess_is_at_least_one() -> None:
    """An account that could not be used at all would help nobody."""
    assert [guess(8, 1), guess(8, 3), guess(2, 3), guess(8, 0)] == [8, 2, 1, 8]


class Alone:
    """One process and its pool."""

    def __init__(self, hub: Hub | None = None, *, name: str = "one", cap: int = 8) -> None:
        self.hub = hub or Hub(now=lambda: 1_000.0)
        self.shared = MemoryShared(self.hub, incarnation=name)
        self.limits: dict[AccountId, int] = {}
        self.shares = Shares(limit=self.limits.__setitem__)
        self.standings = {A: Standing(cap, 0, cap)}

    def round(self, *touched: AccountId, waiting: int = 0) -> list[Claim]:
        """Say, hear and claim; return what was claimed."""
        rows = [
            AccountTally(each, now.in_flight, self.shares.wanted(each, now, waiting=waiting))
            for each, now in self.standings.items()
        ]
        done(self.shared.publish(Snapshot(accounts=rows)))
        view = self.shared.view()
        self.shares.consider(touched, view)
        found = []
        while claims := self.shares.claims(self.standings.get, view, waiting=waiting, now=0.0):
            self.shares.answered(claims, done(self.shared.claim(claims)))
            found += claims
        return found


def test_a_process_alone_has_everything() -> None:
    """After its first round; before it, it has nothing."""
    one = Alone()
    one.shares.roster([A])
    assert not one.shares.settled
    assert not one.shares.any
    assert one.shares.share(A) == 0
    one.round()
    assert one.limits == {A: 8}
    assert one.shares.settled
    assert one.shares.any
    assert not one.shares.pressed
    assert one.round(A) == []


def test_less_is_in_force_before_it_is_said() -> None:
    """Otherwise another one could get what is still in use."""
    one, two = Alone(), Alone(name="two")
    two.shared = MemoryShared(one.hub, incarnation="two")
    one.shares.roster([A])
    one.round()
    two.shares.roster([A])
    two.standings[A] = Standing(8, 0, 8)
    two.round(waiting=20)
    assert two.shares.pressed
    assert two.shares.share(A) == 0
    done(one.shared.publish(Snapshot()))
    one.shares.consider([], one.shared.view())
    (claim,) = one.shares.claims(one.standings.get, one.shared.view(), waiting=0, now=0.0)
    assert (claim.keep, claim.target) == (0, 0)
    assert one.limits == {A: 0}
    assert one.shares.owing


def test_who_uses_what_another_is_due_gives_it_back_as_calls_end() -> None:
    """No call is cut off for it."""
    one, two = Alone(), Alone(name="two")
    two.shared = MemoryShared(one.hub, incarnation="two")
    one.shares.roster([A])
    one.round()
    one.standings[A] = Standing(8, 8, 8)
    one.round(A)
    two.shares.roster([A])
    two.round(waiting=20)
    two.round(waiting=20)
    one.round(A, waiting=20)
    assert one.limits == {A: 4}
    assert one.hub.members["one"].held[A] == 8
    one.standings[A] = Standing(8, 5, 8)
    one.round(A, waiting=20)
    assert one.hub.members["one"].held[A] == 5
    two.round(waiting=20)
    assert two.limits[A] == 3
    two.standings[A] = Standing(8, 3, 8)
    one.standings[A] = Standing(8, 4, 8)
    one.round(A, waiting=20)
    two.round(waiting=20)
    assert (one.limits, two.limits) == ({A: 4}, {A: 4})


def test_what_ends_without_anybody_being_short_is_said_when_it_is_noticed() -> None:
    """The record follows: it has no more than may be in use."""
    one = Alone()
    one.shares.roster([A])
    one.standings[A] = Standing(8, 6, 8)
    one.round()
    one.standings[A] = Standing(4, 6, 4)
    one.shares.roster([A])
    one.round()
    assert one.limits == {A: 4}
    assert one.hub.members["one"].held[A] == 6
    one.standings[A] = Standing(4, 2, 4)
    (claim,) = one.round(A)
    assert (claim.keep, claim.target) == (4, 4)
    assert one.hub.members["one"].held[A] == 4


def test_nothing_is_wanted_without_a_line() -> None:
    """Nor while there are credits left, nor of an account that rests."""
    shares = Alone().shares
    assert shares.wanted(A, Standing(8, 0, 8), waiting=3) == 3
    assert shares.wanted(A, Standing(8, 0, 8), waiting=0) == 0
    assert shares.wanted(A, Standing(8, 0, 8), waiting=30) == 8
    assert shares.wanted(A, Standing(8, 5, 6), waiting=30) == 1
    assert shares.wanted(A, Standing(8, 5, 0), waiting=30) == 0
    one = Alone()
    one.shares.roster([A])
    one.round()
    assert one.shares.wanted(A, Standing(8, 5, 8), waiting=30) == 0


def test_claims_without_an_answer_are_made_again() -> None:
    """Since they may have been heard, or not."""
    one = Alone()
    one.shares.roster([A])
    view = one.shared.view()
    claims = one.shares.claims(one.standings.get, view, waiting=0, now=0.0)
    one.shares.unanswered(claims)
    assert not one.shares.settled
    assert one.round() == claims
    assert one.limits == {A: 8}


def test_claims_come_in_portions() -> None:
    """So that no question takes long."""
    one = Alone()
    many = [AccountId(str(number)) for number in range(CLAIMS_MAX + 1)]
    one.standings = {each: Standing(8, 0, 8) for each in many}
    one.shares.roster(many)
    view = one.shared.view()
    found = one.shares.claims(one.standings.get, view, waiting=0, now=0.0)
    assert len(found) == CLAIMS_MAX
    assert len(one.shares.claims(one.standings.get, view, waiting=0, now=0.0)) == 1
    assert one.shares.claims(one.standings.get, view, waiting=0, now=0.0) == []


def test_all_accounts_have_their_turn() -> None:
    """Also those to which nothing happens."""
    shares = Alone().shares
    many = [AccountId(str(number)) for number in range(TURN * 2)]
    shares.roster(many)
    assert shares.turn() == many[:TURN]
    assert shares.turn() == many[TURN:]
    assert shares.turn() == many[:TURN]


def test_accounts_that_go_are_forgotten() -> None:
    """And those of which nobody knows how busy they are, are left alone."""
    one = Alone()
    one.shares.roster([A, B])
    one.round()
    assert one.limits == {A: 8}
    one.shares.roster([B])
    assert one.shares.share(A) == 0


def test_who_cannot_ask_guesses() -> None:
    """And goes on with what it was granted, if it was granted anything."""
    one = Alone()
    one.shares.roster([A])
    one.round()
    one.standings[B] = Standing(9, 0, 9)
    one.shares.roster([A, B, AccountId("gone")])
    one.shares.guess(one.standings.get, 3)
    assert one.limits == {A: 8, B: 3}
    one.shares.guess(one.standings.get, 9)
    assert one.limits == {A: 8, B: 1}
    one.round()
    granted_b = one.limits[B]
    one.shares.roster([A, B])
    one.shares.guess(one.standings.get, 9)
    assert one.limits == {A: 8, B: granted_b}


SKEWS = [(20.0, 0.2, 0.2), (20.0, 1.0, 1.0), (6.0, 6.0, 6.0), (20.0, 0.0, 0.0), (2.0, 1.5, 1.0)]


@pytest.mark.parametrize("rates", SKEWS)
def test_a_cap_of_eight_is_kept_and_used_by_three(rates) -> None:
    """Never a ninth call, and at least 95 % of what the load could use."""
    scene = Scene(seed=7, cap=8)
    for rate in rates:
        scene.join(rate)
    scene.run(5.0)
    scene.measure()
    scene.run(60.0)
    assert scene.most == 8
    assert scene.utilisation >= 0.95


@pytest.mark.parametrize("cap", [1, 2, 3])
def test_a_cap_below_the_number_of_processes_is_kept_and_used(cap) -> None:
    """Credits move; nobody needs one of its own to be served."""
    scene = Scene(seed=cap, cap=cap, call_s=4.0)
    processes = [scene.join(rate) for rate in (4.0, 0.5, 0.1, 0.1)]
    scene.run(5.0)
    scene.measure()
    scene.run(100.0)
    assert scene.most == cap
    assert scene.utilisation >= 0.95
    assert all(process.served for process in processes)


@pytest.mark.parametrize("seed", range(8))
def test_the_cap_is_kept_though_questions_and_answers_get_lost(seed) -> None:
    """With every fifth lost, several accounts, and processes that come and die."""
    scene = Scene(seed=seed, cap=4, accounts=3, loss=0.2)
    for rate in (10.0, 2.0, 0.5):
        scene.join(rate)
    for _ in range(4):
        scene.run(5.0)
        scene.kill(scene.processes[0])
        scene.join(scene.rng.choice([0.2, 5.0, 15.0]))
    scene.run(5.0)
    assert scene.most == 4


def test_the_share_of_a_dead_process_is_back_within_three_seconds() -> None:
    """All of it, to those that live."""
    scene = Scene(seed=3, cap=8)
    dying = scene.join(20.0)
    others = [scene.join(0.0), scene.join(0.0)]
    scene.run(5.0)
    assert dying.in_flight == 8
    scene.kill(dying)
    for process in others:
        process.rate = 20.0
    scene.run(3.0)
    assert sum(process.shares.share(scene.accounts[0]) for process in others) == 8
    assert sum(process.in_flight for process in others) == 8
    assert scene.most == 8


def test_while_nobody_can_be_asked_everybody_keeps_what_it_has() -> None:
    """The sum of that is the cap, and calls go on."""
    scene = Scene(seed=5, cap=8)
    processes = [scene.join(20.0) for _ in range(3)]
    scene.run(5.0)
    for process in processes:
        process.link.loss = 2.0
    scene.run(20.0)
    assert sum(process.shares.share(scene.accounts[0]) for process in processes) == 8
    assert scene.most == 8
    assert all(process.in_flight for process in processes)
    for process in processes:
        process.link.loss = 0.0
    scene.run(20.0)
    assert scene.most == 8
