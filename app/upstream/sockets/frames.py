"""What goes out on a socket as a turn, and what comes back in place of a reply. Pure.

A request is the very body that HTTP would carry, with its type in front and, where the turn has
something of its own to say, with `client_metadata`. An error that comes before anything else is
what over HTTP is a reply with a status, and is turned into one, so that it is judged in one place.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

_TYPE: Final = b'{"type":"response.create",'
_METADATA: Final = b'"client_metadata"'
_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])
_NONE: Final = Raw(b"null")
_TOP: Final = ("code", "message", "param", "plan_type", "resets_at", "resets_in_seconds")

Headers = list[tuple[str, str]]


class Refusal(Struct, frozen=True):
    """A turn that was refused, as HTTP would have said it."""

    status: int
    headers: Headers
    body: bytes


class _Within(Struct):
    error: Raw = _NONE


class _Error(Struct):
    status: object = None
    status_code: object = None
    error: Raw = _NONE
    body: _Within | None = None
    error_type: object = None
    headers: dict[str, object] | None = None


def opening(body: bytes, metadata: Mapping[str, str], *, previous: str | None = None) -> bytes:
    """Return the message that asks for a response.

    `body` is an encoded JSON object with at least one member. With `previous` it is what is added
    to that response.
    """
    if metadata and _METADATA in body:
        body = _with_metadata(body, metadata)
    elif metadata:
        body = b'{"client_metadata":%b,%b' % (msgspec.json.encode(metadata), body[1:])
    if previous is not None:
        body = b'{"previous_response_id":%b,%b' % (msgspec.json.encode(previous), body[1:])
    return _TYPE + body[1:]


def refusal(data: bytes) -> Refusal | None:
    """Return what an error event with a status of its own says, None if it has none.

    Without a status it is an event of the reply and no more.
    """
    try:
        said = msgspec.json.decode(data, type=_Error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    status = said.status if isinstance(said.status, int) else said.status_code
    if not isinstance(status, int) or not 400 <= status <= 599:
        return None
    error = said.error if said.error != _NONE or said.body is None else said.body.error
    if error == _NONE:
        members = _MEMBERS.decode(data)
        told = {name: members[name] for name in _TOP if name in members}
        error = Raw(msgspec.json.encode({"type": said.error_type, **told}))
    return Refusal(status, _headers(said.headers or {}), b'{"error":%b}' % bytes(error))


def _with_metadata(body: bytes, metadata: Mapping[str, str]) -> bytes:
    """Return the body with its own metadata and, where both say something, this."""
    members: dict[str, object] = {**_MEMBERS.decode(body)}
    own = members.get("client_metadata")
    given: dict[str, object] = {}
    if isinstance(own, Raw) and bytes(own)[:1] == b"{":
        given = {**_MEMBERS.decode(own)}
    members["client_metadata"] = {**given, **metadata}
    return msgspec.json.encode(members)


def _headers(given: Mapping[str, object]) -> Headers:
    """Return headers whose values may be strings, numbers or booleans."""
    found: Headers = []
    for name, value in given.items():
        if isinstance(value, bool):
            found.append((name.lower(), "true" if value else "false"))
        elif isinstance(value, str | int | float):
            found.append((name.lower(), str(value)))
    return found
