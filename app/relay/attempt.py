"""One try of a call on one account: all that is learnt in it goes to the pool through here.

Rule 1: the lease is settled exactly once, whoever comes first with an outcome.
Rule 2: what the upstream says about the account's limits is heard before the attempt is judged.
Rule 3: that the reply has begun is said once, and before the end is.
Rule 4: the observer hears of content and of the end before anybody downstream does.
"""

from collections.abc import Sequence

from msgspec import Struct, structs

from app.dialects.responses.encrypted import fingerprint
from app.domain.call import Call
from app.domain.outcome import Outcome
from app.domain.quota import QuotaView
from app.domain.usage import Heard
from app.pool.pool import AccountPool, Lease
from app.ports import Clock, Observer
from app.relay.admission import Admission
from app.relay.ownership import TURN_STATE, addressed, item_key
from app.wire.quota import quota, quota_event

_UNHEARD = QuotaView()


class Desk(Struct, frozen=True):
    """What all attempts have in common."""

    pool: AccountPool
    admission: Admission
    clock: Clock
    observer: Observer


class Attempt:
    """From the lease to its settling."""

    __slots__ = (
        "_desk",
        "_unowned",
        "begun_after_s",
        "call",
        "heard",
        "lease",
        "limits",
        "opened_at",
        "outcome",
    )

    def __init__(self, desk: Desk, call: Call, lease: Lease) -> None:
        self._desk = desk
        self._unowned: tuple[str, ...] = ()
        self.call = call
        self.lease = lease
        self.opened_at = desk.clock.monotonic()
        self.limits = _UNHEARD
        """What the upstream last said about the account's limits."""
        self.begun_after_s: float | None = None
        """How long the first content took, None before it came."""
        self.heard: Heard | None = None
        """What the reply has shown of its size, None while there is no reply with events."""
        self.outcome: Outcome | None = None

    def addressed(self) -> Call:
        """Return the call as this account may be shown it."""
        desk, account_id = self._desk, self.lease.account.id
        call, self._unowned = addressed(self.call, account_id, desk.pool, now=desk.clock.now())
        return call

    def hear(self, headers: Sequence[tuple[str, str]]) -> None:
        """Take in what the reply's head says, whatever its status."""
        self._observe(quota(headers, now=self._desk.clock.now()))

    def hear_event(self, data: bytes) -> None:
        """Take in a `codex.rate_limits` event."""
        now, family = self._desk.clock.now(), self.limits.active_family
        self._observe(quota_event(data, now=now, active_family=family))

    def streams(self, headers: Sequence[tuple[str, str]]) -> None:
        """Note that a reply has come whose events are still to follow."""
        for name, value in headers:
            if name == TURN_STATE:
                self.found(fingerprint(value))
        # A stream lives for minutes; what was asked may be megabytes and is of no use any more.
        self.call = structs.replace(self.call, body=b"", delta=None)

    def found(self, name: str) -> None:
        """Note that the account has made an item of this name."""
        desk = self._desk
        desk.pool.bind(item_key(self.call, name), self.lease.account.id, now=desk.clock.now())

    def began(self) -> None:
        """Note that content is there: the upstream has taken the call."""
        if self.begun_after_s is not None:
            return
        desk = self._desk
        self.begun_after_s = desk.clock.monotonic() - self.opened_at
        desk.admission.began(self.lease, first_event_s=self.begun_after_s)
        desk.observer.began(self.call, self.lease.account)
        for key in self._unowned:
            desk.pool.bind(key, self.lease.account.id, now=desk.clock.now())
        self._unowned = ()

    def conclude(self, outcome: Outcome) -> Outcome:
        """Settle the lease with `outcome`, unless it is settled already; return `outcome`."""
        if self.outcome is None:
            self.outcome = outcome
            self._desk.admission.settle(self.lease, outcome)
            self._desk.observer.attempt(self.call, self.lease.account, outcome, self.heard)
        return outcome

    def _observe(self, view: QuotaView) -> None:
        if view.empty:
            return
        self.limits = view
        desk, account_id = self._desk, self.lease.account.id
        desk.pool.observe(account_id, view, model=self.call.model, now=desk.clock.now())
