"""Tests of app.usage.prices."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.manifest import CARDS
from app.domain.price import Price
from app.domain.usage import Usage
from app.usage.prices import BUILT_IN, COST_MAX_NUSD, LONG_CONTEXT, UNPRICED, PriceTable

TABLE = PriceTable()
COUNTS = st.integers(0, 2_000_000)


@pytest.mark.parametrize(
    ("model", "usage", "tier", "nusd"),
    [
        ("gpt-5.5", Usage(input=1, output=1), None, 5_000 + 30_000),
        ("gpt-5.5", Usage(input=200_000), "default", 10**9),
        ("gpt-5.4", Usage(input=100, cached=60, output=10, reasoning=9), None,
         40 * 2_500 + 60 * 250 + 10 * 15_000),
        ("gpt-5.6-sol", Usage(input=100, cached=60, cache_write=30, output=10), None,
         10 * 4_000 + 60 * 400 + 30 * 5_000 + 10 * 20_000),
        ("gpt-5.6-luna", Usage(input=3, cached=1, cache_write=1, output=1), None,
         200 + 20 + 250 + 1_200),
        # The whole call costs more once it reads too much, not just what is over it.
        ("gpt-5.4", Usage(input=LONG_CONTEXT, output=2), None, LONG_CONTEXT * 2_500 + 2 * 15_000),
        ("gpt-5.4", Usage(input=LONG_CONTEXT + 1, output=2), None,
         (LONG_CONTEXT + 1) * 5_000 + 2 * 22_500),
        ("gpt-5.4-mini", Usage(input=LONG_CONTEXT + 1), None, (LONG_CONTEXT + 1) * 750),
        ("gpt-5.5", Usage(input=10, output=2), "priority", 10 * 12_500 + 2 * 75_000),
        ("gpt-5.4", Usage(input=10, cached=4, output=2), "priority", 6 * 5_000 + 4 * 500 + 60_000),
        ("gpt-4o-mini", Usage(input=1), "priority", 250),
        ("text-embedding-3-small", Usage(input=1_000), None, 20_000),
        ("gpt-5.4-2026-03-05", Usage(output=1), None, 15_000),
        ("gpt-9", Usage(input=10**6, output=10**6), None, 0),
        ("gpt-5.5-2026", Usage(input=1), None, 0),
        ("gpt-5.5", Usage(), "priority", 0),
        # What can't be is counted as if it could.
        ("gpt-5.4", Usage(input=10, cached=30, cache_write=30), None, 10 * 250),
        ("gpt-5.6-sol", Usage(input=10, cached=4, cache_write=30), None, 4 * 400 + 6 * 5_000),
        ("gpt-5.5", Usage(input=10**15, output=10**15), None, COST_MAX_NUSD),
    ],
)  # fmt: skip
def test_a_cost_is_exact(model, usage, tier, nusd):
    """Whole nano-dollars, whatever is counted."""
    assert TABLE.cost(usage, model, tier) == nusd


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.slug)
def test_every_model_that_is_built_in_has_a_price(card):
    """Cached input costs less, output more, and what is long has a dearer tier."""
    rate = TABLE.rate(card.slug)
    assert 0 < rate.cached < rate.input <= rate.cache_write < rate.output
    assert rate.long_from or card.context_window_max <= LONG_CONTEXT


@pytest.mark.parametrize("model", BUILT_IN)
def test_no_built_in_price_is_a_slip(model):
    """Every figure lies between those of the cheapest model and of the dearest."""
    rate = BUILT_IN[model]
    assert 5 <= rate.cached <= rate.input <= 30_000
    assert rate.input <= rate.cache_write <= 2 * rate.input
    assert 0 <= rate.output <= 180_000
    assert 150 <= rate.priority <= 250


def test_a_model_without_a_price_is_marked():
    """Its cost is 0 because nobody knows it, not because it was free."""
    assert TABLE.rate("gpt-9") is None
    free = PriceTable({"gpt-9": Price(input_usd_per_mtok=0, output_usd_per_mtok=0)})
    assert free.rate("gpt-9") is not None
    assert UNPRICED not in (free.version, TABLE.version)


CHOSEN = {
    "gpt-5.5": Price(input_usd_per_mtok=1.25, output_usd_per_mtok=2, cached_input_usd_per_mtok=0.1),
    "gpt-*": Price(input_usd_per_mtok=7, output_usd_per_mtok=7),
    "gpt-5.4*": Price(input_usd_per_mtok=8, output_usd_per_mtok=8),
    "gpt-*-mini": Price(input_usd_per_mtok=9, output_usd_per_mtok=9),
    "mine": Price(
        input_usd_per_mtok=0.001, output_usd_per_mtok=0.0014, cache_write_usd_per_mtok=3,
        priority_times=1.5, long_context_tokens=10, long_input_times=3, long_output_times=1,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("model", "usage", "tier", "nusd"),
    [
        ("gpt-5.5", Usage(input=3, cached=1, cache_write=1, output=1), None, 2 * 1_250 + 2_100),
        ("gpt-5.5", Usage(input=1, output=1), "priority", 2 * 3_250),
        ("gpt-5.5-2026-04-01", Usage(input=1), None, 1_250),
        ("gpt-5.4-nano", Usage(input=1), None, 8_000),
        ("mine-2026-04-01", Usage(input=1), None, 1),
        ("gpt-5-mini-2026-01-01", Usage(input=1), None, 9_000),
        ("gpt-5.2", Usage(input=1), None, 7_000),
        ("gpt-unheard-of", Usage(cached=1, input=1), None, 7_000),
        ("o3", Usage(input=1), None, 2_000),
        ("mine", Usage(input=10, cache_write=2, output=5), None, 8 * 1 + 2 * 3_000 + 5),
        ("mine", Usage(input=11, output=5), "priority", (33 + 5) * 3 // 2),
    ],
)  # fmt: skip
def test_the_operators_price_comes_first(model, usage, tier, nusd):
    """Exact before a pattern, a longer pattern before a shorter one, all before the built-in."""
    assert PriceTable(CHOSEN).cost(usage, model, tier) == nusd


def test_a_version_is_the_same_for_the_same_prices():
    """Whoever makes the table, and in whatever order; any change makes another."""
    chosen, turned = PriceTable(CHOSEN), PriceTable(dict(reversed(CHOSEN.items())))
    assert chosen.version == turned.version
    assert 0 < chosen.version < 2**31
    changed = CHOSEN | {"o3": Price(input_usd_per_mtok=1, output_usd_per_mtok=1)}
    assert len({PriceTable(changed).version, chosen.version, TABLE.version}) == 3
    document = msgspec.json.decode(chosen.document)
    assert document["chosen"]["mine"]["long_from"] == 10
    assert document["built_in"].keys() == BUILT_IN.keys()


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_more_tokens_never_cost_less(input, cached, written, output):
    """Neither of input nor of output, and the cache saves at most what it does."""
    usage = Usage(input, cached, written, output)
    cost = TABLE.cost(usage, "gpt-5.4")
    assert cost <= TABLE.cost(Usage(input, 0, 0, output), "gpt-5.4")
    assert cost <= TABLE.cost(Usage(input + 1, cached, written, output + 1), "gpt-5.4")
