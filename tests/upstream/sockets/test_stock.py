"""Which socket a call gets, and that nothing stays behind in the tables."""

from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from app.domain.account import AccountId
from app.domain.caller import KeyId
from app.upstream.sockets.key import Key
from app.upstream.sockets.life import IDLE_S, Life, Phase, Reason
from app.upstream.sockets.stock import Stock


class Sock:
    """As much of a socket as the stock sees."""

    def __init__(self, key: Key, now: float = 0.0) -> None:
        self.key = key
        self.life = Life(now=now, rng=Random(1))


def key(account: str = "a", caller: str = "k") -> Key:
    """Return a key."""
    return Key(KeyId(caller), AccountId(account), 0, None, ())


def stocked(*sockets: Sock, total: int = 4, account: int = 3) -> Stock[Sock]:
    """Return a stock with idle sockets."""
    stock: Stock[Sock] = Stock(total_max=total, account_max=account)
    for socket in sockets:
        stock.add(socket)
        stock.put_back(socket)
    return stock


def holding(id: str) -> Sock:
    """Return a socket that holds a response."""
    socket = Sock(key())
    socket.life.held = id
    return socket


def test_a_call_gets_only_a_socket_with_its_key():
    """Rule 1."""
    socket = Sock(key())
    stock = stocked(socket)
    assert stock.take(key(caller="other"), continuing=None, now=0.0) is None
    assert stock.take(key("b"), continuing=None, now=0.0) is None
    assert stock.take(key(), continuing=None, now=0.0) is socket
    assert stock.take(key(), continuing=None, now=0.0) is None


def test_a_call_that_continues_gets_the_socket_that_holds_its_response():
    """Rule 2."""
    one, two, plain = holding("r1"), holding("r2"), Sock(key())
    stock = stocked(one, two, plain)
    assert stock.take(key(), continuing="r1", now=0.0) is one
    assert stock.take(key(), continuing="gone", now=0.0) is plain


def test_what_somebody_may_continue_is_spared_while_there_is_room():
    """Rule 3."""
    one, two = holding("r1"), holding("r2")
    stock = stocked(one, two)
    assert stock.take(key(), continuing=None, now=0.0) is None
    stock = stocked(one, two, total=2)
    assert stock.take(key(), continuing=None, now=0.0) is one


def test_the_latest_is_taken_first_and_an_old_one_not_at_all():
    """So those that are not needed grow idle and go."""
    old, first, second = Sock(key()), Sock(key(), now=IDLE_S), Sock(key(), now=IDLE_S)
    stock = stocked(old, first, second)
    assert stock.take(key(), continuing=None, now=IDLE_S) is second
    assert stock.take(key(), continuing=None, now=IDLE_S) is first
    assert stock.take(key(), continuing=None, now=IDLE_S) is None


def test_the_one_that_is_idle_longest_makes_room():
    """Rule 4: its account's own if that one is full, else anybody's."""
    a, b, c = Sock(key("a")), Sock(key("b")), Sock(key("a"))
    stock = stocked(b, a, c, total=3, account=2)
    assert not stock.room(AccountId("a"))
    assert stock.evict(AccountId("a")) is a
    assert not stock.room(AccountId("d"))
    assert stock.evict(AccountId("d")) is b
    for busy in (a, b, c):
        stock.take(busy.key, continuing=None, now=0.0)
    assert stock.evict(AccountId("a")) is None
    assert stock.evict(AccountId("d")) is None


def test_what_is_being_dialled_takes_room_as_well():
    """Or a burst would dial any number."""
    stock = stocked(total=2, account=1)
    over = stock.dial(AccountId("a"))
    assert not stock.room(AccountId("a"))
    stock.dial(AccountId("b"))
    assert not stock.room(AccountId("c"))
    over()
    assert stock.room(AccountId("a"))
    assert stock.dialling == 1


def test_batches_go_on_while_sockets_go():
    """The sweep is sliced."""
    sockets = [Sock(key(str(n))) for n in range(5)]
    stock = stocked(*sockets, total=9)
    seen = []
    for batch in stock.batches(2):
        seen += batch
        stock.remove(sockets[4])
    assert seen == sockets
    assert len(stock) == 4


@pytest.mark.parametrize("times", [1, 2])
def test_a_removed_socket_leaves_nothing_behind(times):
    """Also the second time."""
    socket = Sock(key())
    stock = stocked(socket)
    for _ in range(times):
        stock.remove(socket)
    assert stock.entries == 0
    assert not list(stock)
    assert not stock.of(AccountId("a"))
    assert not stock.accounts()


class StockMachine(RuleBasedStateMachine):
    """Any order of taking, giving back, dialling and closing keeps the tables true."""

    busy = Bundle("busy")

    def __init__(self) -> None:
        super().__init__()
        self.stock: Stock[Sock] = Stock(total_max=5, account_max=3)
        self.here: set[Sock] = set()
        self.waiting: set[Sock] = set()

    @rule(target=busy, account=st.sampled_from("ab"), caller=st.sampled_from("kl"))
    def dial(self, account, caller):
        """Take an idle one, or dial one if there is room, or make room."""
        wanted = key(account, caller)
        taken = self.stock.take(wanted, continuing=None, now=0.0)
        if taken is not None:
            assert taken.key == wanted
            assert taken in self.waiting
            self.waiting.remove(taken)
            return taken
        while not self.stock.room(wanted.account_id):
            evicted = self.stock.evict(wanted.account_id)
            if evicted is None:
                return multiple()
            assert evicted in self.waiting
            self.forget(evicted)
        over = self.stock.dial(wanted.account_id)
        over()
        socket = Sock(wanted)
        self.stock.add(socket)
        self.here.add(socket)
        return socket

    @rule(socket=busy)
    def give_back(self, socket):
        """Put it back."""
        if socket in self.here and socket not in self.waiting:
            self.stock.put_back(socket)
            self.waiting.add(socket)

    @rule(socket=busy)
    def forget(self, socket):
        """Close it."""
        self.stock.remove(socket)
        socket.life.phase = Phase.CLOSED
        self.here.discard(socket)
        self.waiting.discard(socket)

    @rule(socket=busy)
    def spoil(self, socket):
        """It is idle but must not be taken."""
        socket.life.retire(Reason.STRAY)

    @invariant()
    def tables_are_true(self):
        """What is there is there once, and bounded."""
        assert set(self.stock) == self.here
        assert self.stock.idle == len(self.waiting)
        assert len(self.stock) <= 5
        for account in "ab":
            assert len(self.stock.of(AccountId(account))) <= 3
        if not self.here:
            assert self.stock.entries == 0


TestStock = StockMachine.TestCase
