"""Which knobs govern a request: layers, rules, headers and prompts."""

import pytest

from loadtests.simulator.config import Rule
from loadtests.simulator.knobs import (
    BadKnobs,
    KnobBook,
    Scope,
    build,
    directive_of,
    from_headers,
    without_directive,
)


def scope(**fields) -> Scope:
    """Return a scope of the first account."""
    return Scope(**{"account": "acct-1", "model": "gpt-5.5", "path": "/x/responses", **fields})


@pytest.fixture
def book() -> KnobBook:
    """A book whose base says one thing."""
    return KnobBook({"ttft_ms": 1}, seed=1)


def faults(book: KnobBook, count: int, **fields) -> list:
    """Return the faults of the next requests."""
    return [book.resolve(scope(**fields)).fault for _ in range(count)]


def test_later_layers_win(book):
    """Base, model, account, rule, header, prompt."""
    book.set_model("gpt-5.5", {"ttft_ms": 2})
    assert book.resolve(scope()).ttft_ms == 2
    book.set_account("acct-1", {"ttft_ms": 3})
    assert book.resolve(scope()).ttft_ms == 3
    book.set_rules([Rule(set={"ttft_ms": 4})])
    assert book.resolve(scope()).ttft_ms == 4
    assert book.resolve(scope(), {"ttft_ms": 5}, {"ttft_ms": 6}).ttft_ms == 6
    assert book.resolve(scope(account="acct-2", model="other")).ttft_ms == 4


def test_a_null_restores_the_default(book):
    """And a reset restores the start."""
    book.set_base({"ttft_ms": None})
    assert book.resolve(scope()).ttft_ms == 600
    book.reset()
    assert book.resolve(scope()).ttft_ms == 1


def test_plain_requests_share_one_value(book):
    """The cache gives the same object until something changes."""
    first = book.resolve(scope())
    assert book.resolve(scope()) is first
    book.set_base({"ttft_ms": 9})
    assert book.resolve(scope()).ttft_ms == 9


@pytest.mark.parametrize("overrides", [{"tfft_ms": 1}, {"ttft_ms": -1}, {"chunking": "odd"}])
def test_wrong_knobs_are_refused(book, overrides):
    """With the name or the value in the message; nothing changes."""
    with pytest.raises(BadKnobs):
        book.set_base(overrides)
    with pytest.raises(BadKnobs):
        build(overrides)
    assert book.resolve(scope()).ttft_ms == 1


RULES = {
    "first": (Rule(set={"fault": "500"}, first=2), ["500", "500", None, None]),
    "skip": (Rule(set={"fault": "500"}, skip=1, first=1), [None, "500", None]),
    "every": (Rule(set={"fault": "500"}, every=2), [None, "500", None, "500"]),
    "never": (Rule(set={"fault": "500"}, probability=0), [None] * 3),
    "always": (Rule(set={"fault": "500"}, probability=1), ["500"] * 3),
    "sequence": (Rule(sequence=[{"fault": "500"}, {}, {"fault": "404"}]),
                 ["500", None, "404", None]),
    "repeat": (Rule(sequence=[{"fault": "500"}, {}], repeat=True), ["500", None, "500", None]),
    "account": (Rule(set={"fault": "500"}, account="acct-2"), [None]),
    "model": (Rule(set={"fault": "500"}, model="gpt-5.5"), ["500"]),
    "path": (Rule(set={"fault": "500"}, path="/responses"), ["500"]),
    "late": (Rule(set={"fault": "500"}, after_s=60), [None]),
    "over": (Rule(set={"fault": "500"}, until_s=0), [None]),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_rules_choose_their_requests(book, name):
    """One rule at a time, over a few requests."""
    rule, expected = RULES[name]
    book.set_rules([rule])
    assert faults(book, len(expected)) == expected


def test_rules_look_at_the_load(book):
    """In flight above c, requests per minute above r."""
    book.set_rules([Rule(set={"fault": "503_overloaded"}, in_flight_over=2)])
    assert faults(book, 1, in_flight=2) == [None]
    assert faults(book, 1, in_flight=3) == ["503_overloaded"]
    book.set_rules([Rule(set={"fault": "429_rate_limit"}, rpm_over=10)])
    assert faults(book, 1, rpm=10) == [None]
    assert faults(book, 1, rpm=11) == ["429_rate_limit"]


def test_chance_is_seeded():
    """The same seed draws the same requests."""
    drawn = []
    for _ in range(2):
        book = KnobBook({}, seed=7)
        book.set_rules([Rule(set={"fault": "500"}, probability=0.5)])
        drawn.append(faults(book, 50))
    assert drawn[0] == drawn[1]
    assert 10 < drawn[0].count("500") < 40


def test_directives_are_found_and_removed():
    """Nested brackets inside the JSON do not end it early."""
    text = 'before [[sim {"items":[{"type":"message","text":"]]"}],"burst":true}]] after'
    found = directive_of(text)
    assert found["burst"] is True
    assert found["items"] == [{"type": "message", "text": "]]"}]
    assert without_directive(text) == "before  after"
    assert directive_of("[[sim nonsense]]") == {}
    assert without_directive("plain") == "plain"


def test_headers_name_knobs():
    """One JSON header, or a header per knob."""
    headers = {"x-sim-knobs": '{"burst":true}', "x-sim-ttft-ms": "5", "x-sim-fault": "500_x"}
    assert from_headers(headers) == {"burst": True, "ttft_ms": 5, "fault": "500_x"}


def test_attempts_are_counted_per_prompt(book):
    """Two prompts do not share a counter."""
    one = '[[sim {"attempts":[{"fault":"500"}]}]] one'
    other = '[[sim {"attempts":[{"fault":"500"}]}]] other'
    assert book.from_prompt(one, None) == {"fault": "500"}
    assert book.from_prompt(other, None) == {"fault": "500"}
    assert book.from_prompt(one, None) == {}
