"""One reply, from its first event to its last, and how the lease is settled by it."""

import asyncio
from unittest.mock import Mock

import pytest

from app.domain.outcome import RateLimited, Succeeded
from app.domain.usage import Usage
from app.errors import (
    StreamIncomplete,
    UpstreamProtocolError,
    UpstreamRefused,
    UpstreamTimeout,
)
from tests.fakes.upstream import HANG, SSE, Answer, FakeReply, broken
from tests.fakes.virtual import LoopClock, virtual
from tests.relay.scene import (
    CREATED,
    DELTA,
    DONE,
    TEXT,
    USAGE,
    WHOLE,
    Heard,
    Scene,
    error,
    event,
    failed,
    good,
    refused,
)


@pytest.fixture(autouse=True, params=[False, True], ids=["read", "pushed"])
def pushing(request, monkeypatch):
    """Both ways from the upstream to the caller: whatever is asked here, they answer the same."""
    monkeypatch.setattr(FakeReply, "pushing", request.param)


@virtual
async def test_a_reply_is_passed_on_and_its_connection_kept():
    """The simplest call: one attempt."""
    scene = Scene(a=[good()])
    assert await scene.stream() == TEXT
    assert scene.upstream.log == ["a asked", "a finished"]
    assert scene.seen == [Succeeded(0.0, Usage(input=3, output=4))]


@virtual
async def test_the_time_to_the_first_content_is_noted():
    """From the request to the first event that a caller may see."""
    scene = Scene(a=[Answer([CREATED, 2.0, DELTA, 5.0, DONE], after_s=1.0)])
    reply = await scene.open()
    assert reply.begun_after_s == 3.0
    assert reply.take_headers() == [SSE]
    assert not reply.take_headers()
    while await reply.read():
        pass
    await reply.close()
    assert scene.seen == [Succeeded(3.0, Usage(input=3, output=4))]


@virtual
async def test_a_reply_whose_only_content_is_its_end_is_whole():
    """A turn may have nothing to say."""
    scene = Scene(a=[Answer([CREATED + DONE])])
    assert await scene.stream() == CREATED + DONE
    assert scene.seen == [Succeeded(0.0, Usage(input=3, output=4))]


LIMITS = event(
    "codex.rate_limits",
    rate_limits={"primary": {"used_percent": 42, "window_minutes": 300, "reset_at": 1_800_009_000}},
)


@pytest.mark.parametrize("first", [CREATED, CREATED + DELTA], ids=["prelude", "content"])
@virtual
async def test_an_event_about_limits_reaches_the_pool(first):
    """Wherever it stands; it is passed on like any other private event."""
    scene = Scene(a=[Answer([first, LIMITS + event("codex.other"), DELTA, DONE])])
    expected = first + LIMITS + event("codex.other") + DELTA + DONE
    assert await scene.stream() == expected
    [state] = scene.pool.states
    assert {name: gauge.used_ratio for name, gauge in state.windows.items()} == {
        ("codex", 300): 0.42
    }


@pytest.mark.parametrize(
    "steps",
    [
        [CREATED, 2.0, DELTA, DONE],
        [2.0, CREATED + DELTA, DONE],
        [CREATED, 2.0, DONE],
        [2.0, CREATED + DELTA + failed("server_error")],
    ],
    ids=["in turn", "together", "nothing but the end", "with a failure"],
)
@virtual
async def test_the_pool_is_told_once_that_content_has_come(steps):
    """Before the lease is settled, however the events came."""
    scene = Scene(a=[Answer(steps)])
    began = scene.admission.began = Mock(wraps=scene.admission.began)
    settle = scene.admission.settle = Mock(wraps=scene.admission.settle)
    order = Mock()
    order.attach_mock(began, "began")
    order.attach_mock(settle, "settle")
    await scene.stream()
    assert [name for name, _, _ in order.mock_calls] == ["began", "settle"]
    assert began.call_args.kwargs == {"first_event_s": 2.0}


@virtual
async def test_the_pool_is_told_of_no_content_where_there_was_none():
    """A failure in the prelude is no sign that the account takes calls."""
    scene = Scene(a=[Answer([CREATED, failed("server_is_overloaded")])], b=[good()])
    began = scene.admission.began = Mock(wraps=scene.admission.began)
    await scene.stream()
    assert [call.args[0].account.id for call in began.call_args_list] == ["b"]


