"""Whole calls, from the caller's request to the caller's answer, as files to read.

A case is a folder under `tests/golden/messages`: `request.json` and `upstream.sse` are written by
hand, `upstream_request.json`, `reply.sse` and `reply.json` are what the dialect makes of them.
A case without `upstream.sse` is refused, and `error.json` is what its caller is told.
`GOLDEN_UPDATE=1` writes these anew; read the difference before you keep it.
"""

from pathlib import Path

import msgspec
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from app.dialects.messages.errors import error_body
from app.dialects.messages.replies import MessagesFold, MessagesStream
from app.dialects.messages.requests import decode, to_responses
from app.dialects.messages.violations import dotted
from app.errors import GatewayError, InvalidRequest
from tests.dialects.goldens import agrees, events_of, pretty, streamed

FOLDER = Path(__file__).parents[2] / "golden" / "messages"
ALL = sorted(path.name for path in FOLDER.iterdir())
CASES = [name for name in ALL if (FOLDER / name / "upstream.sse").exists()]
REFUSED = [name for name in ALL if name not in CASES]
EFFORTS = ("low", "medium", "high", "xhigh")
UPSTREAM_MODEL = "gpt-5.5"
ID = "msg_golden"
EVENT = TypeAdapter(RawMessageStreamEvent)


def call_of(case):
    """Return the call that the case's request asks for."""
    request = decode((FOLDER / case / "request.json").read_bytes())
    return to_responses(request, upstream_model=UPSTREAM_MODEL, efforts=EFFORTS)


@pytest.mark.parametrize("case", CASES)
def test_the_request_goes_upstream_as_written(case):
    """`upstream_request.json` is what the upstream is sent."""
    agrees(FOLDER / case / "upstream_request.json", pretty(call_of(case).body))


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_asked_is_refused_as_written(case):
    """`error.json` is what the caller is told, and it names the field."""
    with pytest.raises(InvalidRequest) as caught:
        call_of(case)
    body = error_body(caught.value)
    assert dotted(caught.value.param) in msgspec.json.decode(body)["error"]["message"]
    agrees(FOLDER / case / "error.json", pretty(body))


@pytest.mark.parametrize("case", CASES)
def test_the_streamed_reply_is_as_written(case):
    """`reply.sse` is what a caller that streams is sent."""
    reply = MessagesStream(call=call_of(case), id=ID)
    agrees(FOLDER / case / "reply.sse", streamed(reply, FOLDER / case))


@pytest.mark.parametrize("case", CASES)
def test_the_whole_reply_is_as_written(case):
    """`reply.json` is what any other caller is sent."""
    reply = MessagesFold(call=call_of(case), id=ID)
    for event in events_of(FOLDER / case):
        reply.feed(event)
    try:
        data = reply.to_message()
    except GatewayError as error:
        data = error_body(error)
    agrees(FOLDER / case / "reply.json", pretty(data))


@pytest.mark.parametrize("case", CASES)
def test_the_official_library_reads_the_reply(case):
    """Its types know every event and the whole answer."""
    whole = msgspec.json.decode((FOLDER / case / "reply.json").read_bytes())
    if whole["type"] != "error":
        Message.model_validate(whole)
    for event in (FOLDER / case / "reply.sse").read_bytes().split(b"\n\n"):
        if event and not event.startswith(b"event: error"):
            EVENT.validate_json(event.partition(b"\ndata: ")[2])
