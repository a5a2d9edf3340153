"""Which models exist, under which names, and how callers list them.

A caller's name for a model is, in this order: an alias of the operator's (exact, or with `*`), a
model that is built in or that an account was configured with, or one of these with an effort
behind it: `gpt-5.5-high`. An alias is followed once, so no chain and no circle can be made; its
target may carry an effort. Callers of Messages know other names, those of Claude models: what
means nothing else is looked up among the operator's names for them, the longest pattern first.
Which account may serve the model is for the pool.
"""

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

import msgspec
from msgspec import Struct

from app.dialects.manifest import CARDS, Card, manifest_body
from app.errors import UnknownModel

EFFORT_SUFFIXES: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")
LONG_CONTEXT: Final = "[1m]"
"""Stands behind a model's name where a Claude Code user wants the longer window."""
_OWNER: Final = "openai"
_QUOTE_CHARS_MAX: Final = 64


class Resolved(Struct, frozen=True):
    """What a caller's name for a model means.

    `model` is its name upstream. `effort` is what the name itself asks for; `card` is None for a
    model that is only configured.
    """

    model: str
    effort: str | None = None
    card: Card | None = None

    @property
    def efforts(self) -> tuple[str, ...] | None:
        """Return the model's efforts; None if they aren't known."""
        return self.card.efforts if self.card else None


class Catalog:
    """The models and names of one state of the settings; make a new one when they change.

    Args:
        aliases: Names that the operator made: alias, exact or with `*`, to model.
        claude: What Messages callers' names mean that mean nothing else, exact or with `*`.
        configured: Models that accounts were configured with beside the built-in ones.
        cards: The built-in models.
    """

    def __init__(
        self,
        aliases: Mapping[str, str] | None = None,
        *,
        claude: Mapping[str, str] | None = None,
        configured: Collection[str] = (),
        cards: Sequence[Card] = CARDS,
    ) -> None:
        self._cards = {card.slug: card for card in cards}
        self._configured = sorted(set(configured) - set(self._cards))
        given = aliases or {}
        self._exact = {alias: model for alias, model in given.items() if "*" not in alias}
        self._patterns = [(alias, model) for alias, model in given.items() if "*" in alias]

        self._claude = claude or {}
        patterns = [name for name in self._claude if "*" in name]
        self._claude_patterns = sorted(patterns, key=len, reverse=True)

    def resolve(self, requested: str) -> Resolved:
        """Return what `requested` means.

        Raises:
            UnknownModel: It means nothing.
        """
        found = self._known(self._target(requested))
        if found is None:
            shown = requested[:_QUOTE_CHARS_MAX]
            raise UnknownModel(f"The model '{shown}' does not exist here.", param="model")
        return found

    def resolve_claude(self, requested: str) -> Resolved:
        """Return what `requested` means to a caller of Messages.

        Raises:
            UnknownModel: It means nothing.
        """
        name = requested.removesuffix(LONG_CONTEXT)
        found = self._known(self._target(name)) or self._known(self._claude_target(name))
        return found or self.resolve(requested)

    def claude_names(self) -> list[str]:
        """Return the names of Claude models that callers may be shown: the exact ones."""
        exact = {name: model for name, model in self._claude.items() if "*" not in name}
        return [name for name, model in exact.items() if self._known(model)]

    def names(self) -> list[str]:
        """Return the names that callers may be shown: models first, then exact aliases."""
        cards = sorted(self._cards.values(), key=lambda card: card.priority)
        models = [card.slug for card in cards if card.listed] + self._configured
        aliases = [alias for alias in self._exact if alias not in models]
        return models + [alias for alias in aliases if self._known(self._exact[alias])]

    def plain(self) -> str:
        """Return a model whose requests are said in the full form; any will do for counting."""
        lite = {card.slug for card in self._cards.values() if card.lite}
        return next((name for name in self.names() if name not in lite), "")

    def image_host(self) -> Card | None:
        """Return the model that is to hold the image tool: the first that takes it and sees images.

        Models of the Lite form refuse hosted tools.
        """
        able = [c for c in self._cards.values() if not c.lite and "image" in c.modalities]
        return min(able, key=lambda card: card.priority, default=None)

    def manifest(self, allowed: Collection[str] = ()) -> tuple[bytes, str]:
        """Return the manifest for Codex clients and its ETag.

        `allowed` are the models that the caller may use; empty means all.
        """
        cards = self._cards.values()
        return manifest_body(card for card in cards if not allowed or card.slug in allowed)

    def _target(self, requested: str) -> str:
        if requested in self._exact:
            return self._exact[requested]
        for pattern, model in self._patterns:
            if fnmatchcase(requested, pattern):
                return model
        return requested

    def _claude_target(self, name: str) -> str:
        if name in self._claude:
            return self._claude[name]
        for pattern in self._claude_patterns:
            if fnmatchcase(name, pattern):
                return self._claude[pattern]
        return ""

    def _known(self, name: str) -> Resolved | None:
        if self._is_model(name):
            return Resolved(name, None, self._cards.get(name))
        base, _, effort = name.rpartition("-")
        if effort not in EFFORT_SUFFIXES:
            return None
        # An alias with an effort behind it is the alias's model, asked so.
        model = base if self._is_model(base) else self._exact.get(base, "")
        return Resolved(model, effort, self._cards.get(model)) if self._is_model(model) else None

    def _is_model(self, name: str) -> bool:
        return name in self._cards or name in self._configured


def list_body(models: Sequence[str], *, created: int) -> bytes:
    """Return the answer to `GET /v1/models`; `created` is epoch seconds."""
    return msgspec.json.encode(
        {"object": "list", "data": [_model(name, created) for name in models]}
    )


def model_body(model: str, *, created: int) -> bytes:
    """Return the answer to `GET /v1/models/{id}`."""
    return msgspec.json.encode(_model(model, created))


def _model(name: str, created: int) -> dict[str, object]:
    return {"id": name, "object": "model", "created": created, "owned_by": _OWNER}
