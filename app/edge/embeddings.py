"""`POST /v1/embeddings`: passed on to an upstream that has them, and its answer passed back."""

from typing import Final

from app.dialects.chat.errors import error_body
from app.dialects.embeddings import decode, usage_of
from app.dialects.responses.platform import with_model
from app.domain.call import Call, Dialect
from app.domain.needs import Need
from app.domain.operation import Operation
from app.edge.models import Models
from app.edge.plans import Asked, DocumentForm, Plan
from app.errors import GatewayError
from app.wire.peek import peek


def _as_it_came(body: bytes) -> bytes:
    return body


_FORM: Final = DocumentForm(usage=usage_of, body=_as_it_came)
_NEEDS: Final = frozenset({Need.EMBEDDINGS})


class EmbeddingsSpeaker:
    """Speaks Embeddings."""

    dialect = Dialect.EMBEDDINGS
    codex_route = False

    def __init__(self, *, models: Models) -> None:
        self._models = models

    async def plan(self, asked: Asked) -> Plan:
        """Return what an embeddings request comes down to."""
        caller = asked.caller
        peek(asked.body)  # it is JSON that every reader reads alike
        request = decode(asked.body)
        resolved = self._models.resolve(request.model, caller)
        call = Call(
            id=asked.head.request_id,
            caller_id=caller.id,
            dialect=self.dialect,
            model=resolved.model,
            body=with_model(asked.body, resolved.model),
            groups=caller.groups,
            tags=caller.tags,
            uid=asked.uid,
            asked_model=request.model,
            operation=Operation.EMBEDDINGS,
            needs=_NEEDS,
        )
        # Nothing is written, so nothing of the caller's budget of tokens is kept for an answer.
        return Plan(call=call, stream=False, output_tokens_max=0, document=_FORM)

    def error_body(self, error: GatewayError) -> bytes:
        """Return the error in OpenAI's shape."""
        return error_body(error)
