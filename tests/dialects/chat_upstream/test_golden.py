"""Whole calls to an upstream that speaks Chat Completions, as files to read.

A case is a folder under `tests/golden/chat_upstream`: `request.json` (a Responses request, and
`tuning.json` if there is any) and `upstream.sse` are written by hand; `upstream_request.json`,
`platform_request.json` and `reply.sse` are what is made of them. `GOLDEN_UPDATE=1` writes these
three anew; read the difference before you keep it.
"""

from pathlib import Path

import msgspec
import pytest
from openai.types.chat import completion_create_params
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from app.dialects.chat_upstream.replies import Retold, Teller
from app.dialects.chat_upstream.requests import to_chat
from app.dialects.responses.events import Kind, classify
from app.wire.sse import SseDecoder
from tests.dialects.goldens import agrees, pretty

FOLDER = Path(__file__).parents[2] / "golden" / "chat_upstream"
CASES = sorted(path.name for path in FOLDER.iterdir())
EVENT = TypeAdapter(ResponseStreamEvent)
BROKEN = ("stopped_in_the_middle",)
"""Cases whose upstream never says why it ended."""


def asked(case, *, platform):
    """Return what the upstream is asked in this case."""
    folder = FOLDER / case
    tuning = folder / "tuning.json"
    return to_chat(
        (folder / "request.json").read_bytes(),
        tuning.read_bytes() if tuning.exists() else b"",
        model="served",
        platform=platform,
    )


def events_of(data):
    """Return the data of the events in a stream."""
    decoder = SseDecoder()
    return [event.data for event in decoder.feed(data)]


def retold(case):
    """Return the reply of this case as it is retold."""
    free_form = asked(case, platform="platform" in case).free_form
    reply = Retold(Teller("golden", 1784900000, "gpt-5.5", free_form))
    told = [reply.feed(data) for data in events_of((FOLDER / case / "upstream.sse").read_bytes())]
    return b"".join(told) + reply.finish()


@pytest.mark.parametrize("case", CASES)
def test_the_request_is_said_as_written(case):
    """`upstream_request.json` is what a compatible server is sent, the other file the platform."""
    agrees(FOLDER / case / "upstream_request.json", pretty(asked(case, platform=False).body))
    agrees(FOLDER / case / "platform_request.json", pretty(asked(case, platform=True).body))


@pytest.mark.parametrize("case", CASES)
def test_the_reply_is_retold_as_written(case):
    """`reply.sse` is what the relay reads."""
    agrees(FOLDER / case / "reply.sse", retold(case))


@pytest.mark.parametrize("case", CASES)
def test_the_official_library_reads_the_reply(case):
    """Its types know every event, which are numbered without gaps and end in the only end."""
    events = events_of((FOLDER / case / "reply.sse").read_bytes())
    kinds = [classify(data) for data in events]
    numbers = [msgspec.json.decode(data)["sequence_number"] for data in events]
    assert numbers == list(range(len(events)))
    ends = [kind for kind in kinds if kind.terminal]
    assert ends == ([] if case in BROKEN else [kinds[-1]])
    for data, kind in zip(events, kinds, strict=True):
        if kind is not Kind.FAILED:  # the library knows a closed set of codes
            EVENT.validate_json(data)
        if kind in (Kind.COMPLETED, Kind.INCOMPLETE):
            Response.model_validate(msgspec.json.decode(data)["response"])


@pytest.mark.parametrize("case", CASES)
def test_the_official_library_knows_the_request(case):
    """Every field that the platform is sent is one of those that its own library sends."""
    known = set(completion_create_params.CompletionCreateParamsStreaming.__annotations__)
    known |= set(completion_create_params.CompletionCreateParamsBase.__annotations__)
    assert msgspec.json.decode(asked(case, platform=True).body).keys() <= known
