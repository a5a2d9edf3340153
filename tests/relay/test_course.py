"""Events that are handed on by whoever has received them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import pytest

from app.relay.course import Course

NAME = ContextVar("NAME", default="nobody")


class Pieces:
    """A feed that the test fills."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces: list[bytes | None] = list(pieces)
        self.told: Callable[[], None] | None = None

    def listen(self, told: Callable[[], None] | None) -> None:
        """Keep whom to call."""
        self.told = told

    def take(self) -> bytes | None:
        """Return the next piece."""
        return self.pieces.pop(0) if self.pieces else b""

    def come(self, piece: bytes | None) -> None:
        """Receive a piece; None is the end."""
        self.pieces.append(piece)
        assert self.told is not None
        self.told()


class Words:
    """Makes a word of each piece but `half`; `end` is the last one."""

    ended = False

    def digested(self, piece: bytes) -> str | None:
        """Return it."""
        if piece == b"bad":
            raise ValueError(piece)
        self.ended = piece == b"end"
        return None if piece == b"half" else piece.decode()


class Scene:
    """A course, and what came of it."""

    def __init__(self, *pieces: bytes) -> None:
        self.feed = Pieces(*pieces)
        self.taken: list[str] = []
        self.pending: Awaitable[None] | None = None
        self.names: list[str] = []
        self.course = Course(Words(), self.feed, self.take)
        self.running: asyncio.Task[Awaitable[None] | None]

    def take(self, word: str) -> Awaitable[None] | None:
        """Keep a word, and in whose name it came."""
        if word == "odd":
            raise OSError(word)
        self.taken.append(word)
        self.names.append(NAME.get())
        return self.pending

    async def begin(self) -> None:
        """Run until there is nothing to do."""
        self.running = asyncio.create_task(self.course.run())
        await asyncio.sleep(0)


async def test_an_event_is_handed_on_before_anything_else_runs():
    """In the very call that tells of it, and half of one is kept."""
    scene = Scene()
    await scene.begin()
    scene.feed.come(b"one")
    assert scene.taken == ["one"]
    scene.feed.come(b"half")
    scene.feed.come(b"two")
    assert scene.taken == ["one", "two"]
    assert not scene.running.done()
    scene.running.cancel()


async def test_what_has_come_before_is_handed_on_first():
    """It is not waited for."""
    scene = Scene(b"early")
    await scene.begin()
    assert scene.taken == ["early"]
    scene.running.cancel()


@pytest.mark.parametrize(("piece", "taken"), [(None, []), (b"end", ["end"])])
async def test_the_end_ends_it(piece, taken):
    """The body's, and the last event's."""
    scene = Scene()
    await scene.begin()
    scene.feed.come(piece)
    assert await scene.running is None
    assert scene.taken == taken
    assert scene.feed.told is None


async def test_a_caller_for_whom_has_to_be_waited_ends_it():
    """What comes meanwhile stays where it is."""
    scene = Scene()
    scene.pending = asyncio.sleep(0)
    await scene.begin()
    scene.feed.come(b"one")
    scene.feed.come(b"two")
    assert await scene.running is scene.pending
    assert scene.taken == ["one"]
    assert scene.feed.pieces == [b"two"]
    await scene.pending


async def test_what_can_not_be_read_is_raised():
    """To be judged as what the upstream did."""
    scene = Scene()
    await scene.begin()
    scene.feed.come(b"bad")
    with pytest.raises(ValueError, match="bad"):
        await scene.running
    assert scene.course.error is None


async def test_what_can_not_be_said_is_kept_apart():
    """It is no fault of the upstream's."""
    scene = Scene()
    await scene.begin()
    scene.feed.come(b"odd")
    assert await scene.running is None
    assert isinstance(scene.course.error, OSError)


async def test_nobody_is_told_after_it_was_cancelled():
    """The call is over."""
    scene = Scene()
    await scene.begin()
    scene.running.cancel()
    await asyncio.gather(scene.running, return_exceptions=True)
    assert scene.feed.told is None


async def test_events_are_handed_on_in_the_name_of_the_call():
    """Whoever receives them was made by another."""
    NAME.set("mine")
    scene = Scene()
    await scene.begin()
    NAME.set("another's")
    scene.feed.come(b"one")
    assert scene.names == ["mine"]
    scene.running.cancel()
