"""Writes every call into the journal while it happens, and knows what each has cost so far.

    uid ──▶ leased ──▶ began ──▶ attempt ──▶ ... ──▶ answered
            (a tab is open)      (written before the attempt's last event goes out)

The relay tells of attempts, before anything of what it tells has been passed on; the edge draws the
uid and tells of the end. In between there is a tab for each call that has had an account. All of it
returns at once and raises nothing: whoever admits calls asks `healthy` first. Who may spend how
much is `app.allowance`; how rows are made of records is `app.usage.pairing`.
"""

import re
from collections import defaultdict, deque
from collections.abc import Mapping
from itertools import count
from typing import Final

from msgspec import Struct

from app.domain.account import Account
from app.domain.call import Call, Dialect
from app.domain.ledger import OK, Answered, Attempted, Began, Source
from app.domain.outcome import (
    Abandoned,
    Broken,
    Misread,
    Outcome,
    Refused,
    Succeeded,
    Unauthorized,
    Unsuited,
)
from app.domain.usage import Heard, Usage
from app.ports import Clock
from app.usage.estimate import input_tokens, reserved, taken
from app.usage.journal import Journal
from app.usage.prices import UNPRICED, PriceTable

TOKENS_MAX: Final = 10**9
"""As many as are believed of one attempt; what a model reads and writes is thousandfold less."""
CODE_CHARS_MAX: Final = 64
NAME_CHARS_MAX: Final = 128
"""Of a model's name, and of the one that a caller gave it; more than any model has."""
MARK_S: Final = 1.0
MARKS_MAX: Final = 1_000
LATEST_MAX: Final = 100

_NOTHING: Final = Usage()
_ODD: Final = re.compile(r"[^ -~]")
_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


class Bill(Struct, frozen=True):
    """What a call has taken, all attempts together."""

    tokens: int
    cost_nusd: int


class Ended(Struct, frozen=True):
    """A request that is over, as the edge saw it; `at` and `seconds` are from its first byte.

    `first_event_s` is None of an answer that was not streamed; `call` of one that came to none.
    """

    uid: str
    at: float
    request_id: str
    caller_id: str
    dialect: Dialect
    call: Call | None
    status: int
    code: str
    first_event_s: float | None
    seconds: float


class _Tab(Struct, gc=False):
    """What is known of a call that is under way; the lower half is of its last attempt."""

    input_tokens: int
    attempts: int = 0
    queue_s: float = 0.0
    upstream_s: float = 0.0
    """Up to the first content: what comes after it is no part of the wait for it."""
    tokens: int = 0
    cost_nusd: int = 0
    at: float = 0.0
    leased_at: float = 0.0
    waited_s: float = 0.0
    first_event_s: float | None = None


