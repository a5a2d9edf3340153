"""What calls cost: the built-in prices, what the operator has set over them, and exact sums. Pure.

Money is whole nano-dollars, and a dollar for a million tokens is a thousand of them for one token,
so every price is a whole number and so is every cost. The built-in prices are OpenAI's list prices
of November 2026; what a subscription's calls would have cost there. A model that has no list price
counts as the one that it stands nearest to. Where no price is known at all, a cost is 0 and the
version with it is 0 too. Every other version is a digest of the whole table, so that all workers
give one table the same number without asking each other.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final
from zlib import crc32

import msgspec
from msgspec import Struct

from app.domain.price import Price
from app.domain.usage import Usage

UNPRICED: Final = 0
"""The version of a cost that was made without any price."""
COST_MAX_NUSD: Final = 10**15
"""A million dollars; no call costs that, but a count from outside may be absurd."""
PRIORITY: Final = "priority"
LONG_CONTEXT: Final = 272_000

_SNAPSHOT: Final = re.compile(r"-20\d\d-\d\d-\d\d$")
_MASK: Final = 2**31 - 1
_NUSD: Final = 1_000
"""Nano-dollars for a token, where a million tokens cost a dollar."""


class Rate(Struct, frozen=True):
    """A model's price: nano-dollars for a token, and what changes them, in hundredths."""

    input: int
    cached: int
    cache_write: int
    output: int
    priority: int = 200
    long_from: int = 0
    """Input tokens above which the whole call costs more; 0 if it never does."""
    long_input: int = 200
    long_output: int = 150

    def cost(self, usage: Usage, tier: str | None) -> int:
        """Return what an attempt cost, in nano-dollars, rounded down."""
        cached = min(usage.cached, usage.input)
        written = min(usage.cache_write, usage.input - cached)
        fresh = usage.input - cached - written
        read = fresh * self.input + cached * self.cached + written * self.cache_write
        made = usage.output * self.output
        if self.long_from and usage.input > self.long_from:
            read, made = read * self.long_input // 100, made * self.long_output // 100
        total = read + made
        if tier == PRIORITY:
            total = total * self.priority // 100
        return min(total, COST_MAX_NUSD)


class PriceTable:
    """The prices of one state of the settings; make a new one when they change.

    The operator's price of a model comes first, then that with a `*` (of several that fit, the
    longest), then the built-in one; a dated snapshot costs what its model does.
    """

    def __init__(self, chosen: Mapping[str, Price] | None = None) -> None:
        rates = {model: _rate(price) for model, price in (chosen or {}).items()}
        self._exact = {model: rate for model, rate in rates.items() if "*" not in model}
        patterns = [(model, rate) for model, rate in rates.items() if "*" in model]
        self._patterns = sorted(patterns, key=lambda pair: (-len(pair[0]), pair[0]))
        self._found: dict[str, Rate | None] = {}
        self.document = msgspec.json.encode(
            {"built_in": BUILT_IN, "chosen": rates}, order="deterministic"
        )
        """The whole table, for whoever wants to know later what a version was."""
        self.version = (crc32(self.document) & _MASK) or 1

    def rate(self, model: str) -> Rate | None:
        """Return a model's price, None if nobody knows it.

        Every name is remembered: ask for names of the catalogue, not for those of callers.
        """
        try:
            return self._found[model]
        except KeyError:
            found = self._found[model] = self._look(model)
            return found

    def cost(self, usage: Usage, model: str, tier: str | None = None) -> int:
        """Return what an attempt cost, in nano-dollars; 0 if the model has no price."""
        rate = self.rate(model)
        return 0 if rate is None else rate.cost(usage, tier)

    def _look(self, model: str) -> Rate | None:
        undated = _SNAPSHOT.sub("", model)
        exact = self._exact.get(model) or self._exact.get(undated)
        if exact is not None:
            return exact
        for pattern, rate in self._patterns:
            if fnmatchcase(model, pattern) or fnmatchcase(undated, pattern):
                return rate
        return BUILT_IN.get(undated)


