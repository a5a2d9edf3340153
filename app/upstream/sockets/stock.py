"""Which sockets there are, whose they are, and which one is taken for a call. Pure.

Rule 1: a socket is only ever taken for a call with its very key.
Rule 2: a call that continues a response gets the socket that holds it, if that is idle.
Rule 3: any other call gets an idle socket that holds nothing that somebody may want to continue;
        one that does is only taken when there is no room for a new one.
Rule 4: there are never more than `total_max` sockets, nor more than `account_max` of one account,
        those that are being dialled included. To make room, the socket that has been idle longest
        goes; where all are busy there is no room.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, Protocol, TypeVar

from msgspec import Struct, field

from app.domain.account import AccountId
from app.upstream.sockets.key import Key
from app.upstream.sockets.life import Life


class Held(Protocol):
    """What the stock knows of a socket."""

    @property
    def key(self) -> Key:
        """Whose it is."""

    @property
    def life(self) -> Life:
        """Its state."""


S = TypeVar("S", bound=Held)


class _Rack(Struct, Generic[S]):
    """The sockets of one account."""

    dialling: int = 0
    sockets: dict[S, None] = field(default_factory=dict)
    idle: dict[S, None] = field(default_factory=dict)
    """The one that has been idle longest comes first."""


class Stock(Generic[S]):
    """All sockets of one worker."""

    def __init__(self, *, total_max: int, account_max: int) -> None:
        self._total_max = total_max
        self._account_max = account_max
        self._racks: dict[AccountId, _Rack[S]] = {}
        self._shelves: dict[Key, dict[S, None]] = {}
        self._sockets: dict[S, None] = {}
        self._idle: dict[S, None] = {}
        self.dialling = 0

    def __len__(self) -> int:
        return len(self._sockets)

    @property
    def idle(self) -> int:
        """How many sockets wait for a call."""
        return len(self._idle)

    @property
    def entries(self) -> int:
        """How many entries all tables have together: nothing may stay behind in them."""
        within = sum(len(rack.sockets) + len(rack.idle) for rack in self._racks.values())
        shelved = sum(len(shelf) for shelf in self._shelves.values())
        return len(self._racks) + len(self._shelves) + within + shelved + len(self._idle)

    def __iter__(self) -> Iterator[S]:
        return iter(self._sockets)

    def batches(self, size: int) -> Iterator[list[S]]:
        """Yield all sockets of now in batches; they may come and go meanwhile."""
        everything = iter(list(self._sockets))
        while batch := list(islice(everything, size)):
            yield batch

    def of(self, account_id: AccountId) -> list[S]:
        """Return the sockets of an account."""
        rack = self._racks.get(account_id)
        return list(rack.sockets) if rack is not None else []

    def accounts(self) -> list[AccountId]:
        """Return the accounts that have sockets."""
        return list(self._racks)

    def take(self, key: Key, *, continuing: str | None, now: float) -> S | None:
        """Take an idle socket for a call, None if there is none that it should have."""
        shelf = self._shelves.get(key)
        if not shelf:
            return None
        fit = [socket for socket in shelf if socket.life.fit(now)]
        if continuing is not None:
            for socket in fit:
                if socket.life.held == continuing:
                    return self._taken(socket)
        # The latest one first: those that are not needed grow idle and go.
        for socket in reversed(fit):
            if socket.life.held is None:
                return self._taken(socket)
        if fit and not self.room(key.account_id):
            return self._taken(fit[0])
        return None

    def room(self, account_id: AccountId) -> bool:
        """Tell whether there is room for a new socket without closing another."""
        rack = self._racks.get(account_id)
        taken = len(rack.sockets) + rack.dialling if rack is not None else 0
        return taken < self._account_max and len(self) + self.dialling < self._total_max

    def evict(self, account_id: AccountId) -> S | None:
        """Return the idle socket to close for a new one of this account; None if all are busy.

        Close it, which removes it, and ask for `room` again.
        """
        rack = self._racks.get(account_id)
        if rack is not None and len(rack.sockets) + rack.dialling >= self._account_max:
            return next(iter(rack.idle), None)
        return next(iter(self._idle), None)

    def dial(self, account_id: AccountId) -> Callable[[], None]:
        """Note that a socket is being dialled; call what is returned once that is over."""
        self._rack(account_id).dialling += 1
        self.dialling += 1

        def over() -> None:
            self._racks[account_id].dialling -= 1
            self.dialling -= 1
            self._tidy(account_id)

        return over

    def add(self, socket: S) -> None:
        """Take a new socket in; it is taken already."""
        self._rack(socket.key.account_id).sockets[socket] = None
        self._sockets[socket] = None

    def put_back(self, socket: S) -> None:
        """Note that a socket waits for a call again."""
        self._idle[socket] = None
        self._racks[socket.key.account_id].idle[socket] = None
        self._shelves.setdefault(socket.key, {})[socket] = None

    def remove(self, socket: S) -> None:
        """Forget a socket; a second time nothing happens."""
        if self._sockets.pop(socket, self) is self:
            return
        self._unshelve(socket)
        self._racks[socket.key.account_id].sockets.pop(socket)
        self._tidy(socket.key.account_id)

    def _taken(self, socket: S) -> S:
        self._unshelve(socket)
        return socket

    def _unshelve(self, socket: S) -> None:
        self._idle.pop(socket, None)
        self._racks[socket.key.account_id].idle.pop(socket, None)
        shelf = self._shelves.get(socket.key)
        if shelf is not None:
            shelf.pop(socket, None)
            if not shelf:
                del self._shelves[socket.key]

    def _rack(self, account_id: AccountId) -> _Rack[S]:
        return self._racks.setdefault(account_id, _Rack())

    def _tidy(self, account_id: AccountId) -> None:
        rack = self._racks[account_id]
        if not rack.sockets and not rack.dialling:
            del self._racks[account_id]
