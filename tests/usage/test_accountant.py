"""Tests of app.usage.accountant."""

from types import SimpleNamespace

import pytest
from msgspec import structs

from app.domain.call import Call, Dialect
from app.domain.caller import KeyId
from app.domain.ledger import Answered, Attempted, Began, Source
from app.domain.outcome import (
    Abandoned,
    Broken,
    Misread,
    Overloaded,
    RateLimited,
    Refused,
    Succeeded,
    Unauthorized,
    Unreachable,
    Unsuited,
)
from app.domain.price import Price
from app.domain.usage import Heard, Usage
from app.usage.accountant import MARKS_MAX, TOKENS_MAX, Accountant, Bill, Ended
from app.usage.framing import HEAD, decode, encode
from app.usage.prices import UNPRICED, PriceTable
from tests.fakes.accounts import account
from tests.fakes.clock import FakeClock

USAGE = Usage(input=100, cached=40, output=10, reasoning=5)
COST = 60 * 2_500 + 40 * 250 + 10 * 15_000
DONE = Succeeded(0.4, USAGE)
NOTHING = Usage()
MODEL = "gpt-5.4"


class Desk:
    """An accountant, the clock it looks at, and a journal that is a list."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.records: list = []
        self.late: list = []
        journal = SimpleNamespace(
            append=self.append, append_late=self.append_late, healthy=True, appended=0
        )
        self.journal = journal
        self.books = Accountant(journal, incarnation="0f" * 8, clock=self.clock)
        self.account = account("a")

    def append(self, record) -> None:
        """Keep a record as it comes back from the disk."""
        data = encode(record)
        assert decode(data, offset=0, records_max=9).records == [record]
        self.records.append(record)
        self.journal.appended += 1

    def append_late(self, record) -> None:
        """Keep a record, and remember that it was not urgent."""
        self.late.append(record)
        self.append(record)

    def call(self, **changes) -> Call:
        """Return a call of 100 tokens."""
        fields = {"uid": self.books.uid(), "stream": True, "body": b"x" * 400} | changes
        usual = {"id": "req-1", "caller_id": KeyId("k"), "dialect": Dialect.CHAT, "model": MODEL}
        return Call(**(usual | {"asked_model": "my-model"} | fields))

    def over(self, call, outcome=DONE, heard=None, *, content=True) -> Attempted:
        """Make an attempt from its lease to its end; return its record."""
        self.books.leased(call, "balanced", 0.0)
        if content:
            self.books.began(call, self.account)
        self.books.attempt(structs.replace(call, body=b""), self.account, outcome, heard)
        return self.records[-1]

    def end(self, made, **changes) -> Bill:
        """Answer the request that came to a call."""
        usual = {
            "uid": made.uid, "at": self.clock.now(), "request_id": made.id, "caller_id": "k",
            "dialect": made.dialect, "call": made, "status": 200, "code": "ok",
            "first_event_s": None, "seconds": 1.0,
        }  # fmt: skip
        return self.books.answered(Ended(**(usual | changes)))


@pytest.fixture
def desk() -> Desk:
    """A desk on which nothing lies yet."""
    return Desk()


def test_no_two_calls_have_one_name(desk):
    """It is the incarnation and a number; what is long ago does not come again."""
    names = [desk.books.uid() for _ in range(300)]
    assert (names[0], names[-1]) == ("0f" * 8 + "-1", "0f" * 8 + "-12c")
    assert len(set(names)) == 300


async def test_a_stream_leaves_three_records(desk):
    """Each with the times that it knows, and with the figures that the upstream named."""
    call = desk.call()
    desk.books.leased(call, "session", 0.5)
    at = desk.clock.now()
    await desk.clock.advance(0.25)
    desk.books.began(call, desk.account)
    await desk.clock.advance(2.0)
    desk.books.attempt(call, desk.account, DONE, Heard(USAGE, "default", 10, 40))
    bill = desk.end(call, first_event_s=1.0, seconds=3.0)
    begun, tried, answered = desk.records
    assert begun == Began(
        call.uid, 1, at, "req-1", "k", "a", "chat", MODEL, "my-model", stream=True
    )
    assert tried == Attempted(
        call.uid, 1, at, "req-1", "k", "a", "chat", MODEL, "my-model", stream=True,
        outcome="succeeded", code=None, usage=USAGE, source=Source.UPSTREAM, cost_nusd=COST,
        prices=PriceTable().version, queue_s=0.5, first_event_s=0.25, seconds=2.25,
        delivered=True,
    )  # fmt: skip
    assert answered == Answered(
        call.uid, desk.clock.now(), "req-1", "k", "chat", MODEL, "my-model", stream=True,
        status=200, code="ok", attempts=1, queue_s=0.5, first_event_s=1.0, seconds=3.0,
        added_s=0.75,
    )  # fmt: skip
    assert desk.late == [answered]
    assert bill == Bill(110, COST)
    assert desk.books.costs == {MODEL: COST}
    assert len(desk.books) == 0


def test_a_call_that_does_not_stream_has_nothing_to_say_in_between(desk):
    """Its content goes out after the attempt, if that was a good one."""
    assert desk.over(desk.call(stream=False), heard=Heard(USAGE)).delivered
    cut = desk.over(desk.call(stream=False), Broken("cut", sent=True), Heard(deltas=3))
    assert (cut.delivered, cut.stream, cut.source) == (False, False, Source.ESTIMATED)
    assert not any(isinstance(record, Began) for record in desk.records)


async def test_a_call_pays_for_all_its_attempts(desk):
    """And what the upstream took of the wait for content is theirs, whether they failed or not."""
    call = desk.call()
    desk.books.leased(call, "balanced", 0.25)
    await desk.clock.advance(1.0)
    desk.books.attempt(call, desk.account, Overloaded("busy"), None)
    desk.books.leased(call, "balanced", 0.5)
    await desk.clock.advance(2.0)
    desk.books.began(call, desk.account)
    await desk.clock.advance(4.0)
    desk.books.attempt(call, desk.account, Broken("cut", sent=True), Heard(text_bytes=40))
    bill = desk.end(call, first_event_s=4.0, seconds=9.0, code="stream_incomplete")
    assert [r.number for r in desk.records if isinstance(r, Attempted)] == [1, 2]
    assert bill == Bill(110, 100 * 2_500 + 10 * 15_000)
    answered = desk.records[-1]
    assert (answered.attempts, answered.queue_s, answered.added_s) == (2, 0.75, 1.0)
    assert desk.late == []


def test_a_call_without_an_account_costs_nothing(desk):
    """It has stood in line, and is written down all the same."""
    call = desk.call()
    desk.books.refused(call, "pool_busy", 30.0)
    assert desk.end(call, status=503, code="pool_busy") == Bill(0, 0)
    [answered] = desk.records
    assert (answered.attempts, answered.queue_s, answered.code) == (0, 30.0, "pool_busy")


def test_a_request_that_came_to_no_call_has_no_model(desk):
    """It was refused for its form, or by its key's limits."""
    call = desk.call()
    assert desk.end(call, call=None, status=429, code="rate_limit_exceeded") == Bill(0, 0)
    [answered] = desk.records
    assert (answered.model, answered.asked_model, answered.stream) == (None, None, False)
    assert (answered.status, answered.caller_id) == (429, "k")


