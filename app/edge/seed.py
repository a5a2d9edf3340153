"""Which conversation a request continues, when its caller does not say.

Most callers name no session, but each turn repeats the conversation from its beginning. So what it
begins with is its name: the model, the instructions and what the user said first. Conversations
that begin alike share a name, which is no harm: it only suggests an account, and what they have in
common is in that account's prompt cache.

A request is megabytes and its name is worth a microsecond or two, so the items are not decoded:
the first text after the first `"user"` is found in the bytes. A quote inside a JSON string has a
backslash before it, so what is found is no part of a text. Where nothing is found, there is no
name.
"""

import re
from hashlib import blake2b
from typing import Final

from msgspec import Raw

from app.domain.caller import KeyId

TEXT_BYTES_MAX: Final = 4_096
"""How much of the user's first text is looked at."""
_QUOTES_MAX: Final = 64
"""Of a text with more quotes in it, the rest of what is looked at counts as well."""
_QUOTE: Final = ord('"')
_BACKSLASH: Final = ord("\\")
_HEAD: Final = 384
_TAIL: Final = 128
_USER: Final = re.compile(rb'"user"')
_TEXT: Final = re.compile(rb'"(?:text|content)"[ \t\r\n]*+:[ \t\r\n]*+"')


def seed_key(
    model: str, instructions: Raw | None, turns: Raw | None, caller_id: KeyId
) -> str | None:
    """Return the conversation's key in our own tables, or None if nothing tells it.

    `turns` is the request's `input` or `messages` as it was sent; a text alone will do.
    """
    if turns is None:
        return None
    view = memoryview(turns)
    lead = b""
    if view[0] == _QUOTE:
        text = bytes(view[1 : TEXT_BYTES_MAX + 1])
    else:
        user = _USER.search(view)
        found = user and _TEXT.search(view, user.end())
        if user is None or found is None:
            return None
        start = found.end()
        lead = _digestible(view[: user.start()])
        text = _closed(bytes(view[start : start + TEXT_BYTES_MAX]))
    told = b"" if instructions is None else _digestible(memoryview(instructions))
    spoken = b"%b\0%b\0%b\0%b" % (model.encode(), told, lead, _digestible(memoryview(text)))
    return f"{caller_id}:seed:{blake2b(spoken, digest_size=16).hexdigest()}"


def _closed(window: bytes) -> bytes:
    """Return what stands before the quote that closes the string, if it is not far."""
    end = window.find(b'"')
    for _ in range(_QUOTES_MAX):
        first = end
        while first > 0 and window[first - 1] == _BACKSLASH:
            first -= 1
        if (end - first) % 2 == 0:
            break
        end = window.find(b'"', end + 1)
    return window if end < 0 else window[:end]


def _digestible(part: "memoryview[int]") -> bytes:
    """Return what tells this part from others: where it begins and ends, and how long it is."""
    if len(part) <= _HEAD + _TAIL:
        return bytes(part)
    return b"%b%b%d" % (bytes(part[:_HEAD]), bytes(part[-_TAIL:]), len(part))