@virtual
async def test_a_limit_within_the_stream_lasts_as_long_as_its_head_said():
    """The event names no time, the headers did."""
    full = [
        SSE,
        ("x-codex-primary-used-percent", "100"),
        ("x-codex-primary-window-minutes", "300"),
        ("x-codex-primary-reset-after-seconds", "900"),
    ]
    last = event("error", error={"type": "usage_limit_reached"})
    scene = Scene(a=[Answer([CREATED, last], headers=full)], b=[good()])
    await scene.stream()
    assert scene.seen[0] == RateLimited(LoopClock.EPOCH + 900.0)


@virtual
async def test_nothing_follows_the_terminal_event():
    """Neither events nor a second end, in the same bytes or later."""
    scene = Scene(a=[Answer([CREATED, DELTA + DONE + DELTA + DONE, DELTA])])
    assert await scene.stream() == TEXT
    assert scene.outcomes == ["a Succeeded"]


@virtual
async def test_a_stream_without_its_last_blank_line_is_whole():
    """The end of the body ends the event; the line that was owed is added."""
    scene = Scene(a=[Answer([CREATED + DELTA, DONE[:-2]])])
    assert await scene.stream() == TEXT


@virtual
@pytest.mark.parametrize("cut", [12, 40])
async def test_half_an_event_at_the_end_of_a_body_is_none(cut):
    """Not even of the terminal event: a proper end of HTTP makes no cut a success."""
    scene = Scene(a=[Answer([CREATED + DELTA, DONE[:-cut]])])
    assert isinstance(await refused(scene), StreamIncomplete)


@virtual
async def test_a_long_prelude_is_not_held_for_ever():
    """Past its bound it goes out, and from then on no other account is tried."""
    long = event("response.in_progress", pad="x" * 70_000)
    scene = Scene(a=[Answer([CREATED, long, broken()])], b=[good()])
    assert isinstance(await refused(scene), StreamIncomplete)
    assert scene.upstream.log == ["a asked", "a aborted"]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([CREATED, DELTA, broken()], StreamIncomplete),
        ([CREATED, DELTA], StreamIncomplete),
        ([CREATED, DELTA, HANG], UpstreamTimeout),
        ([CREATED, DELTA, b"data: " + b"x" * (1 << 21)], UpstreamProtocolError),
        ([CREATED, DELTA, *[b": alive\n\n", 100.0] * 9, DONE], UpstreamTimeout),
        ([CREATED, DELTA, *[b"data: ", 100.0] * 9, DONE], UpstreamTimeout),
    ],
    ids=["cut", "end", "silence", "giant event", "comments only", "drops of bytes"],
)
@virtual
async def test_a_stream_that_breaks_after_content_is_not_tried_again(steps, expected):
    """No reply is ever made of two; the caller is told."""
    scene = Scene(a=[Answer(steps)], b=[good()])
    assert isinstance(await refused(scene), expected)
    assert scene.upstream.log == ["a asked", "a aborted"]
    assert scene.outcomes == ["a Broken"]


@pytest.mark.parametrize("steps", [[CREATED, DELTA, broken()], [CREATED, DELTA, HANG]])
@virtual
async def test_a_whole_reply_that_breaks_is_made_again(steps):
    """Its caller has seen nothing yet."""
    scene = Scene(a=[Answer(steps)], b=[good()])
    assert await scene.whole() == TEXT
    assert scene.outcomes == ["a Broken", "b Succeeded"]


@virtual
async def test_a_whole_reply_that_fails_is_made_again():
    """Also if the upstream itself says so after content."""
    steps = [CREATED, DELTA, failed("server_is_overloaded")]
    scene = Scene(a=[Answer(steps)], b=[good()])
    assert await scene.whole() == TEXT
    assert scene.outcomes == ["a Overloaded", "b Succeeded"]


@virtual
async def test_a_whole_reply_that_was_refused_is_not():
    """The request is at fault."""
    scene = Scene(a=[Answer([CREATED, DELTA, failed("invalid_prompt")])], b=[good()])
    with pytest.raises(UpstreamRefused):
        await scene.whole()


@virtual
async def test_a_whole_reply_that_is_too_large_ends_the_call():
    """Another account's would be as large."""
    big = event("response.output_text.delta", delta="x" * 600_000)
    scene = Scene(a=[Answer([big] * 9)], b=[good()])
    with pytest.raises(UpstreamProtocolError):
        await scene.whole()
    assert scene.outcomes == ["a Abandoned"]


