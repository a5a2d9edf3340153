"""Tests of app.edge.sockets.speaker."""

import json

import msgspec
import pytest

from app.dialects.responses.requests import DROPPED
from app.domain.call import Dialect
from app.edge.guards import Guard
from app.edge.models import Models
from app.edge.plans import Asked, PlanOf
from app.edge.request import read_head
from app.edge.responses import ResponsesSpeaker
from app.edge.sockets.memory import Memories, Memory
from app.edge.sockets.speaker import Messages, TurnSpeaker
from app.errors import ContextUnavailable, GatewayError, StreamIncomplete
from tests.edge.asgi import CALLER, Callers, with_key
from tests.edge.test_responses import COMPLETED, CREATED, DELTA, batch
from tests.fakes.clock import FakeClock
from tests.fakes.history import memory_history

ANSWERED = (
    b'{"type":"response.completed","response":{"id":"resp_1","output":[{"type":"message","role":'
    b'"assistant","content":[{"type":"output_text","text":"hi"}]}]}}'
)
PRIVATE = b'{"type":"codex.rate_limits"}'


def memory() -> Memory:
    """Return the memory of a connection."""
    return Memories(memory_history(), bytes_max=1_000_000).open()


def speaker(*, codex_route: bool = False) -> TurnSpeaker:
    """Return a connection's speaker with the built-in models."""
    guard = Guard(callers=Callers(), clock=FakeClock(), allow_anonymous=False)
    inner = ResponsesSpeaker(models=Models(guard=guard), codex_route=codex_route, history=memory())
    return TurnSpeaker(inner, now=lambda: 7.9)


async def plan(speaks: TurnSpeaker, *headers: tuple[str, str], **fields) -> PlanOf[Messages]:
    """Return the plan of a turn."""
    said = {"type": "response.create", "model": "gpt-5.5", "input": "hello"} | fields
    head = read_head(with_key(*headers, method="GET"))
    return await speaks.plan(Asked(head, CALLER, msgspec.json.encode(said), "c0de-1"))


async def test_a_turn_becomes_a_call_that_streams() -> None:
    """Whatever it says of streaming; what only a WebSocket has does not travel."""
    planned = await plan(speaker(), stream=False, generate=True)
    body = msgspec.json.decode(planned.call.body)
    assert (planned.stream, planned.call.stream, planned.call.live) == (True, True, True)
    assert planned.call.dialect is Dialect.RESPONSES
    assert body["stream"] is True
    assert not body.keys() & DROPPED
    assert planned.told is None


async def test_a_turns_own_headers_go_before_those_of_the_connection() -> None:
    """They are said once a turn, in the body."""
    state = {"x-codex-turn-state": "new", "session_id": "s"}
    planned = await plan(
        speaker(codex_route=True), ("x-codex-turn-state", "old"), ("originator", "codex_exec"),
        client_metadata=state,
    )  # fmt: skip
    assert dict(planned.call.headers)["x-codex-turn-state"] == "new"
    assert msgspec.json.decode(planned.call.body)["client_metadata"] == {"session_id": "s"}


@pytest.mark.parametrize(("codex_route", "sent"), [
    (False, [CREATED, DELTA, COMPLETED]),
    (True, [PRIVATE, CREATED, DELTA, COMPLETED]),
])  # fmt: skip
async def test_events_go_out_as_they_came(codex_route, sent) -> None:
    """Private ones to Codex clients only."""
    planned = await plan(speaker(codex_route=codex_route))
    lane = planned.lane()
    came = batch(PRIVATE, CREATED), batch(DELTA), batch(COMPLETED)
    assert [message for each in came for message in lane.feed(each)] == sent
    assert lane.finish() == []


async def test_what_ends_a_codex_client_for_nothing_is_softened() -> None:
    """As on the routes over HTTP."""
    lane = (await plan(speaker())).lane()
    failed = b'{"type":"response.failed","response":{"error":{"code":"server_is_overloaded"}}}'
    [said] = lane.feed(batch(failed))
    assert json.loads(said)["response"]["error"]["code"] == "server_error"


async def test_the_next_turn_says_only_what_is_new() -> None:
    """The response before is known to the connection, stored or not."""
    speaks = speaker()
    lane = (await plan(speaks, store=False)).lane()
    lane.feed(batch(CREATED, ANSWERED))
    planned = await plan(speaks, input="and now?", previous_response_id="resp_1", store=False)
    said = msgspec.json.decode(planned.call.body)["input"]
    assert [item["type"] for item in said] == ["message"] * 3
    assert planned.call.previous_response_id == "resp_1"
    assert len(msgspec.json.decode(planned.call.delta)["input"]) == 1


async def test_a_warm_up_is_answered_at_once_and_can_be_gone_on_from() -> None:
    """Nobody is asked for it."""
    speaks = speaker(codex_route=True)
    planned = await plan(speaks, generate=False, input=[])
    created, completed = (json.loads(message) for message in planned.told)
    response = completed["response"]
    assert (created["type"], completed["type"]) == ("response.created", "response.completed")
    assert (response["created_at"], response["model"], response["output"]) == (7, "gpt-5.5", [])
    following = await plan(speaks, previous_response_id=response["id"], input="hello")
    assert len(msgspec.json.decode(following.call.body)["input"]) == 1


@pytest.mark.parametrize(("codex_route", "status", "code"), [
    (False, 409, "response_context_unavailable"),
    (True, 400, "previous_response_not_found"),
])  # fmt: skip
async def test_a_context_that_is_gone_is_said_in_the_callers_words(
    codex_route, status, code
) -> None:
    """A Codex client sends the whole conversation when it hears the upstream's own code."""
    with pytest.raises(GatewayError) as refused:
        await plan(speaker(codex_route=codex_route), previous_response_id="resp_9")
    assert (refused.value.status, refused.value.code) == (status, code)
    assert refused.value.param == "previous_response_id"


async def test_another_thing_that_is_gone_is_no_previous_response() -> None:
    """An item that nobody knows can't be mended by the client."""
    with pytest.raises(ContextUnavailable):
        await plan(speaker(codex_route=True), input=[{"type": "item_reference", "id": "msg_9"}])


async def test_an_error_names_the_turn() -> None:
    """Whether it is all that is said, or the last thing."""
    speaks = speaker()
    lane = (await plan(speaks, ("x-request-id", "mine.1"))).lane()
    [broken] = lane.failed(StreamIncomplete("cut"))
    refused = speaks.error_body(StreamIncomplete("cut"))
    assert broken == refused
    said = json.loads(broken)
    assert (said["type"], said["status"], said["error"]["code"]) == (
        "error", 502, "stream_incomplete",
    )  # fmt: skip
    assert said["headers"]["x-request-id"] == "mine.1"
