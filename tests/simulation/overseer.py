"""What must never happen while processes renew credentials and relay calls, and who notices.

The parts of the simulation tell the overseer what they see: the authorization server and the
upstream (the truth), the shared store, the callers, and the pool of each process. The first thing
that is wrong is kept, and the loop raises it after the step in which it happened, because
production code may swallow any exception that is raised at it.

    I5  one exchange of a refresh token at a time; a spent one is not presented again unless its
        successor was lost, and never again once a process was told; nothing is used before it is
        stored, and the store forgets no newer token
    I6  every lease belongs to a call that is not over; at the end there is none
    I7  no account has more calls of a process in flight than it may
    I8  no attempt after content, none above the budget, one at a time
    I9  no account is leased before the reset that it named to this process, unless that one's
        clock was set since; no refused access token is leased again
    E   every call ends once: whole, with an error of ours, or because its caller left
    F   nobody is overtaken by a call that asks for the same, and callers' keys take turns
    S   nobody waits while an account that can take the call has room
    L   accounts stay alive: what can be renewed is, what can't be is flagged
"""

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from app.domain.account import AccountId
from app.domain.call import Call
from app.domain.outcome import Abandoned, Outcome
from app.pool.pool import Lease
from app.pool.state import AccountState, Health
from app.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.backend import Exchange
    from tests.simulation.process import Process

SLACK_S: Final = 0.1
"""Within which a timer that rang has been heard."""
LEAVING_MAX_S: Final = 1.0
"""How long a call may go on after its caller has left."""
CLOCK_EXCUSE_S: Final = 100.0
"""An intent in the store keeps other processes away for 90 s by their clocks; while a clock is
set, it can't."""
TOLD_MAX: Final = 3
"""How often a process may be told that a token is spent, if the store does not take it down."""
RENEWALS_MAX: Final = 16
"""How often an account may be renewed in the life of one token: once by each process, and again
after each restart, and each time that somebody revoked its token."""
TURNS_MAX: Final = 2
"""Calls of one other key that may be served while a key waits for its turn."""

Demand = tuple[str, tuple[str, ...], tuple[str, ...]]


class Spending(Struct):
    """What became of a refresh token that was spent."""

    process: "Process"
    delivered: bool = False
    """The process has got the successor."""
    stored: bool = False


class Record(Struct):
    """One call, as its caller sees it."""

    call: Call
    process: "Process"
    stream: bool
    attempts: int = 0
    exchanges: list["Exchange"] = field(default_factory=list)
    content: bool = False
    left_at: float | None = None
    end: str | None = None
    ended_at: float = 0.0
    excluding: frozenset[AccountId] = frozenset()
    waiting: bool = False
    """It stands in line, as far as the pool can tell."""
    waited: bool = False

    @property
    def demand(self) -> Demand:
        """What the call asks of an account."""
        return self.call.model, self.call.groups, self.call.tags


class _Named(Struct):
    """A reset that a process was told of."""

    until: float
    """By the process's clock."""
    clock_set: int
    """How often that one had been set by then."""


