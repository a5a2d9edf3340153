"""How pages of figures and events are written, in as few bytes as a script in Redis can read. Pure.

A page is an array in msgpack: rows of accounts, rows of keys, names of processes whose figures are
part of the page. There are no byte strings in it, since Redis' own msgpack reads none. What can't
be read, of a newer version perhaps, is left out and never stops anybody.
"""

from typing import TypeVar

import msgspec
from msgspec import Struct

from app.domain.shared import AccountTally, Binding, KeySpent, Presence, SharedEvent

T = TypeVar("T")


class Page(Struct, frozen=True, array_like=True):
    """Some figures of one process, or of those that are gone."""

    accounts: list[AccountTally] = []
    keys: list[KeySpent] = []
    folded: list[str] = []
    """Processes that are gone and whose figures are in this page."""


class Announcement(Struct, frozen=True, array_like=True):
    """An event as it travels; `number` counts the announcements of one process from 1."""

    incarnation: str
    number: int
    event: SharedEvent


class Whisper(Struct, frozen=True, array_like=True):
    """What one process tells those who listen."""

    incarnation: str
    bindings: list[Binding]


_encode = msgspec.msgpack.Encoder().encode
_pages = msgspec.msgpack.Decoder(Page)
_presences = msgspec.msgpack.Decoder(Presence)
_bindings = msgspec.msgpack.Decoder(Binding)
_whispers = msgspec.msgpack.Decoder(Whisper)
_announcements = msgspec.msgpack.Decoder(Announcement)


def encoded(value: object) -> bytes:
    """Return a value as bytes."""
    return _encode(value)


def page(raw: bytes) -> Page:
    """Read a page; an empty one if it can't be read."""
    return _read(_pages, raw) or Page()


def presence(raw: bytes) -> Presence:
    """Read a presence; a nameless one if it can't be read."""
    return _read(_presences, raw) or Presence()


def announcement(raw: bytes) -> Announcement | None:
    """Read an announcement, None if it can't be read."""
    return _read(_announcements, raw)


def binding(raw: bytes) -> Binding | None:
    """Read a binding, None if it can't be read."""
    return _read(_bindings, raw)


def whisper(raw: bytes) -> Whisper | None:
    """Read a whisper, None if it can't be read."""
    return _read(_whispers, raw)


def _read(decoder: msgspec.msgpack.Decoder[T], raw: bytes) -> T | None:
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError:
        return None
