"""What a socket stands for, and what only one turn on it does. Pure.

Whoever answers a handshake has read its headers, and they hold for every turn of the socket. So two
calls may only follow each other on a socket if all that a handshake says is the same: the caller's
key, the account and its credential, the way there, and every header but those of a single turn.
Those travel inside the turn's own message, where the backend reads them as it reads headers.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from app.domain.account import Account, AccountId, Secret
from app.domain.call import Call
from app.domain.caller import KeyId

Headers = tuple[tuple[str, str], ...]

TURN_STATE: Final = "x-codex-turn-state"
LITE: Final = "x-openai-internal-codex-responses-lite"
BETA: Final = ("openai-beta", "responses_websockets=2026-02-06")

_OF_A_TURN: Final[Mapping[str, str]] = {
    TURN_STATE: TURN_STATE,
    "x-codex-turn-metadata": "x-codex-turn-metadata",
    "x-client-request-id": "x-client-request-id",
    LITE: "ws_request_header_x_openai_internal_codex_responses_lite",
}
"""Headers of a single turn, and what they are called in a message's `client_metadata`."""
_OF_HTTP: Final = frozenset({"accept", "content-type"})
_AUTHORIZATION: Final = "authorization"


class Key(Struct, frozen=True):
    """Whom a socket belongs to, and who it has said that it is. Holds no secret that shows."""

    caller_id: KeyId
    account_id: AccountId
    generation: int
    """Of the account's credential: it stands for the authorization that the handshake carried."""
    proxy_url: Secret | None
    identity: Headers
    """The handshake's headers without the authorization."""


class Introduction(Struct, frozen=True):
    """The headers of an attempt, taken apart."""

    key: Key
    handshake: Headers
    metadata: dict[str, str]
    """What the turn's message says in its `client_metadata`."""


def introduction(account: Account, call: Call, headers: list[tuple[str, str]]) -> Introduction:
    """Take apart the `headers` that this attempt would have over HTTP."""
    handshake: list[tuple[str, str]] = []
    metadata: dict[str, str] = {}
    for name, value in headers:
        within = _OF_A_TURN.get(name)
        if within is not None:
            metadata[within] = value
        elif name not in _OF_HTTP:
            handshake.append((name, value))
    handshake.append(BETA)
    key = Key(
        caller_id=call.caller_id,
        account_id=account.id,
        generation=account.credential.generation,
        proxy_url=account.proxy_url,
        identity=tuple(pair for pair in handshake if pair[0] != _AUTHORIZATION),
    )
    return Introduction(key, tuple(handshake), metadata)
