"""Tokens of one attempt as the upstream counted them, and what there is where it did not."""

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


class Heard(Struct):
    """What a reply has shown of its size so far.

    `usage` is what the upstream counted and `tier` the service tier that it charged, None while it
    has not said so. For an estimate without them there is how many events of content have come,
    and about how many bytes of text were in them.
    """

    usage: Usage | None = None
    tier: str | None = None
    deltas: int = 0
    text_bytes: int = 0
