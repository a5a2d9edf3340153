"""Whole legacy completions, from the caller's request to the caller's answer, as files to read.

A case is a folder under `tests/golden/completions`: `request.json` and `upstream.sse` are written
by hand, `upstream_request.json`, `reply.sse` and `reply.json` are what the dialect makes of them.
`GOLDEN_UPDATE=1` writes these three anew; read the difference before you keep it.
"""

from pathlib import Path

import msgspec
import pytest
from openai.types import Completion

from app.dialects.chat.errors import error_body
from app.dialects.completions.replies import CompletionFold, CompletionStream
from app.dialects.completions.requests import decode, to_responses
from app.errors import GatewayError
from app.wire.peek import peek
from tests.dialects.goldens import agrees, events_of, pretty, streamed

FOLDER = Path(__file__).parents[2] / "golden" / "completions"
CASES = sorted(path.name for path in FOLDER.iterdir())
REPLY = {"id": "cmpl-golden", "created_at": 1784900000}


def call_of(case):
    """Return the call that the case's request asks for."""
    body = (FOLDER / case / "request.json").read_bytes()
    return to_responses(decode(body), peek(body).fields, upstream_model="gpt-5.5")


@pytest.mark.parametrize("case", CASES)
def test_the_request_goes_upstream_as_written(case):
    """`upstream_request.json` is what the upstream is sent, and what only some upstreams heed."""
    call = call_of(case)
    sent = b'{"body":%b,"tuning":%b}' % (call.body, call.tuning or b"null")
    agrees(FOLDER / case / "upstream_request.json", pretty(sent))


@pytest.mark.parametrize("case", CASES)
def test_the_streamed_reply_is_as_written(case):
    """`reply.sse` is what a caller that streams is sent."""
    reply = CompletionStream(call=call_of(case), **REPLY)
    agrees(FOLDER / case / "reply.sse", streamed(reply, FOLDER / case))


@pytest.mark.parametrize("case", CASES)
def test_the_whole_reply_is_as_written(case):
    """`reply.json` is what any other caller is sent."""
    reply = CompletionFold(call=call_of(case), **REPLY)
    for event in events_of(FOLDER / case):
        reply.feed(event)
    try:
        data = reply.body()
    except GatewayError as error:
        data = error_body(error)
    agrees(FOLDER / case / "reply.json", pretty(data))


@pytest.mark.parametrize("case", CASES)
def test_the_official_library_reads_the_reply(case):
    """Its types know the answer and the last chunk, but for errors; others have no reason yet."""
    whole = msgspec.json.decode((FOLDER / case / "reply.json").read_bytes())
    if "error" not in whole:
        Completion.model_validate(whole)
    for event in (FOLDER / case / "reply.sse").read_bytes().split(b"\n\n"):
        if b'"finish_reason":"' in event:
            Completion.model_validate_json(event.removeprefix(b"data: "))
