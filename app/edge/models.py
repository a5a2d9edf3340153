"""Which models callers may name; one for all routes, replaced as settings and accounts change."""

from app.dialects.catalog import Catalog, Resolved
from app.domain.caller import Caller
from app.edge.guards import Guard
from app.errors import UnknownModel


class Models:
    """The catalogue of now, and who may use what of it."""

    def __init__(self, *, guard: Guard) -> None:
        self._guard = guard
        self.catalog = Catalog()
        """Replaced as a whole by whoever hears of a change."""

    def resolve(self, requested: str, caller: Caller) -> Resolved:
        """Return what the caller's name for a model means.

        Raises:
            UnknownModel: It means nothing.
            NotAllowed: The caller's key is not for it.
        """
        return self._admitted(self.catalog.resolve(requested), requested, caller)

    def resolve_claude(self, requested: str, caller: Caller) -> Resolved:
        """Return what the name means for which a Messages caller asks; it may be a Claude model's.

        Raises:
            UnknownModel: It means nothing.
            NotAllowed: The caller's key is not for it.
        """
        return self._admitted(self.catalog.resolve_claude(requested), requested, caller)

    def tool_host(self, requested: str, caller: Caller) -> str:
        """Return the model that makes images for a caller who asks for an image model by name.

        Raises:
            UnknownModel: None that is configured can hold the image tool.
            NotAllowed: The caller's key is neither for the name nor for the model.
        """
        card = self.catalog.image_host()
        if card is None:
            raise UnknownModel("No model that can make images is configured here.", param="model")
        return self._admitted(Resolved(card.slug, None, card), requested, caller).model

    def _admitted(self, resolved: Resolved, requested: str, caller: Caller) -> Resolved:
        if caller.models and requested not in caller.models:
            self._guard.admit(caller, resolved.model)
        return resolved