def test_without_an_attempt_the_answer_is_all_there_is(desk):
    """So it does not wait, however well it went."""
    desk.end(desk.call(), call=None)
    assert (len(desk.records), desk.late) == (1, [])


HEARD = Heard(deltas=7, text_bytes=80)


@pytest.mark.parametrize(
    ("outcome", "heard", "content", "usage", "source"),
    [
        (Succeeded(0.4), HEARD, True, Usage(100, output=20), Source.ESTIMATED),
        (Succeeded(0.4), Heard(deltas=7), True, Usage(100, output=7), Source.ESTIMATED),
        (Broken("cut", sent=True), HEARD, True, Usage(100, output=20), Source.ESTIMATED),
        (Abandoned(), Heard(deltas=1, text_bytes=1), True, Usage(100, output=1), Source.ESTIMATED),
        # The upstream has taken the call and was left before it said anything.
        (Abandoned(), Heard(), False, Usage(100), Source.ESTIMATED),
        (Broken("silent", sent=True, silent=True), Heard(), False, Usage(100), Source.ESTIMATED),
        # It has said that it failed: after content that is something, before it nothing.
        (Overloaded("busy"), HEARD, True, Usage(100, output=20), Source.ESTIMATED),
        (RateLimited(None), Heard(), False, NOTHING, Source.NONE),
        (RateLimited(None), Heard(usage=USAGE), False, USAGE, Source.UPSTREAM),
        # No reply had begun.
        (Broken("reset", sent=False), None, False, NOTHING, Source.NONE),
        (Broken("reset", sent=True), None, False, NOTHING, Source.NONE),
        (Abandoned(), None, False, NOTHING, Source.NONE),
        (Refused(400, "x", None, "no"), None, False, NOTHING, Source.NONE),
    ],
)
def test_where_the_upstream_says_nothing_it_is_estimated(
    desk, outcome, heard, content, usage, source
):
    """From what was asked and what came; nothing where nothing had begun."""
    tried = desk.over(desk.call(), outcome, heard, content=content)
    assert (tried.usage, tried.source) == (usage, source)
    assert tried.cost_nusd == PriceTable().cost(usage, MODEL)
    assert tried.delivered == content


@pytest.mark.parametrize(
    ("asked", "charged", "times"),
    [
        (None, None, 1), ("priority", None, 2), ("priority", "priority", 2),
        ("priority", "default", 1), (None, "priority", 2), ("flex", "auto", 1),
    ],
)  # fmt: skip
def test_the_tier_that_was_served_is_charged(desk, asked, charged, times):
    """The one that was asked for, where the upstream does not name it."""
    tried = desk.over(desk.call(tier=asked), heard=Heard(USAGE, charged))
    assert tried.cost_nusd == times * COST


