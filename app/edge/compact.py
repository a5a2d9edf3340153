"""`POST /v1/responses/compact`: a conversation in, the same made short out.

It goes upstream as a call of the Responses API that ends with a compaction trigger, which is how
the backend compacts nowadays, so accounts, retries and ownership are what they are for any call.
Upstreams that know no trigger are asked at the endpoint that is there for it.
"""

from msgspec import structs

from app.dialects.responses.compaction import (
    CompactionFold,
    completed_unary,
    fields_of,
    to_unary,
    unary_usage,
    user_messages,
    with_trigger,
)
from app.domain.call import Dialect
from app.domain.needs import Need
from app.domain.operation import Operation
from app.edge.plans import Asked, DocumentForm, Plan
from app.edge.responses import ResponsesSpeaker
from app.errors import GatewayError
from app.relay.reply import Batch
from app.wire.peek import peek


class CompactSpeaker:
    """Speaks the unary form of compaction, on top of a speaker of Responses."""

    dialect = Dialect.RESPONSES

    def __init__(self, responses: ResponsesSpeaker) -> None:
        self._responses = responses
        self.codex_route = responses.codex_route

    async def plan(self, asked: Asked) -> Plan:
        """Return what a request to compact comes down to."""
        body = with_trigger(peek(asked.body))
        plan = await self._responses.plan(structs.replace(asked, body=body))
        call = structs.replace(plan.call, needs=plan.call.needs | {Need.COMPACTION})
        kept = user_messages(fields_of(call.body)["input"])
        return structs.replace(
            plan,
            call=call,
            whole=lambda: WholeCompaction(CompactionFold(kept=kept)),
            otherwise=_unary(plan),
        )

    def error_body(self, error: GatewayError) -> bytes:
        """Return the error in OpenAI's shape."""
        return self._responses.error_body(error)


def _unary(plan: Plan) -> Plan:
    """Return how the same is asked of an upstream that knows no trigger."""
    call = structs.replace(
        plan.call,
        body=to_unary(plan.call.body),
        operation=Operation.COMPACT,
        needs=plan.call.needs - {Need.COMPACTION} | {Need.COMPACT},
        previous_response_id=None,
        delta=None,
    )
    form = DocumentForm(usage=unary_usage, body=completed_unary)
    return structs.replace(plan, call=call, document=form)


class WholeCompaction:
    """The answer of a call to compact."""

    def __init__(self, fold: CompactionFold) -> None:
        self._fold = fold

    def feed(self, batch: Batch) -> None:
        """Take the next events."""
        self._fold.feed(batch.events)

    def body(self) -> bytes:
        """Return the document."""
        return self._fold.body()
