"""What the dialects do differently around their answers: request ids and the sound of silence."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from app.dialects.messages.frames import PING
from app.domain.call import Dialect

COMMENT: Final = b": keep-alive\n\n"


class Manners(Struct, frozen=True):
    """The ways of one dialect."""

    request_id_headers: tuple[bytes, ...] = (b"x-request-id",)
    """Headers of every answer that carry the request's id."""
    silence: bytes = COMMENT
    """What a stream says when there is nothing to say."""


_USUAL: Final = Manners()
_OWN: Final[Mapping[Dialect, Manners]] = {
    Dialect.MESSAGES: Manners((b"x-request-id", b"request-id"), PING),
}


def manners_of(dialect: Dialect) -> Manners:
    """Return the ways of a dialect."""
    return _OWN.get(dialect, _USUAL)
