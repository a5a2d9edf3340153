"""Which headers may cross the gateway: two allow-lists, one for each direction.

What is not named here does not travel: credentials, cookies, account ids, attestations,
forwarding headers, quotas of other people's accounts. What a `Connection` header names belongs
to one hop and does not travel either, whatever it is. Of a name that stands twice the first
travels, so that nobody behind us can read another value than we do.

What the headers say about limits is read by `app.wire.quota`.
"""

import re
from collections.abc import Iterable
from typing import Final

from app.errors import InvalidRequest

HEADER_BYTES_MAX: Final = 64 * 1024

_REQUEST: Final = frozenset(
    {
        b"accept-language",
        b"originator",
        b"session-id",
        b"session_id",
        b"thread-id",
        b"traceparent",
        b"tracestate",
        b"user-agent",
        b"version",
        b"x-client-request-id",
        b"x-codex-beta-features",
        b"x-codex-parent-thread-id",
        b"x-codex-routing-hint",
        b"x-codex-turn-metadata",
        b"x-codex-turn-state",
        b"x-codex-window-id",
        b"x-openai-memgen-request",
        b"x-openai-subagent",
        b"x-responsesapi-include-timing-metrics",
    }
)
_REPLY: Final = frozenset(
    {
        "openai-model",
        "openai-processing-ms",
        "openai-version",
        "x-codex-turn-state",
        "x-models-etag",
        "x-reasoning-included",
    }
)
_REPLY_QUOTA: Final = re.compile(
    r"x-codex-[a-z0-9-]{1,64}-(?:used-percent|window-minutes|reset-at|reset-after-seconds)"
)
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_PRINTABLE: Final = re.compile(r"[\t\x20-\x7e]*+")


def request_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Return the caller's headers that may travel upstream, names in lower case.

    A value that is not ASCII stays behind: clients spell such values differently.

    Raises:
        InvalidRequest: A value that would travel has a control character, or all of them
            together are over `HEADER_BYTES_MAX`.
    """
    spelled = [(name.lower(), value) for name, value in headers]
    hop = _hop(value.decode("latin-1") for name, value in spelled if name == b"connection")
    travelling: dict[str, str] = {}
    size = 0
    for raw, value in spelled:
        if raw not in _REQUEST:
            continue
        name = raw.decode("ascii")
        if name in hop or name in travelling:
            continue
        if _CONTROL.search(value):
            raise InvalidRequest(f"The header '{name}' has a control character.", param=name)
        if not value.isascii():
            continue
        size += len(raw) + len(value)
        if size > HEADER_BYTES_MAX:
            raise InvalidRequest(
                f"The request's client headers are over {HEADER_BYTES_MAX} bytes.", param=name
            )
        travelling[name] = value.decode("ascii")
    return tuple(travelling.items())


def response_headers(
    headers: Iterable[tuple[str, str]], *, codex_route: bool
) -> list[tuple[bytes, bytes]]:
    """Return the upstream's headers that may travel to the caller, ready for ASGI.

    Codex clients also get the windows of the account that answered, for their status line, but
    not its plan or its credits. What can't be sent cleanly stays behind; nothing is an error.
    """
    spelled = [(name.lower(), value) for name, value in headers]
    hop = _hop(value for name, value in spelled if name == "connection")
    travelling: dict[str, str] = {}
    size = 0
    for name, value in spelled:
        allowed = name in _REPLY or (codex_route and _REPLY_QUOTA.fullmatch(name))
        if not allowed or name in hop or name in travelling or not _PRINTABLE.fullmatch(value):
            continue
        size += len(name) + len(value)
        if size > HEADER_BYTES_MAX:
            break
        travelling[name] = value
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in travelling.items()]


def _hop(connections: Iterable[str]) -> frozenset[str]:
    """Return the names that `Connection` headers list."""
    return frozenset(
        name.strip().lower() for connection in connections for name in connection.split(",")
    )
