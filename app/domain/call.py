"""A call: one request of a caller, whatever its dialect, ready to be sent upstream."""

from enum import StrEnum

from msgspec import Struct

from app.domain.caller import KeyId
from app.domain.needs import NOTHING, Need
from app.domain.operation import Operation


class Dialect(StrEnum):
    """An API that callers speak."""

    RESPONSES = "responses"
    CHAT = "chat"
    MESSAGES = "messages"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    IMAGES = "images"
    REALTIME = "realtime"


class Call(Struct, frozen=True):
    """One request of a caller, translated to Responses and encoded.

    `id` is the request id that the caller sees, and may be the caller's own; `uid` is ours and
    never comes again. `model` is the upstream's name of the model. `headers` are the caller's own
    client headers that may travel upstream.
    """

    id: str
    caller_id: KeyId
    dialect: Dialect
    model: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    session_key: str | None = None
    """Binds the turns of one session to one account; already scoped to the caller's key."""
    owner_keys: tuple[str, ...] = ()
    """Name the encrypted items in `body`, which only the account that made them can read."""
    bound_keys: tuple[str, ...] = ()
    """Those of them that the call is nothing without (compaction): it goes to their owner or
    nowhere."""
    groups: tuple[str, ...] = ()
    """Groups of accounts that the caller's key is bound to; empty means all accounts."""
    tags: tuple[str, ...] = ()
    """Tags that an account must carry to take this call."""
    lite: bool = False
    """The body is in the Responses Lite form, which travels with a marker header."""
    codex_route: bool = False
    """The call came in on a Codex route: the caller understands private events."""
    uid: str = ""
    """Names the call in the books: its worker's incarnation and a number, both in hex."""
    asked_model: str = ""
    """The caller's name of the model."""
    stream: bool = False
    """The caller hears the reply as it comes, not all at once."""
    tier: str | None = None
    """The service tier that was asked for."""
    live: bool = False
    """The caller speaks over a socket and takes events one by one, as the messages they are."""
    previous_response_id: str | None = None
    """The response that the call continues; `body` repeats all that was said before it."""
    delta: bytes | None = None
    """The same request with only what is said after that response. An upstream that still holds the
    response may be sent this with `previous_response_id` in place of `body`."""
    operation: Operation = Operation.RESPONSE
    """What is asked of the upstream."""
    needs: frozenset[Need] = NOTHING
    """What not every kind of upstream can do."""
    tuning: bytes = b""
    """A JSON object of what the caller asked for and the Codex backend refuses (sampling, limits),
    under its Responses name where it has one, else its Chat name; other kinds heed it."""
