"""The tokenizer of OpenAI's present models, `o200k_base`, which the library carries inside.

The first count of a worker loads it, which takes a tenth of a second and some 35 MB; a worker that
counts nothing never does, not even the library. More text than a moment's worth is counted in a
thread, where the library lets go of the interpreter, a part at a time, so that the loop goes on. It
is one thread, so that nothing is loaded twice and no more than one part is held.
"""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from splintr import AnyTokenizer

ENCODING: Final = "o200k_base"
AT_ONCE_CHARS: Final = 16_384
"""So much is counted on the loop, in about a millisecond."""
PART_CHARS: Final = 1_048_576
_ID_BYTES: Final = 4
_SPECIAL: Final = "<|"


class Tokenizer:
    """Counts the tokens of texts; one a worker."""

    def __init__(self) -> None:
        self._vocabulary: AnyTokenizer | None = None
        self._thread = ThreadPoolExecutor(1, "tokenizer")

    async def count(self, texts: Sequence[str]) -> int:
        """Return how many tokens the texts have, each by itself."""
        if self._vocabulary is not None and sum(map(len, texts)) <= AT_ONCE_CHARS:
            return _count(self._vocabulary, list(_pieces(texts)))
        loop = asyncio.get_running_loop()
        total = 0
        for part in _parts(texts):
            total += await loop.run_in_executor(self._thread, self._load_and_count, part)
        return total

    def _load_and_count(self, texts: list[str]) -> int:
        if self._vocabulary is None:
            from splintr import Tokenizer as Encodings  # noqa: PLC0415 - 5 MB that few workers need

            self._vocabulary = Encodings.from_pretrained(ENCODING)
        return _count(self._vocabulary, texts)


def _count(vocabulary: "AnyTokenizer", texts: list[str]) -> int:
    try:
        ids, _ = vocabulary.encode_batch_flat(texts)
    except UnicodeEncodeError:
        sound = [text.encode("utf-8", "replace").decode() for text in texts]
        ids, _ = vocabulary.encode_batch_flat(sound)
    return len(ids) // _ID_BYTES


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield the pieces of the texts in parts of about the same size."""
    part: list[str] = []
    size = 0
    for piece in _pieces(texts):
        part.append(piece)
        size += len(piece)
        if size >= PART_CHARS:
            yield part
            part, size = [], 0
    if part:
        yield part


def _pieces(texts: Sequence[str]) -> Iterator[str]:
    """Yield the texts, long ones in pieces and none with a special token spelled out in it.

    A text that says `<|endoftext|>` is a text like any other, but the library would take it for the
    token, so it is parted between the two characters, at the cost of one token more.
    """
    for text in texts:
        for start in range(0, len(text), PART_CHARS):
            piece = text if len(text) <= PART_CHARS else text[start : start + PART_CHARS]
            first, *others = piece.split(_SPECIAL)
            yield first + _SPECIAL[0] if others else first
            for index, other in enumerate(others):
                last = index == len(others) - 1
                yield _SPECIAL[1] + other + ("" if last else _SPECIAL[0])