class Accountant:
    """One worker's; satisfies `app.ports.Observer`."""

    def __init__(self, journal: Journal, *, incarnation: str, clock: Clock) -> None:
        self._journal = journal
        self._append = journal.append
        self._clock = clock
        self._prefix = incarnation + "-"
        self._numbers = count(1)
        self._tabs: dict[str, _Tab] = {}
        self._costs: defaultdict[str, int] = defaultdict(int)
        self._marks: deque[tuple[int, float]] = deque()
        """How many records there were, at moments at least `MARK_S` apart."""
        self.answers = 0
        """How many requests are over."""
        self.latest: deque[Answered] = deque(maxlen=LATEST_MAX)
        """The last of them, for whoever watches."""
        self.prices = PriceTable()
        """Replaced as a whole by whoever hears of a change."""

    def __len__(self) -> int:
        """Return how many calls have a tab."""
        return len(self._tabs)

    @property
    def healthy(self) -> bool:
        """Tell whether what is begun now can be accounted for."""
        return self._journal.healthy

    @property
    def costs(self) -> Mapping[str, int]:
        """What attempts have cost in this worker, in nano-dollars by model."""
        return self._costs

    def uid(self) -> str:
        """Return a name for a call that no call has had before."""
        return f"{self._prefix}{next(self._numbers):x}"

    def reserve(self, call: Call, output_tokens_max: int | None) -> Bill:
        """Return what a call may take before it is known what it does."""
        usage = reserved(self._tab(call).input_tokens, output_tokens_max)
        return Bill(usage.total, self.prices.cost(usage, call.model, call.tier))

    def leased(self, call: Call, reason: str, waited_s: float) -> None:
        """An attempt begins."""
        del reason
        tab = self._tab(call)
        tab.attempts += 1
        tab.queue_s += waited_s
        tab.waited_s = waited_s
        tab.at, tab.leased_at = self._clock.now(), self._clock.monotonic()
        tab.first_event_s = None

    def refused(self, call: Call, code: str, waited_s: float) -> None:
        """There is no account for an attempt."""
        del code
        self._tab(call).queue_s += waited_s

    def began(self, call: Call, account: Account) -> None:
        """Content is there, and about to go to a caller that streams."""
        tab = self._tab(call)
        tab.first_event_s = self._clock.monotonic() - tab.leased_at
        if call.stream:
            self._append(
                Began(
                    call.uid,
                    tab.attempts,
                    tab.at,
                    call.id,
                    call.caller_id,
                    account.id,
                    call.dialect,
                    _name(call.model),
                    _name(call.asked_model),
                    True,  # noqa: FBT003 - in the order of the fields, which is the quickest
                )
            )

    def attempt(self, call: Call, account: Account, outcome: Outcome, heard: Heard | None) -> None:
        """An attempt is over: note it before anybody downstream hears of it."""
        tab = self._tab(call)
        seconds = self._clock.monotonic() - tab.leased_at
        begun = tab.first_event_s
        tab.upstream_s += seconds if begun is None else begun
        usage, source = _used(outcome, heard, tab)
        cost_nusd, prices = 0, UNPRICED
        # An upstream charges for the model that it knows, whatever the pool calls it.
        rate = self.prices.rate(account.name_of(call.model))
        if rate is not None:
            tier = heard.tier if heard is not None and heard.tier is not None else call.tier
            cost_nusd, prices = rate.cost(usage, tier), self.prices.version
            tab.cost_nusd += cost_nusd
            self._costs[call.model] += cost_nusd
        tab.tokens += usage.input + usage.output
        whole = isinstance(outcome, Succeeded)
        self._append(
            Attempted(
                call.uid,
                tab.attempts,
                tab.at,
                call.id,
                call.caller_id,
                account.id,
                call.dialect,
                _name(call.model),
                _name(call.asked_model),
                call.stream,
                _NAMES[type(outcome)],
                None if whole else _code(outcome),
                usage,
                source,
                cost_nusd,
                prices,
                tab.waited_s,
                begun,
                seconds,
                whole or (call.stream and begun is not None),
            )
        )

    def answered(self, ended: Ended) -> Bill:
        """Note that a request is over; return what all its attempts took.

        That a call was answered as asked is written down a little later than it is said, for it is
        not certain yet: the last event is in the hands of the server in front. If the process dies
        right now its row says so, and what it cost is in the record of its attempt already.
        """
        tab = self._tabs.pop(ended.uid, None) or _Tab(0)
        call, first_event_s = ended.call, ended.first_event_s
        record = Answered(
            ended.uid,
            ended.at,
            ended.request_id,
            ended.caller_id,
            ended.dialect,
            _name(call.model) if call else None,
            _name(call.asked_model) if call else None,
            call is not None and call.stream,
            ended.status,
            _plain(ended.code),
            tab.attempts,
            tab.queue_s,
            first_event_s,
            ended.seconds,
            None if first_event_s is None else first_event_s - tab.upstream_s,
        )
        if tab.attempts and ended.code == OK:
            self._journal.append_late(record)
        else:
            self._append(record)
        self.answers += 1
        self.latest.append(record)
        self._mark(ended.at + ended.seconds)
        return Bill(tab.tokens, tab.cost_nusd)

    def age_s(self, moved: int) -> float:
        """Return how old the oldest record is, once the first `moved` have left the journal."""
        marks = self._marks
        while marks and marks[0][0] <= moved:
            marks.popleft()
        return max(0.0, self._clock.now() - marks[0][1]) if marks else 0.0

    def _tab(self, call: Call) -> _Tab:
        tab = self._tabs.get(call.uid)
        if tab is None:
            tab = self._tabs[call.uid] = _Tab(input_tokens(call.body))
        return tab

    def _mark(self, now: float) -> None:
        """Remember how far the journal is now; the marks are few, however long nothing moves."""
        marks = self._marks
        if marks and now - marks[-1][1] < MARK_S:
            return
        if len(marks) >= MARKS_MAX:
            self._marks = marks = deque(list(marks)[::2])
        marks.append((self._journal.appended, now))


def _used(outcome: Outcome, heard: Heard | None, tab: _Tab) -> tuple[Usage, Source]:
    """Return what an attempt took, and who says so."""
    if heard is None:
        return _NOTHING, Source.NONE
    usage = heard.usage
    if usage is not None:
        parts = usage.cached + usage.cache_write + usage.reasoning
        sane = usage.input + usage.output <= TOKENS_MAX >= parts
        return (usage if sane else _believed(usage)), Source.UPSTREAM
    # An upstream that took the call and then told of a failure before any content charges nothing.
    if tab.first_event_s is None and not isinstance(outcome, Abandoned | Broken):
        return _NOTHING, Source.NONE
    return taken(tab.input_tokens, heard), Source.ESTIMATED


def _believed(usage: Usage) -> Usage:
    return Usage(
        input=min(usage.input, TOKENS_MAX),
        cached=min(usage.cached, TOKENS_MAX),
        cache_write=min(usage.cache_write, TOKENS_MAX),
        output=min(usage.output, TOKENS_MAX),
        reasoning=min(usage.reasoning, TOKENS_MAX),
    )


def _code(outcome: Outcome) -> str | None:
    """Return the word for what went wrong, where the outcome's name does not say it all."""
    match outcome:
        case Refused(code=code):
            return None if code is None else _plain(code)
        case Misread():
            return "invalid_encrypted_content"
        case Unsuited():
            return "model_not_found"
        case Broken(silent=True):
            return "silent"
        case Unauthorized(dead=True):
            return "dead"
        case _:
            return None


def _name(model: str) -> str:
    """Return a model's name as it is kept: a caller may have given one of any length and form."""
    if len(model) <= NAME_CHARS_MAX and model.isprintable():
        return model
    return "".join(letter if letter.isprintable() else "?" for letter in model[:NAME_CHARS_MAX])


def _plain(code: str) -> str:
    """Return a code as it is kept: an upstream's may be anything."""
    if code.isidentifier() and len(code) <= CODE_CHARS_MAX:
        return code
    return _ODD.sub("?", code[:CODE_CHARS_MAX])


_NAMES: Final[Mapping[type[Struct], str]] = {
    kind: _CAPITAL.sub("_", kind.__name__).lower() for kind in Outcome.__args__
}