@virtual
async def test_a_fold_that_can_not_read_the_reply_ends_the_call():
    """Even at its last event, when the attempt has succeeded."""

    class Strict(Heard):
        def feed(self, batch) -> None:
            super().feed(batch)
            if batch.raw == DONE:
                raise UpstreamProtocolError("unreadable")

    scene = Scene(a=[good()], b=[good()])
    with pytest.raises(UpstreamProtocolError):
        await scene.whole(Strict)
    assert scene.outcomes == ["a Succeeded"]


@virtual
async def test_a_failure_that_the_upstream_tells_is_passed_on():
    """With its error event, as it came; the account has learnt from it."""
    last = error("rate_limit_exceeded"), failed("rate_limit_exceeded")
    scene = Scene(a=[Answer([CREATED, DELTA, *last])])
    assert await scene.stream() == CREATED + DELTA + b"".join(last)
    assert scene.upstream.log == ["a asked", "a finished"]
    assert scene.outcomes == ["a RateLimited"]


@pytest.mark.parametrize("steps", [[], [HANG], [broken()]], ids=["end", "silence", "cut"])
@pytest.mark.parametrize("together", [True, False])
@virtual
async def test_an_error_event_may_be_the_last_word(steps, together):
    """The `response.failed` that should follow is waited for no longer than a second."""
    said = [CREATED, DELTA + error("server_error")] if together else [CREATED, DELTA, error("x")]
    scene = Scene(a=[Answer([*said, *steps])])
    assert await scene.stream() == b"".join(said)
    assert scene.outcomes == ["a Broken"]
    assert LoopClock().monotonic() <= 1.0


@pytest.mark.parametrize("streamed", [True, False])
@virtual
async def test_an_upstream_may_get_over_its_own_error(streamed):
    """What completes has succeeded."""
    scene = Scene(a=[Answer([CREATED, DELTA, error("server_error"), DONE])])
    expected = CREATED + DELTA + error("server_error") + DONE
    assert await (scene.stream() if streamed else scene.whole()) == expected
    assert scene.outcomes == ["a Succeeded"]


@virtual
async def test_content_and_failure_in_the_same_bytes_have_begun():
    """The caller sees both, and nothing is tried again."""
    both = CREATED + DELTA + failed("server_error")
    scene = Scene(a=[Answer([both])], b=[good()])
    assert await scene.stream() == both
    assert scene.outcomes == ["a Broken"]


@virtual
async def test_a_slow_caller_is_not_the_upstreams_silence():
    """Whoever reads for ten minutes is not cut for it."""
    scene = Scene(a=[Answer([CREATED, DELTA, 250.0, DELTA, DONE])])
    reply = await scene.open()
    heard = b""
    while (batch := await reply.read()) is not None:
        heard += batch.raw
        await asyncio.sleep(600.0)
    await reply.close()
    assert heard == CREATED + DELTA + DELTA + DONE
    assert scene.outcomes == ["a Succeeded"]


class Ledger(Scene):
    """A scene in which every event that goes out and all that is told has its place in a list."""

    def __init__(self, **scripts) -> None:
        self.order: list[str] = []
        super().__init__(**scripts)

    def began(self, call, account) -> None:
        """Note it."""
        self.order.append("began")
        super().began(call, account)

    def attempt(self, call, account, outcome, heard) -> None:
        """Note it."""
        self.order.append("over")
        super().attempt(call, account, outcome, heard)

    async def play(self) -> list[str]:
        """Return the order in which a stream's events went out and the observer was told."""
        reply = await self.open()
        try:
            while (batch := await reply.read()) is not None:
                self.order += [each.data.split(b'"')[3].decode() for each in batch.events]
        finally:
            await reply.close()
        return self.order


@virtual
@pytest.mark.parametrize(
    "steps",
    [
        [CREATED, DELTA, DONE],
        [CREATED + DELTA + DONE],
        [CREATED, DELTA + DONE],
        [CREATED, DELTA, failed("server_error")],
        [CREATED + DELTA, error("server_error"), failed("server_error")],
    ],
)
async def test_the_observer_is_told_before_anybody_downstream(steps):
    """Of content before the first event goes out, of the end before the terminal event does."""
    order = await Ledger(a=[Answer(steps)]).play()
    assert order[:1] == ["began"]
    [last] = [at for at, name in enumerate(order) if name == "over"]
    ends = ("response.completed", "response.failed")
    [end] = [at for at, name in enumerate(order) if name in ends]
    assert last < end == len(order) - 1


