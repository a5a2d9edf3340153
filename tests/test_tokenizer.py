"""Tests of app.tokenizer."""

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.tokenizer import AT_ONCE_CHARS, PART_CHARS, Tokenizer

CORPUS = json.loads((Path(__file__).parent / "golden" / "tokens" / "corpus.json").read_text())
TOKENIZER = Tokenizer()
"""One for all tests here: to load it takes a moment."""


@pytest.mark.parametrize("text", CORPUS, ids=lambda text: text["name"])
async def test_a_text_has_as_many_tokens_as_elsewhere(text) -> None:
    """The corpus was counted by an implementation that shares nothing with this one."""
    assert await TOKENIZER.count([text["text"]]) == text["tokens"]


async def test_many_first_counts_load_it_once(monkeypatch) -> None:
    """However many come while it loads."""
    import splintr  # noqa: PLC0415

    loads = []
    load = splintr.Tokenizer.from_pretrained

    class Counting:
        @staticmethod
        def from_pretrained(name: str):
            loads.append(name)
            return load(name)

    monkeypatch.setattr(splintr, "Tokenizer", Counting)
    tokenizer = Tokenizer()
    counts = await asyncio.gather(*(tokenizer.count(["hello world"]) for _ in range(9)))
    assert (counts, loads) == ([2] * 9, ["o200k_base"])


async def test_texts_are_counted_each_by_itself() -> None:
    """Nothing joins them."""
    texts = [text["text"] for text in CORPUS]
    assert await TOKENIZER.count(texts) == sum(text["tokens"] for text in CORPUS)
    assert await TOKENIZER.count([]) == 0


async def test_the_loop_goes_on_while_much_is_counted() -> None:
    """And the count is that of the whole, but for the seams."""
    words = "All of this is counted. " * (2 * PART_CHARS // 24)
    assert len(words) > AT_ONCE_CHARS
    counting = asyncio.ensure_future(TOKENIZER.count([words, *["short"] * 5_000]))
    turns = 0
    while not counting.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 2
    assert abs(await counting - (6 * (len(words) // 24) + 5_000)) < 10


@pytest.mark.parametrize("text", ["<|endoftext|>", "a <|im_start|> b <|im_end|>", "<|<|", "<|"])
async def test_a_special_token_that_is_spelled_out_is_a_text(text) -> None:
    """It costs what its letters cost, not one token."""
    count = await TOKENIZER.count([text])
    assert count >= text.count("<|") * (2 if len(text) < 5 else 5)


async def test_what_is_no_sound_text_is_counted_all_the_same() -> None:
    """Half a character is one."""
    assert await TOKENIZER.count(["a\ud800b"]) > 0


def test_no_network_is_asked() -> None:
    """A fresh interpreter counts, though every socket is refused."""
    program = (
        "import asyncio, socket\n"
        "def refuse(*_, **__): raise AssertionError('asked the network')\n"
        "loop = asyncio.new_event_loop()\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from app.tokenizer import Tokenizer\n"
        "print(loop.run_until_complete(Tokenizer().count(['hello world'])))\n"
    )
    assert socket.socket
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        env={"PATH": "", "HOME": "/nonexistent"}, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("2\n", "")
