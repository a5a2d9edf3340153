"""What the processes of one installation tell each other.

All figures are absolute and of one process: saying one twice, late or not at all does no harm, and
nothing has to be added up by whoever carries them. A process is named by its *incarnation*, which
is never used again. Nothing in here is a secret.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from app.domain.account import AccountId
from app.domain.caller import KeyId
from app.domain.quota import QuotaView


class AccountTally(Struct, frozen=True, array_like=True):
    """What one process did with one account; `requests` and `tokens` since it began."""

    id: AccountId
    in_flight: int = 0
    """Calls under way now."""
    wanted: int = 0
    """Calls that it would begin now besides, if its share of the account were larger."""
    requests: int = 0
    tokens: int = 0


class KeySpent(Struct, frozen=True, array_like=True):
    """What one process spent for one caller's key; money is in nano-dollars.

    `day_at` and `month_at` are when the day and the month began that it was spent in, epoch
    seconds.
    """

    id: KeyId
    day_at: int = 0
    day_nusd: int = 0
    month_at: int = 0
    month_nusd: int = 0
    reserved_nusd: int = 0
    """What its calls under way may cost."""
    in_flight: int = 0
    """Calls under way now."""
    requests: int = 0
    """Calls that were let in since the process began."""
    tokens: int = 0
    """Tokens that were taken or reserved since then."""


class Presence(Struct, frozen=True, array_like=True):
    """Who a process is and how far it has come, as people will read of it."""

    version: str = ""
    host: str = ""
    pid: int = 0
    began_at: float = 0.0
    """Epoch seconds."""
    revision: int = -1
    """The state of the store that it has taken over; -1 before the first."""
    draining: bool = False
    parent: int = 0
    """The process that started it: workers of one server have it in common."""


class Snapshot(Struct, frozen=True):
    """What a process says of itself; rows that it leaves out are as it said before."""

    accounts: Sequence[AccountTally] = ()
    keys: Sequence[KeySpent] = ()
    presence: Presence = Presence()
    urgent: bool = False
    """Somebody waits for what this makes the others do."""


class AccountRested(Struct, frozen=True, array_like=True, tag="rested"):
    """An account, or one model of it, rests until a moment (epoch seconds).

    Taking it over twice, or after a longer rest, must change nothing.
    """

    account_id: AccountId
    until: float
    reason: str
    model: str | None = None


class AccountReset(Struct, frozen=True, array_like=True, tag="reset"):
    """An operator has ended every rest of an account."""

    account_id: AccountId


class QuotaHeard(Struct, frozen=True, array_like=True, tag="quota"):
    """What the upstream said of an account's limits, with a reply to a call for this model."""

    account_id: AccountId
    view: QuotaView
    model: str


class CredentialRenewed(Struct, frozen=True, array_like=True, tag="renewed"):
    """An account has a credential of this generation; it is to be read from the store."""

    account_id: AccountId
    generation: int


class StoreChanged(Struct, frozen=True, array_like=True, tag="changed"):
    """The store has this revision: settings, keys or accounts are to be read again."""

    revision: int


class KeyRevoked(Struct, frozen=True, array_like=True, tag="revoked"):
    """A caller's key opens nothing any more."""

    key_id: KeyId


class Draining(Struct, frozen=True, array_like=True, tag="drain"):
    """One process, or every one that is alive now (None), is to take no more calls."""

    incarnation: str | None = None


class Missed(Struct, frozen=True, array_like=True, tag="missed"):
    """Events have been lost on the way: everything is to be read anew. Never announced."""


SharedEvent = (
    AccountRested
    | AccountReset
    | QuotaHeard
    | CredentialRenewed
    | StoreChanged
    | KeyRevoked
    | Draining
)
News = SharedEvent | Missed
URGENT: Final = (AccountRested, AccountReset, CredentialRenewed, StoreChanged, KeyRevoked, Draining)
"""Events that the others are rung for; the rest comes with the next round."""


class Binding(Struct, frozen=True, array_like=True):
    """What belongs to which account since when (epoch seconds), by its key in our own tables.

    `owned` says that only this account can read it; else it is a session, which does better there.
    """

    key: str
    account_id: AccountId
    at: float
    owned: bool


class Rung(Struct, frozen=True):
    """Somebody has said something urgent: begin a round."""


class Bound(Struct, frozen=True):
    """What others have bound just now. Some of it may be lost on the way."""

    bindings: Sequence[Binding]


class Tidings(Struct, frozen=True):
    """What came of telling the others."""

    news: Sequence[News] = ()
    """Events in the order of those who announced them; the same one may come twice."""
    claims_known: bool = True
    """False if the record of this process's shares is gone: all of them are to be claimed anew."""


class Claim(Struct, frozen=True, array_like=True):
    """How many calls a process wants to have under way with an account.

    `keep` is how many it may have until it gets the answer, at least as many as it has;
    `target`, never less than that, is how many it wants.
    """

    account_id: AccountId
    cap: int
    """How many all processes may have together."""
    keep: int
    target: int


class Fence(Struct, frozen=True):
    """A lease on a name. `number` grows with each lease of whatever name, over all processes."""

    name: str
    number: int