def _rate(price: Price) -> Rate:
    cached, written = price.cached_input_usd_per_mtok, price.cache_write_usd_per_mtok
    fresh = price.input_usd_per_mtok
    return Rate(
        input=round(fresh * _NUSD),
        cached=round((fresh if cached is None else cached) * _NUSD),
        cache_write=round((fresh if written is None else written) * _NUSD),
        output=round(price.output_usd_per_mtok * _NUSD),
        priority=round(price.priority_times * 100),
        long_from=price.long_context_tokens or 0,
        long_input=round(price.long_input_times * 100),
        long_output=round(price.long_output_times * 100),
    )


def _gpt_56(input: int, cached: int, output: int) -> Rate:
    """Return a price of the family that charges for what is written to the cache."""
    return Rate(input, cached, input * 5 // 4, output, long_from=LONG_CONTEXT)


def _plain(input: int, cached: int, output: int, *, priority: int = 200) -> Rate:
    return Rate(input, cached, input, output, priority)


_SOL: Final = _gpt_56(4_000, 400, 20_000)
_LUNA: Final = _gpt_56(200, 20, 1_200)
_CODEX_53: Final = _plain(1_750, 175, 14_000)
_GPT_5: Final = _plain(1_250, 125, 10_000)
_GPT_5_MINI: Final = _plain(250, 25, 2_000, priority=180)

BUILT_IN: Final[Mapping[str, Rate]] = {
    "gpt-5.6": _SOL,
    "gpt-5.6-sol": _SOL,
    "gpt-5.6-terra": _gpt_56(2_000, 200, 12_000),
    "gpt-5.6-luna": _LUNA,
    # A hidden model that only Codex has; of the family that it is from, the cheapest.
    "codex-auto-review": _LUNA,
    "gpt-5.5": Rate(5_000, 500, 5_000, 30_000, 250, LONG_CONTEXT),
    "gpt-5.5-pro": Rate(30_000, 30_000, 30_000, 180_000, 200, LONG_CONTEXT),
    "gpt-5.4": Rate(2_500, 250, 2_500, 15_000, 200, LONG_CONTEXT),
    "gpt-5.4-pro": Rate(30_000, 30_000, 30_000, 180_000, 200, LONG_CONTEXT),
    "gpt-5.4-mini": _plain(750, 75, 4_500),
    "gpt-5.4-nano": _plain(200, 20, 1_250),
    "gpt-5.3-chat-latest": _plain(1_750, 175, 14_000),
    "gpt-5.3-codex": _CODEX_53,
    # Never sold by the token; counted as the model that it is a fast form of.
    "gpt-5.3-codex-spark": _CODEX_53,
    "gpt-5.2": _plain(1_750, 175, 14_000),
    "gpt-5.2-codex": _plain(1_750, 175, 14_000),
    "gpt-5.2-pro": _plain(21_000, 21_000, 168_000),
    "gpt-5.1": _GPT_5,
    "gpt-5.1-codex": _GPT_5,
    "gpt-5.1-codex-max": _GPT_5,
    "gpt-5.1-codex-mini": _GPT_5_MINI,
    "gpt-5": _GPT_5,
    "gpt-5-codex": _GPT_5,
    "gpt-5-mini": _GPT_5_MINI,
    "gpt-5-nano": _plain(50, 5, 400),
    "gpt-5-pro": _plain(15_000, 15_000, 120_000),
    "gpt-4.1": _plain(2_000, 500, 8_000, priority=175),
    "gpt-4.1-mini": _plain(400, 100, 1_600, priority=175),
    "gpt-4.1-nano": _plain(100, 25, 400),
    "gpt-4o": _plain(2_500, 1_250, 10_000, priority=170),
    "gpt-4o-mini": _plain(150, 75, 600, priority=167),
    "o1": _plain(15_000, 7_500, 60_000),
    "o3": _plain(2_000, 500, 8_000, priority=175),
    "o3-mini": _plain(1_100, 550, 4_400),
    "o4-mini": _plain(1_100, 275, 4_400, priority=182),
    "codex-mini-latest": _plain(1_500, 375, 6_000),
    "text-embedding-3-small": _plain(20, 20, 0),
    "text-embedding-3-large": _plain(130, 130, 0),
}
