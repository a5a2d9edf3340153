"""`POST /v1/responses/input_tokens`: how many tokens a Responses request has to be read for.

The request is made ready for the upstream as if it were to go there, with all that it goes on from,
and counted. No account is chosen and nothing is kept.
"""

from typing import Final

import msgspec
from msgspec import Raw, structs

from app.domain.call import Dialect
from app.edge.counting import Counting
from app.edge.models import Models
from app.edge.plans import Asked, Told
from app.edge.responses import ResponsesSpeaker
from app.errors import GatewayError, InvalidRequest
from app.wire.peek import peek

_TOP: Final = msgspec.json.Decoder(dict[str, Raw])


class InputTokensSpeaker:
    """Speaks the counting of Responses, on top of a speaker of Responses."""

    dialect = Dialect.RESPONSES

    def __init__(self, responses: ResponsesSpeaker, *, models: Models, counting: Counting) -> None:
        self._responses = responses
        self._models = models
        self._counting = counting
        self.codex_route = responses.codex_route

    async def plan(self, asked: Asked) -> Told:
        """Return the count."""
        body = self._whole(asked.body)
        plan = await self._responses.plan(structs.replace(asked, body=body))
        tokens = await self._counting.input_tokens(plan.call.body)
        return Told(
            msgspec.json.encode({"object": "response.input_tokens", "input_tokens": tokens})
        )

    def error_body(self, error: GatewayError) -> bytes:
        """Return the error in OpenAI's shape."""
        return self._responses.error_body(error)

    def _whole(self, body: bytes) -> bytes:
        """Return the request with what a count may leave out: its model, or anything said."""
        try:
            given = _TOP.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            peek(body)  # says what is wrong with it
            raise InvalidRequest("The request body must be a JSON object.") from None
        missing: dict[str, object] = {}
        if "model" not in given:
            missing["model"] = self._models.catalog.plain()
        if "input" not in given:
            missing["input"] = []
        return msgspec.json.encode({**given, **missing}) if missing else body
