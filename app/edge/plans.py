"""What a request comes down to, in whatever dialect: a call, and how its answer is said.

A dialect at the edge is a `Speaker`. It turns a request that has been read into a `Plan`; the data
plane carries the plan out and knows nothing of what is in it. What a lane says goes to the caller
in pieces: bytes over HTTP, whole messages over a WebSocket.
"""

from collections.abc import Callable
from typing import Generic, NoReturn, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from app.domain.call import Call, Dialect
from app.domain.caller import Caller
from app.edge.request import Head
from app.errors import GatewayError
from app.relay.document import UsageOf
from app.relay.reply import Batch

P = TypeVar("P")
"""What a caller is sent at a time."""
P_co = TypeVar("P_co", covariant=True)


class LaneOf(Protocol[P_co]):
    """Says a reply in a dialect as it comes."""

    def feed(self, batch: Batch) -> P_co:
        """Return what the caller gets for these events."""

    def finish(self) -> P_co:
        """Return what is owed after the terminal event."""

    def failed(self, error: GatewayError) -> P_co:
        """Return what ends a stream that has broken."""


Lane: TypeAlias = LaneOf[bytes]


class WholeReply(Protocol):
    """Collects a reply, to be said at once."""

    def feed(self, batch: Batch) -> None:
        """Take the next events."""

    def body(self) -> bytes:
        """Return the whole answer."""


class DocumentForm(Struct, frozen=True):
    """How an upstream's answer that is one JSON document becomes the caller's."""

    usage: UsageOf
    """What it says of usage."""
    body: Callable[[bytes], bytes]
    """From the upstream's document to the caller's."""
    stream: bool = False
    """What `body` returns are all events of the stream that the caller has asked for."""


def no_events() -> NoReturn:
    """Stand in for a lane where the answer is a document."""
    raise AssertionError("this answer is no stream of events")


class PlanOf(Struct, Generic[P]):
    """What a request comes down to: `lane` and `whole` for events, `document` for a document."""

    call: Call
    stream: bool
    lane: Callable[[], LaneOf[P]] = no_events
    whole: Callable[[], WholeReply] = no_events
    output_tokens_max: int | None = None
    """How long an answer the caller has asked for at most; not every upstream heeds it."""
    document: DocumentForm | None = None
    told: P | None = None
    """The answer, where no account has to be asked for it."""
    otherwise: "PlanOf[P] | None" = None
    """What to do where no upstream can do this now, or the one asked has no such thing."""


class Told(Struct, frozen=True):
    """A whole answer, as JSON, to a request that is no call of a model: none is asked."""

    body: bytes


class Plan(PlanOf[bytes]):
    """The same for a request over HTTP."""


class Asked(Struct, frozen=True):
    """A request that has been read, and who made it."""

    head: Head
    caller: Caller
    body: bytes
    uid: str = ""


class SpeakerOf(Protocol[P]):
    """A dialect at the edge."""

    dialect: Dialect
    codex_route: bool

    async def plan(self, asked: Asked) -> PlanOf[P] | Told:
        """Return what the request comes down to, or raise what is wrong with it.

        Waits only where the request goes on from what another worker has answered, and where
        much has to be counted.
        """

    def error_body(self, error: GatewayError) -> bytes:
        """Return the error in the dialect's shape."""


Speaker: TypeAlias = SpeakerOf[bytes]