class Overseer:
    """Is told everything; `first` is the first thing that was wrong."""

    def __init__(self, *, attempts_max: int) -> None:
        self._attempts_max = attempts_max
        self.first: Violation | None = None
        self.at = 0.0
        self.clock_set_at = -1e9
        """When some process's clock was set last."""
        self.records: dict[str, Record] = {}
        self.ends: Counter[str] = Counter()
        self.spendings: dict[str, Spending] = {}
        self._exchanging: set[str] = set()
        self._renewals: dict[AccountId, deque[float]] = {}
        self._told_reused: Counter[tuple[str, str]] = Counter()
        self._limits: dict[tuple[str, AccountId, str | None], _Named] = {}
        self._refused: set[tuple[str, AccountId, int]] = set()
        self._turns: dict[tuple[str, Demand, str], Counter[str]] = {}

    def accuse(self, invariant: str, words: str) -> None:
        """Note that something is wrong."""
        if self.first is None:
            self.first = Violation(invariant, f"{words}, at {self.at:.3f} s")

    # Refresh tokens

    def exchange_began(self, process: "Process", token: str, *, recorded: bool) -> None:
        """A process sends a refresh token, of which the store has recorded that it is spent."""
        if token in self._exchanging and not self._clocks_were_set:
            self.accuse("I5", f"{token} is exchanged twice at a time")
        self._exchanging.add(token)
        times = self._told_reused[process.pid, token]
        if times and (recorded or times > TOLD_MAX):
            self.accuse("I5", f"{process.pid} was told that {token} is spent, and comes again")
        spent = self.spendings.get(token)
        if spent is None or self._clocks_were_set:
            return
        if spent.stored:
            self.accuse("I5", f"{process.pid} presents {token}, whose successor is stored")
        elif spent.delivered and (spent.process is process or spent.process.alive):
            self.accuse("I5", f"{process.pid} presents {token}, whose successor is here")

    def exchange_ended(self, token: str) -> None:
        """Neither the process nor the server has to do with this exchange any more."""
        self._exchanging.discard(token)

    def spent(
        self, process: "Process", token: str, account_id: AccountId, *, lifetime_s: float
    ) -> None:
        """The server has taken the token and issued another one, which lives for `lifetime_s`."""
        self.spendings[token] = Spending(process)
        times = self._renewals.setdefault(account_id, deque(maxlen=RENEWALS_MAX + 1))
        times.append(self.at)
        if len(times) > RENEWALS_MAX and self.at - times[0] < lifetime_s:
            self.accuse("L", f"{account_id} is renewed {len(times)} times in one token's life")

    def delivered(self, process: "Process", token: str) -> None:
        """What the token bought has reached the process."""
        if process.alive:
            self.spendings[token].delivered = True

    def told_reused(self, process: "Process", token: str) -> None:
        """The process was told that the token is spent."""
        self._told_reused[process.pid, token] += 1

    def stored(self, token: str) -> None:
        """What the token bought is in the store."""
        self.spendings[token].stored = True

    # Calls

    def arrived(self, record: Record) -> None:
        """A caller asks."""
        self.records[record.call.id] = record

    def sent(self, exchange: "Exchange", in_flight: int) -> None:
        """An attempt has reached the upstream, which has `in_flight` of the process's calls."""
        record = self.records[exchange.call_id]
        record.exchanges.append(exchange)
        account = exchange.account
        if in_flight > account.concurrency_max:
            self.accuse("I7", f"{account.id} has {in_flight} calls of {record.process.pid}")
        if record.content:
            self.accuse("I8", f"{record.call.id} is tried again after content")
        if len(record.exchanges) > self._attempts_max:
            self.accuse("I8", f"{record.call.id} makes attempt {len(record.exchanges)}")
        if any(other.open for other in record.exchanges[:-1]):
            self.accuse("I8", f"{record.call.id} makes two attempts at a time")
        if record.end is not None:
            self.accuse("E", f"{record.call.id} is sent after its end: {record.end}")

    def leased(self, process: "Process", call: Call, lease: Lease) -> None:
        """The pool of a process gave an account to a call."""
        account = lease.account
        generation = account.credential.generation
        if (process.pid, account.id, generation) in self._refused:
            self.accuse("I9", f"{account.id} is leased with credential {generation}, a refused one")
        for model in (None, call.model):
            named = self._limits.get((process.pid, account.id, model))
            now, clock_set = process.clock.now(), process.clock.times_set
            if named is not None and now < named.until and clock_set == named.clock_set:
                words = f"{account.id} is leased {named.until - now:.3f} s before its reset"
                self.accuse("I9", words)
        self._take_turn(self.records[call.id])

    def waits(self, call: Call, excluding: frozenset[AccountId]) -> None:
        """The pool had nobody for a call."""
        record = self.records[call.id]
        record.excluding = excluding
        if not record.waiting:
            record.waiting = record.waited = True
            key = record.process.pid, record.demand, call.caller_id
            self._turns.setdefault(key, Counter())

    def refused(self, call: Call) -> None:
        """A call was told that there is nobody."""
        self._leave_line(self.records[call.id])

    def attempted(self, process: "Process", call: Call, outcome: Outcome) -> None:
        """A process has drawn its conclusions from an attempt."""
        record = self.records[call.id]
        if isinstance(outcome, Abandoned) or not record.exchanges:
            return
        exchange = record.exchanges[-1]
        account, told = exchange.account, exchange.told
        if told is None:
            return
        if told.unauthorized:
            self._refused.add((process.pid, account.id, account.credential.generation))
            return
        until = told.until
        if told.wait_s is not None:
            until = process.clock.now() + told.wait_s
        if until is not None:
            key = process.pid, account.id, told.model
            self._limits[key] = _Named(until, process.clock.times_set)

    def ended(self, record: Record, end: str) -> None:
        """A call is over for its caller."""
        if record.end is not None:
            self.accuse("E", f"{record.call.id} ended twice: {record.end}, {end}")
        record.end, record.ended_at = end, self.at
        self._leave_line(record)
        self.ends[end.split(":", maxsplit=1)[0]] += 1
        if record.left_at is not None and self.at - record.left_at > LEAVING_MAX_S:
            self.accuse("E", f"{record.call.id} goes on after its caller left: {end}")

    # Moments at which nobody has anything to do

    def look(self, process: "Process") -> None:
        """Look at a process while nobody has anything to do."""
        for call_id in process.pool.out.values():
            if self.records[call_id].end is not None:
                self.accuse("I6", f"{call_id} is over and still has a lease")
        waiting = process.admission.waiting
        if not waiting:
            return
        mine = [each for each in process.calls.values() if each.waiting]
        if waiting != len(mine):
            self.accuse("I6", f"{waiting} stand in the line of {process.pid}, {len(mine)} wait")
        now = process.clock.now()
        for state in process.pool.states:
            for record in mine:
                if state.account.id in record.excluding:
                    continue
                # Whoever waits for a moment does not see a clock jump past it.
                rested = state.health is Health.COOLING or record.call.model in state.model_ready_at
                sure = not rested or not process.clock.times_set
                if sure and _able(state, record.call, now):
                    words = f"{record.call.id} waits and {state.account.id} has room"
                    self.accuse("S", words)

    def finish(self, process: "Process") -> None:
        """Look at a process that has nothing to do any more."""
        if process.pool.leases or process.pool.out:
            self.accuse("I6", f"{process.pid} has {process.pool.leases} leases out")
        if process.admission.waiting:
            self.accuse("I6", f"{process.admission.waiting} stand in line for ever")
        for state in process.pool.states:
            if state.in_flight:
                self.accuse("I6", f"{state.account.id} has {state.in_flight} in flight")

    @property
    def _clocks_were_set(self) -> bool:
        return self.at - self.clock_set_at < CLOCK_EXCUSE_S

    def _leave_line(self, record: Record) -> None:
        """Note that a call waits no longer; a key of which nobody waits has no turn."""
        record.waiting = False
        key, demand = record.call.caller_id, record.demand
        for each in record.process.calls.values():
            if each.waiting and each.call.caller_id == key and each.demand == demand:
                return
        self._turns.pop((record.process.pid, demand, key), None)

    def _take_turn(self, record: Record) -> None:
        """Look whether it was this call's turn; the others count how often it was not theirs."""
        process = record.process
        others = {
            each.call.caller_id
            for each in process.calls.values()
            if each.waiting
            and each is not record
            and not each.excluding
            and each.left_at is None
            and each.demand == record.demand
        }
        key = record.call.caller_id
        if others and not record.waiting:
            self.accuse("F", f"{record.call.id} overtakes calls that wait")
        record.waiting = False
        self._turns.pop((process.pid, record.demand, key), None)
        for other in others - {key}:
            turns = self._turns.setdefault((process.pid, record.demand, other), Counter())
            turns[key] += 1
            if turns[key] > TURNS_MAX:
                self.accuse("F", f"{other} waits while {key} is served {turns[key]} times")


def _able(state: AccountState, call: Call, now: float) -> bool:
    """Tell whether the account could take the call."""
    if call.groups and not set(call.groups) & set(state.account.groups):
        return False
    if state.model_ready_at.get(call.model, 0.0) > now - SLACK_S:
        return False
    match state.health:
        case Health.READY | Health.PROBING:
            return not state.full
        case Health.COOLING:
            return state.rests_until < now - SLACK_S
        case _:
            return False
