"""Counts what a request would cost to read: `/v1/messages/count_tokens`, and its like elsewhere.

No account is chosen and nothing is sent: the request is made ready for the upstream, as if it were
to go there, and counted (`app.dialects.counting`).
"""

import msgspec

from app.dialects.counting import measured
from app.dialects.messages.errors import error_body
from app.dialects.messages.requests import decode, to_responses
from app.domain.call import Dialect
from app.edge.models import Models
from app.edge.plans import Asked, Told
from app.errors import GatewayError
from app.ports import TokenCounter
from app.wire.peek import peek


class Counting:
    """Counts requests in the form in which they go upstream; one for all dialects."""

    def __init__(self, *, tokens: TokenCounter) -> None:
        self._tokens = tokens

    async def input_tokens(self, body: bytes) -> int:
        """Return how many tokens a Responses request has, encoded as it would go upstream."""
        found = measured(body)
        return found.fixed + await self._tokens.count(found.texts)


class CountTokensSpeaker:
    """Speaks `/v1/messages/count_tokens`."""

    dialect = Dialect.MESSAGES
    codex_route = False

    def __init__(self, *, models: Models, counting: Counting) -> None:
        self._models = models
        self._counting = counting

    async def plan(self, asked: Asked) -> Told:
        """Return the count."""
        peek(asked.body)
        request = decode(asked.body)
        resolved = self._models.resolve_claude(request.model, asked.caller)
        said = to_responses(request, upstream_model=resolved.model, efforts=resolved.efforts)
        tokens = await self._counting.input_tokens(said.body)
        return Told(msgspec.json.encode({"input_tokens": tokens}))

    def error_body(self, error: GatewayError) -> bytes:
        """Return the error in Anthropic's shape."""
        return error_body(error)
