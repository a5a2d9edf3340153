"""Whole calls, from the caller's request to the caller's answer, as files to read.

A case is a folder under `tests/golden/chat`: `request.json` and `upstream.sse` are written by
hand, `upstream_request.json`, `reply.sse` and `reply.json` are what the dialect makes of them.
`GOLDEN_UPDATE=1` writes these three anew; read the difference before you keep it.
"""

from pathlib import Path

import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from app.dialects.chat.errors import error_body
from app.dialects.chat.replies import ChatFold, ChatStream
from app.dialects.chat.requests import decode, to_responses
from app.errors import GatewayError
from tests.dialects.goldens import agrees, events_of, pretty, streamed

FOLDER = Path(__file__).parents[2] / "golden" / "chat"
CASES = sorted(path.name for path in FOLDER.iterdir())
EFFORTS = ("low", "medium", "high", "xhigh")
UPSTREAM_MODEL = "gpt-5.5"
REPLY = {"id": "chatcmpl-golden", "created_at": 1784900000}


def call_of(case):
    """Return the call that the case's request asks for."""
    request = decode((FOLDER / case / "request.json").read_bytes())
    return to_responses(request, upstream_model=UPSTREAM_MODEL, efforts=EFFORTS)


@pytest.mark.parametrize("case", CASES)
def test_the_request_goes_upstream_as_written(case):
    """`upstream_request.json` is what the upstream is sent."""
    agrees(FOLDER / case / "upstream_request.json", pretty(call_of(case).body))


@pytest.mark.parametrize("case", CASES)
def test_the_streamed_reply_is_as_written(case):
    """`reply.sse` is what a caller that streams is sent."""
    reply = ChatStream(call=call_of(case), **REPLY)
    agrees(FOLDER / case / "reply.sse", streamed(reply, FOLDER / case))


@pytest.mark.parametrize("case", CASES)
def test_the_whole_reply_is_as_written(case):
    """`reply.json` is what any other caller is sent."""
    reply = ChatFold(call=call_of(case), **REPLY)
    for event in events_of(FOLDER / case):
        reply.feed(event)
    try:
        data = reply.to_completion()
    except GatewayError as error:
        data = error_body(error)
    agrees(FOLDER / case / "reply.json", pretty(data))


@pytest.mark.parametrize("case", CASES)
def test_the_official_library_reads_the_reply(case):
    """Its types know the answer, but for pieces of custom calls and for errors."""
    whole = msgspec.json.decode((FOLDER / case / "reply.json").read_bytes())
    if "error" not in whole:
        ChatCompletion.model_validate(whole)
    for event in (FOLDER / case / "reply.sse").read_bytes().split(b"\n\n"):
        if b'"custom"' not in event and b'{"error"' not in event and b"{" in event:
            ChatCompletionChunk.model_validate_json(event.removeprefix(b"data: "))
