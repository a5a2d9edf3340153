"""What a model costs, as an operator writes it: dollars for a million tokens."""

from typing import Annotated

from msgspec import Meta, Struct

Dollars = Annotated[float, Meta(ge=0, le=100_000)]
Times = Annotated[float, Meta(ge=0, le=100)]


class Price(Struct, frozen=True, kw_only=True):
    """A model's price; figures count to a thousandth of a dollar.

    Cached input and cache writes cost what other input does where nothing is said of them. Of a
    call that reads more than `long_context_tokens`, all tokens cost as many times as much.
    """

    input_usd_per_mtok: Dollars
    output_usd_per_mtok: Dollars
    cached_input_usd_per_mtok: Dollars | None = None
    cache_write_usd_per_mtok: Dollars | None = None
    priority_times: Times = 2.0
    """What the priority tier costs, as a multiple."""
    long_context_tokens: Annotated[int, Meta(ge=1, le=100_000_000)] | None = None
    long_input_times: Times = 2.0
    long_output_times: Times = 1.5