def test_a_model_without_a_price_is_marked(desk):
    """And one whose price the operator has set costs that from the next attempt on."""
    tried = desk.over(desk.call(model="gpt-9"), heard=Heard(USAGE))
    assert (tried.cost_nusd, tried.prices, tried.usage) == (0, UNPRICED, USAGE)
    prices = PriceTable({"gpt-9": Price(input_usd_per_mtok=1, output_usd_per_mtok=0)})
    desk.books.prices = prices
    tried = desk.over(desk.call(model="gpt-9"), heard=Heard(USAGE))
    assert (tried.cost_nusd, tried.prices) == (100_000, prices.version)


@pytest.mark.parametrize(
    "usage",
    [Usage(input=2**62), Usage(output=2**62), Usage(input=1, cached=2**62),
     Usage(input=1, cache_write=2**62), Usage(output=1, reasoning=2**62)],
)  # fmt: skip
def test_an_absurd_count_is_cut(desk, usage):
    """It could not be stored, and would spoil every sum."""
    tried = desk.over(desk.call(), heard=Heard(usage))
    told = structs.astuple(tried.usage)
    assert max(told) == TOKENS_MAX
    assert all(0 <= cut <= said for cut, said in zip(told, structs.astuple(usage), strict=True))


OUTCOMES = [
    (Succeeded(0.1), "succeeded", None),
    (RateLimited(None), "rate_limited", None),
    (Unauthorized(dead=True, reason="r"), "unauthorized", "dead"),
    (Unauthorized(dead=False, reason="r"), "unauthorized", None),
    (Overloaded("r"), "overloaded", None),
    (Broken("r", sent=True), "broken", None),
    (Broken("r", sent=True, silent=True), "broken", "silent"),
    (Unreachable("r"), "unreachable", None),
    (Unsuited("m", "r"), "unsuited", "model_not_found"),
    (Misread(400, b""), "misread", "invalid_encrypted_content"),
    (Refused(400, "invalid_value", None, "no"), "refused", "invalid_value"),
    (Refused(400, "rate.limit\x00\ud800" + "x" * 99, None, "no"), "refused",
     "rate.limit??" + "x" * 52),
    (Refused(400, None, None, "no"), "refused", None),
    (Abandoned(), "abandoned", None),
]  # fmt: skip


@pytest.mark.parametrize(("outcome", "name", "code"), OUTCOMES)
def test_an_outcome_has_a_word_and_a_code(desk, outcome, name, code):
    """The upstream's own code is cut to what a column takes."""
    tried = desk.over(desk.call(), outcome, content=False)
    assert (tried.outcome, tried.code) == (name, code)


@pytest.mark.parametrize(("given", "kept"), [
    ("gpt-5.5 (mine)", "gpt-5.5 (mine)"), ("m" * 100_000, "m" * 128), ("a\0b\ud800\n", "a?b??"),
])  # fmt: skip
def test_a_models_name_is_cut_before_it_is_written_down(desk, given, kept):
    """However long or odd a name is, its record is one that the journal and the store take."""
    call = desk.call(model=given, asked_model=given)
    tried = desk.over(call)
    desk.end(call)
    answered = desk.records[-1]
    began = desk.records[0]
    for record in (began, tried, answered):
        assert (record.model, record.asked_model) == (kept, kept)
        assert decode(HEAD + encode(record), offset=len(HEAD), records_max=1).records == [record]


def test_a_call_reserves_what_it_was_allowed(desk):
    """At the price of the tier that it asks for."""
    assert desk.books.reserve(desk.call(), 50) == Bill(150, 100 * 2_500 + 50 * 15_000)
    assert desk.books.reserve(desk.call(), None).tokens == 4_196
    dear = desk.books.reserve(desk.call(tier="priority"), 50)
    assert dear.cost_nusd == 2 * (100 * 2_500 + 50 * 15_000)


def test_nothing_is_begun_that_cannot_be_written_down(desk):
    """Whoever admits calls asks first."""
    assert desk.books.healthy
    desk.journal.healthy = False
    assert not desk.books.healthy


async def test_the_age_of_the_journal_is_that_of_its_oldest_record(desk):
    """To the second, and 0 once everything has been moved on."""
    assert desk.books.age_s(0) == 0.0
    for _ in range(4):
        desk.end(desk.call(), seconds=0.0)
        await desk.clock.advance(1.5)
    assert [desk.books.age_s(moved) for moved in (0, 1, 3, 4)] == [6.0, 4.5, 1.5, 0.0]
    desk.end(desk.call(), seconds=0.0)
    desk.end(desk.call(), seconds=0.0)
    await desk.clock.advance(1.0)
    assert (desk.books.age_s(4), desk.books.age_s(6)) == (1.0, 0.0)


def test_the_marks_of_a_journal_that_stands_still_are_few(desk):
    """The oldest one stays for as long as nothing moves."""
    for _ in range(MARKS_MAX + 10):
        desk.end(desk.call(), seconds=0.0)
        desk.clock._elapsed += 1.0
    assert desk.books.age_s(0) == MARKS_MAX + 10
    assert len(desk.books._marks) <= MARKS_MAX
