"""The manifest of models as the upstream serves it: what to pass on of it, and what to learn.

What is passed on keeps every value as it was spelled, known here or not: entries are taken apart
one level deep and put together again from their own bytes. Only `prefer_websockets` is set to
false, since no WebSocket is served here. What is learnt is one card for each entry; whatever an
entry leaves out or says in an unknown shape is as for any model, and an entry without a usable
name teaches nothing.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256
from typing import Final, TypeVar

import msgspec
from msgspec import Raw

from app.dialects.catalog import EFFORT_SUFFIXES
from app.dialects.manifest import Card

ENTRIES_MAX: Final = 512
WORDS_MAX: Final = 32
TEXT_CHARS_MAX: Final = 512

_SLUG: Final = re.compile(r"[A-Za-z0-9][\w.:/+-]{0,127}", re.ASCII)
_PRIORITY_MAX: Final = 1_000_000
_WINDOW_MAX: Final = 1_000_000_000
_FALSE: Final = Raw(b"false")
_ANY: Final = Card(slug="", name="", description="", priority=_PRIORITY_MAX)
"""What is supposed of a model where its entry says nothing."""

Entry = dict[str, Raw]
T = TypeVar("T")


class ManifestUnreadable(ValueError):
    """It is no manifest, or one without any model."""


def relayed(body: bytes) -> bytes:
    """Return the manifest as callers get it: `body` itself if nothing in it has to change.

    Raises:
        ManifestUnreadable: It is no manifest that could be passed on.
    """
    top, models = _taken_apart(body)
    if not models or len(models) > ENTRIES_MAX:
        raise ManifestUnreadable(f"a manifest of {len(models)} models")
    spliced = [_without_websockets(raw) for raw in models]
    changed = any(new is not old for new, old in zip(spliced, models, strict=True))
    return _put_together(top, spliced) if changed else body


def restricted(body: bytes, allowed: Collection[str]) -> tuple[bytes, str]:
    """Return the manifest of the `allowed` models alone, and its ETag.

    Raises:
        ManifestUnreadable: It is no manifest.
    """
    top, models = _taken_apart(body)
    kept = [raw for raw in models if _slug(_maybe(raw, Entry) or {}) in allowed]
    filtered = _put_together(top, kept)
    return filtered, etag_of(filtered)


def etag_of(body: bytes) -> str:
    """Return an ETag, quoted as HTTP wants it, that changes with `body`."""
    return f'"{sha256(body).hexdigest()[:32]}"'


def cards(body: bytes) -> list[Card]:
    """Return what the manifest says of each model.

    Raises:
        ManifestUnreadable: It is no manifest.
    """
    _, models = _taken_apart(body)
    entries = (_maybe(raw, Entry) or {} for raw in models[:ENTRIES_MAX])
    return [_card(slug, entry) for entry in entries if (slug := _slug(entry))]


def overlaid(built_in: Iterable[Card], learnt: Iterable[Card]) -> tuple[Card, ...]:
    """Return all cards; of two for the same model the learnt one counts."""
    by_slug = {card.slug: card for card in built_in}
    by_slug.update((card.slug, card) for card in learnt)
    return tuple(by_slug.values())


def _taken_apart(body: bytes) -> tuple[Entry, list[Raw]]:
    try:
        top = msgspec.json.decode(body, type=Entry)
        return top, msgspec.json.decode(top["models"], type=list[Raw])
    except (ValueError, KeyError, RecursionError):
        raise ManifestUnreadable("not a manifest of models") from None


def _put_together(top: Entry, models: Sequence[Raw]) -> bytes:
    return msgspec.json.encode({**top, "models": models})


def _without_websockets(raw: Raw) -> Raw:
    entry = _maybe(raw, Entry)
    if entry is None or entry.get("prefer_websockets") == _FALSE:
        return raw
    return Raw(msgspec.json.encode({**entry, "prefer_websockets": _FALSE}))


def _card(slug: str, entry: Entry) -> Card:
    efforts = _efforts(entry)
    window = _number(entry, "context_window", _ANY.context_window, limit=_WINDOW_MAX)
    return Card(
        slug=slug,
        name=_text(entry, "display_name", slug),
        description=_text(entry, "description", ""),
        priority=_number(entry, "priority", _ANY.priority, limit=_PRIORITY_MAX),
        efforts=efforts,
        default_effort=_default_effort(entry, efforts),
        context_window=window,
        context_window_max=max(
            window, _number(entry, "max_context_window", window, limit=_WINDOW_MAX)
        ),
        lite=_found(entry, "use_responses_lite", bool) or False,
        fast="fast" in (_words(entry, "additional_speed_tiers") or ()),
        listed=_text(entry, "visibility", "list") == "list",
        modalities=_words(entry, "input_modalities") or _ANY.modalities,
        plans=_words(entry, "available_in_plans") or _ANY.plans,
    )


def _slug(entry: Entry) -> str | None:
    slug = _found(entry, "slug", str)
    return slug if slug is not None and _SLUG.fullmatch(slug) else None


def _efforts(entry: Entry) -> tuple[str, ...]:
    """Return the model's efforts: none if it says so, every known one if it says nothing."""
    levels = _found(entry, "supported_reasoning_levels", list[Entry])
    if levels is None:
        return EFFORT_SUFFIXES
    words = (_text(level, "effort", "") for level in levels[:WORDS_MAX])
    return tuple(word for word in words if word)


def _default_effort(entry: Entry, efforts: Sequence[str]) -> str:
    usual = _ANY.default_effort
    wanted = (_text(entry, "default_reasoning_level", usual), usual, *efforts)
    return next((effort for effort in wanted if effort in efforts), usual)


def _text(entry: Entry, name: str, otherwise: str) -> str:
    return (_found(entry, name, str) or otherwise)[:TEXT_CHARS_MAX]


def _words(entry: Entry, name: str) -> tuple[str, ...] | None:
    words = _found(entry, name, list[str])
    return None if words is None else tuple(words[:WORDS_MAX])


def _number(entry: Entry, name: str, otherwise: int, *, limit: int) -> int:
    number = _found(entry, name, int)
    return number if number is not None and 0 <= number <= limit else otherwise


def _found(entry: Entry, name: str, wanted: type[T]) -> T | None:
    raw = entry.get(name)
    return None if raw is None else _maybe(raw, wanted)


def _maybe(raw: Raw, wanted: type[T]) -> T | None:
    """Return the value if it is of the wanted type."""
    try:
        return msgspec.json.decode(raw, type=wanted)
    except (ValueError, RecursionError):
        return None