def delta(text: str, **fields) -> bytes:
    """Return an event of content."""
    return event("response.output_text.delta", delta=text, **fields)


@virtual
@pytest.mark.parametrize(
    ("steps", "deltas", "text_bytes"),
    [
        ([delta("four")], 1, 4),
        ([delta('he said "no", and left', item_id="msg_1")], 1, 24),
        ([delta("four", obfuscation="x" * 99) + delta("fives")], 2, 9),
        ([event("response.content_part.added"), delta("four")], 2, 4),
        ([event("response.output_item.done", item={"type": "message"})], 1, 0),
        # Of a long one every sixteenth stands for those before it.
        ([delta("four")] * 16, 16, 64),
        ([delta("four")] * 40, 40, 128),
        # Spelled in a way that nobody expected.
        ([b'data: {"type": "response.output_text.delta", "delta": "four"}\n\n'], 1, 0),
    ],
)
async def test_the_text_of_a_reply_that_breaks_is_measured(steps, deltas, text_bytes):
    """Roughly: it is for an estimate."""
    scene = Scene(a=[Answer([CREATED, *steps, broken()])])
    with pytest.raises(StreamIncomplete):
        await scene.stream()
    [heard] = scene.heard
    assert (heard.usage, heard.deltas, heard.text_bytes) == (None, deltas, text_bytes)


@virtual
@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete", "response.failed"])
async def test_what_the_terminal_event_counts_is_kept(kind):
    """With the tier that was charged; also where the reply has failed in the end."""
    end = event(kind, response={"usage": USAGE, "service_tier": "priority"})
    scene = Scene(a=[Answer([CREATED, DELTA, end])])
    await scene.stream()
    [heard] = scene.heard
    assert (heard.usage, heard.tier) == (Usage(input=3, output=4), "priority")


@virtual
async def test_nothing_was_heard_of_a_reply_that_did_not_begin():
    """It told of an error by its status."""
    scene = Scene(a=[Answer([b"{}"], status=400)])
    with pytest.raises(UpstreamRefused):
        await scene.open()
    assert scene.heard == [None]


def data(raw: bytes) -> bytes:
    """Return the data of one event."""
    return raw.split(b"data: ")[1].strip()


MESSAGES = [data(raw) for raw in WHOLE]


@virtual
async def test_messages_are_framed_for_callers_who_read_events():
    """Byte for byte what they would have got over HTTP."""
    scene = Scene(a=[Answer(list(MESSAGES), messages=True)])
    assert await scene.stream() == TEXT
    assert scene.upstream.log == ["a asked", "a finished"]


@virtual
async def test_messages_stay_what_they_are_for_callers_who_take_them_live():
    """The object that was received is the one that is passed on."""
    scene = Scene(a=[Answer(list(MESSAGES), messages=True)])
    reply = await scene.open(live=True)
    passed = []
    while (batch := await reply.read()) is not None:
        passed += [event.data for event in batch.events]
    await reply.close()
    assert all(got is sent for got, sent in zip(passed, MESSAGES, strict=True))


@virtual
async def test_what_is_sent_to_a_live_caller_by_http_has_the_same_data():
    """The upstream's way makes no difference."""
    scene = Scene(a=[good()])
    reply = await scene.open(live=True)
    passed = []
    while (batch := await reply.read()) is not None:
        passed += [event.data for event in batch.events]
    await reply.close()
    assert passed == MESSAGES


@pytest.mark.parametrize(
    ("code", "expected"),
    [("websocket_connection_limit_reached", 1), ("websocket_stream_limit_reached", 1)],
)
def test_a_connection_s_limit_in_a_reply_is_another_attempt(code, expected):
    """It says nothing about the account nor about the call."""

    @virtual
    async def play() -> None:
        told = data(event("error", status=400, error={"code": code, "message": "no"}))
        scene = Scene(
            a=[Answer([MESSAGES[0], told], messages=True)],
            b=[Answer(list(MESSAGES), messages=True)],
        )
        assert await scene.stream() == TEXT
        assert len(scene.upstream.log) == 4
        assert scene.outcomes.count("a Broken") == expected

    play()
