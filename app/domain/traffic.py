"""What has gone over callers' WebSockets, counted as it goes."""

from msgspec import Struct, field


class Traffic(Struct):
    """One worker's counts; whoever moves a message adds to them."""

    messages_in: int = 0
    messages_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    opened: int = 0
    """Handshakes that ended with a connection."""
    refused: int = 0
    """Handshakes that were answered with an HTTP error."""
    closed: dict[int, int] = field(default_factory=dict)
    """Connections that are over, by the code that closed them; 0 where the caller did."""
