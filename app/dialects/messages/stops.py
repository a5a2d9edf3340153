"""Ends an answer where one of the caller's stop sequences begins.

The upstream knows no stop sequences, so it goes on; what it says after one is never passed on. As
a sequence may come in pieces, the end of the text that could be the beginning of one is held back
until more has come.
"""

from collections.abc import Sequence

import msgspec


class Stops:
    """One reply's text against the sequences. Feed it every piece of text, in order."""

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences = sequences
        self._held = ""
        self.hit: str | None = None
        """The sequence that has ended the answer."""

    def feed(self, raw: bytes) -> bytes:
        """Return what may be said of a piece, both JSON strings; empty for nothing."""
        if self.hit is not None:
            return b""
        try:
            piece = msgspec.json.decode(raw, type=str)
        except msgspec.DecodeError:
            return raw
        text = self._held + piece
        found = [(at, one) for one in self._sequences if (at := text.find(one)) >= 0]
        if found:
            at, self.hit = min(found, key=lambda pair: pair[0])
            self._held, text = "", text[:at]
        else:
            kept = self._beginning(text)
            self._held, text = text[len(text) - kept :], text[: len(text) - kept]
        return _encoded(text)

    def rest(self) -> bytes:
        """Return what was held back and is said after all: this text is over."""
        held, self._held = self._held, ""
        return b"" if self.hit is not None else _encoded(held)

    def _beginning(self, text: str) -> int:
        """Return how many characters at the end of `text` may begin a sequence."""
        longest = 0
        for sequence in self._sequences:
            for size in range(min(len(sequence) - 1, len(text)), longest, -1):
                if text.endswith(sequence[:size]):
                    longest = size
                    break
        return longest


def _encoded(text: str) -> bytes:
    return msgspec.json.encode(text) if text else b""
