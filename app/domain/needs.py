"""What a call needs that not every kind of upstream can do.

A call is never sent where it can't succeed: selection leaves out the kinds that lack what it
needs. What a call merely offers, such as a search that the model may use or not, is no need: it is
left out where it can't be had.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from app.domain.account import AccountKind


class Need(StrEnum):
    """One such thing."""

    EMBEDDINGS = "embeddings"
    COMPACT = "compact"
    """The endpoint that compacts a conversation."""
    COMPACTION = "compaction"
    """The item that asks for a compaction within a stream."""
    SEALED = "sealed"
    """Items that only their maker can read, without which the call is nothing."""
    IMAGES = "images"
    """The image tool is not just offered but insisted on."""
    IMAGES_API = "images_api"
    """The endpoints that make images and nothing else."""
    SEARCH = "search"
    """The search tool is insisted on."""
    REALTIME = "realtime"
    """Speech and text both ways at once, over a WebSocket."""


NOTHING: Final[frozenset[Need]] = frozenset()

_ABLE: Final[Mapping[AccountKind, frozenset[Need]]] = {
    AccountKind.CODEX: frozenset(Need) - {Need.EMBEDDINGS, Need.IMAGES_API, Need.REALTIME},
    AccountKind.OPENAI: frozenset(Need) - {Need.COMPACTION},
    AccountKind.COMPATIBLE: frozenset({Need.EMBEDDINGS}),
}
_WORDS: Final[Mapping[Need, str]] = {
    Need.EMBEDDINGS: "embeddings",
    Need.COMPACT: "compacting a conversation",
    Need.COMPACTION: "compacting a conversation by 'compaction_trigger'",
    Need.SEALED: "reading compacted conversations",
    Need.IMAGES: "making images",
    Need.IMAGES_API: "the images endpoints",
    Need.SEARCH: "searching the web",
    Need.REALTIME: "realtime sessions",
}


def able(kind: AccountKind, needs: frozenset[Need]) -> bool:
    """Tell whether upstreams of this kind can do all of it."""
    return _ABLE[kind] >= needs


def said(needs: frozenset[Need]) -> str:
    """Return the needs in words, for the caller whose call they keep from being answered."""
    return " and ".join(_WORDS[need] for need in Need if need in needs)
