"""One call on its way through the gateway, with how far it has come."""

from msgspec import Struct

from app.domain.account import AccountId
from app.domain.call import Call
from app.errors import GatewayError
from app.pool.pool import Lease
from app.simulation.load import Wish
from app.simulation.upstream import Answer


class Trip(Struct, eq=False):
    """One call and the search for its account; the engine owns it."""

    wish: Wish
    number: int
    call: Call
    only: AccountId | None = None
    attempt: int = 0
    excluding: frozenset[AccountId] = frozenset()
    avoiding: frozenset[AccountId] = frozenset()
    preferring: AccountId | None = None
    renewed: frozenset[AccountId] = frozenset()
    stripped: bool = False
    """It goes without its encrypted items."""
    last_word: GatewayError | None = None
    queued_at: float | None = None
    """Since when it stands in line, None if it doesn't."""
    waited_s: float = 0.0
    begun: bool = False
    ended: bool = False


class Flight(Struct, eq=False):
    """One attempt that is out."""

    trip: Trip
    lease: Lease
    answer: Answer
