"""Tokens of one attempt, as the upstream counted them."""

from msgspec import Struct


class Usage(Struct, frozen=True):
    """`cached` is part of `input`, `reasoning` is part of `output`; all are token counts."""

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """Return what is billed: all that went in and all that came out."""
        return self.input + self.output
