"""Tests of app.edge.dataplane."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from app.dialects.responses.errors import error_body
from app.domain.call import Call, Dialect
from app.edge.dataplane import Asked, Bounds, DataPlane, Plan, error_headers
from app.edge.guards import Guard
from app.edge.inflight import InFlight
from app.edge.streaming import Pace
from app.errors import (
    CapacityError,
    GatewayError,
    InvalidRequest,
    StreamIncomplete,
    UpstreamRefused,
)
from app.relay.reply import Batch
from app.wire.sse import SseEvent
from tests.edge.asgi import CALLER, KEY, Book, Callers, Server, scope, with_key
from tests.fakes.clock import FakeClock

BODY_BYTES_MAX = 100_000


class Reply:
    """What the relay opens: batches, or what to raise in their place."""

    headers = (("openai-model", "m"), ("set-cookie", "secret"))

    def __init__(self, *steps: bytes | BaseException) -> None:
        self._steps = list(steps)
        self.closed = 0

    async def read(self) -> Batch | None:
        """Return or raise the next step; wait for ever at a future."""
        if not self._steps:
            return None
        step = self._steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        return Batch(step, [SseEvent("", step, step)])

    async def close(self) -> None:
        """Count."""
        self.closed += 1


class Relay:
    """Opens one reply, or fails."""

    def __init__(self, answer: Reply | BaseException | None = None) -> None:
        self.answer = answer
        self.calls: list[Call] = []
        self.asked = asyncio.Event()

    async def open(self, call: Call) -> Reply:
        """Return the reply."""
        self.calls.append(call)
        self.asked.set()
        if isinstance(self.answer, BaseException):
            raise self.answer
        if self.answer is None:
            await asyncio.get_running_loop().create_future()
        return self.answer

    async def whole(self, call: Call, make: Any) -> Any:
        """Return a whole reply."""
        await self.open(call)
        return make()


class Whole:
    """A whole reply."""

    def feed(self, batch: Batch) -> None:
        """Take nothing."""

    def body(self) -> bytes:
        """Return it."""
        return b"{}"


class Lane:
    """Says everything in capitals; breaks on a word."""

    def feed(self, batch: Batch) -> bytes:
        """Return it louder."""
        if batch.raw == b"break":
            raise RuntimeError
        return batch.raw.upper()

    def finish(self) -> bytes:
        """Say that it is over."""
        return b"END"

    def failed(self, error: GatewayError) -> bytes:
        """Say what broke."""
        return f"FAILED {error.code}".encode()


class Speaker:
    """Plans what the body says: `stream`, `whole`, or what to raise."""

    dialect = Dialect.RESPONSES

    def __init__(self, *, codex_route: bool = False, error: BaseException | None = None) -> None:
        self.codex_route = codex_route
        self._error = error

    def plan(self, asked: Asked) -> Plan:
        """Return the plan."""
        if self._error is not None:
            raise self._error
        call = Call(
            id=asked.head.request_id,
            caller_id=asked.caller.id,
            dialect=self.dialect,
            model="m",
            body=asked.body,
        )
        return Plan(call=call, stream=asked.body != b"whole", lane=Lane, whole=Whole)

    def error_body(self, error: GatewayError) -> bytes:
        """Return OpenAI's shape."""
        return error_body(error)


class Scene:
    """A data plane with everything around it faked."""

    def __init__(
        self, relay: Relay | None = None, speaker: Speaker | None = None, **pace: float
    ) -> None:
        self.relay = relay or Relay(Reply(b"one"))
        self.speaker = speaker or Speaker()
        self.in_flight = InFlight(calls_max=3)
        self.book = Book()
        clock = FakeClock()
        self.plane = DataPlane(
            guard=Guard(callers=Callers(), clock=clock, allow_anonymous=False),
            relay=self.relay,
            in_flight=self.in_flight,
            clock=clock,
            observer=self.book,
            bounds=Bounds(
                BODY_BYTES_MAX,
                5.0,
                Pace(
                    pace.get("commit_after_s", 60.0),
                    pace.get("keepalive_s", 60.0),
                    pace.get("send_timeout_s", 60.0),
                ),
            ),
        )

    async def ask(self, given: Any, server: Server) -> Server:
        """Serve one request; whatever it comes to, nothing of it stays behind."""
        try:
            await self.plane.serve(self.speaker, given, server.receive, server.send)
        finally:
            assert (len(self.in_flight), self.in_flight.body_bytes, self.book.streams) == (0, 0, 0)
            assert len(self.book.calls) == 1
        return server


def code(server: Server) -> str:
    """Return the code of an error, whose object is complete."""
    error = msgspec.json.decode(server.body)["error"]
    assert error.keys() >= {"message", "type", "param", "code"}
    assert server.headers["x-codex2api-reason"] == error["code"]
    assert server.headers["x-request-id"]
    return error["code"]


async def test_a_stream_goes_from_the_reply_to_the_caller() -> None:
    """Its headers too, as far as they may; the body is let go of once the reply has begun."""
    reply = Reply(b"one", b"", b"two")
    scene = Scene(Relay(reply))
    server = await scene.ask(with_key(("x-request-id", "mine")), Server(b"stream"))
    assert (server.status, server.body, server.ended) == (200, b"ONETWOEND", True)
    assert (server.headers["x-request-id"], server.headers["openai-model"]) == ("mine", "m")
    assert "set-cookie" not in server.headers
    assert (reply.closed, scene.book.calls) == (1, [(200, "ok")])
    assert (scene.relay.calls[0].caller_id, scene.relay.calls[0].body) == (CALLER.id, b"stream")


async def test_a_whole_reply_is_one_answer() -> None:
    """With its length."""
    scene = Scene()
    server = await scene.ask(with_key(), Server(b"whole"))
    assert (server.status, server.body, server.headers["content-length"]) == (200, b"{}", "2")


NOT_ASKED: Sequence[tuple[Any, bytes, int, str]] = (
    (scope(), b"x", 401, "invalid_api_key"),
    (with_key(method="GET"), b"", 405, "method_not_allowed"),
    (with_key(("host", "other")), b"", 400, "invalid_request"),
    (with_key(("content-length", "100001")), b"", 413, "payload_too_large"),
    (with_key(("content-encoding", "br")), b"x", 415, "invalid_request"),
)


@pytest.mark.parametrize(("given", "body", "status", "said"), NOT_ASKED)
async def test_what_is_wrong_costs_no_account(given, body, status, said) -> None:
    """The relay hears nothing of it."""
    scene = Scene()
    server = await scene.ask(given, Server(body))
    assert (server.status, code(server), scene.relay.calls) == (status, said, [])
    assert scene.book.calls == [(status, said)]
    assert server.headers.get("allow") == ("POST" if status == 405 else None)


async def test_what_the_dialect_refuses_is_said_with_its_place() -> None:
    """`param` is the field's path."""
    scene = Scene(speaker=Speaker(error=InvalidRequest("no", param="a.b")))
    server = await scene.ask(with_key(), Server(b"x"))
    assert (server.status, code(server)) == (400, "invalid_request")
    assert msgspec.json.decode(server.body)["error"]["param"] == "a.b"


@pytest.mark.parametrize(("codex_route", "status"), [(False, 413), (True, 400)])
async def test_a_codex_client_is_not_told_413(codex_route, status) -> None:
    """It would send the same body five times more."""
    scene = Scene(speaker=Speaker(codex_route=codex_route))
    given = with_key(("transfer-encoding", "chunked"))
    server = await scene.ask(given, Server(bytes(BODY_BYTES_MAX), b"x", b"x", b""))
    assert (server.status, code(server)) == (status, "payload_too_large")


async def test_a_long_body_is_taken_in_after_an_early_answer() -> None:
    """The answer comes first, and says that the connection ends with it."""
    scene = Scene()
    server = Server()
    given = with_key(("content-length", "100001"))
    task = asyncio.create_task(scene.ask(given, server))
    await server.until(2)
    assert (server.status, server.headers["connection"]) == (413, "close")
    await asyncio.sleep(0)
    assert not task.done()
    server.bring(bytes(100_001), more=False)
    await task


async def test_a_flawed_request_ends_its_connection() -> None:
    """What follows may be read in two ways as well."""
    server = await Scene().ask(with_key(("host", "other")), Server())
    assert server.headers["connection"] == "close"


async def test_a_drain_refuses_and_closes() -> None:
    """503 with a time to come back."""
    scene = Scene()
    scene.in_flight.drain()
    server = await scene.ask(with_key(), Server(b"x"))
    assert (server.status, code(server)) == (503, "server_draining")
    assert (server.headers["connection"], server.headers["retry-after"]) == ("close", "1")


async def test_a_failure_before_the_head_has_a_status() -> None:
    """And its headers."""
    error = CapacityError("full", retry_after_s=7.2)
    server = await Scene(Relay(error)).ask(with_key(), Server(b"stream"))
    assert (server.status, code(server), server.headers["retry-after"]) == (503, "pool_busy", "8")


async def test_a_failure_in_the_stream_is_its_last_event() -> None:
    """The status is out already; the reply is closed and the code is booked."""
    reply = Reply(b"one", StreamIncomplete("cut"))
    scene = Scene(Relay(reply))
    server = await scene.ask(with_key(), Server(b"stream"))
    assert (server.status, server.body) == (200, b"ONEFAILED stream_incomplete")
    assert server.ended
    assert (reply.closed, scene.book.calls) == (1, [(200, "stream_incomplete")])


async def test_a_failure_before_the_stream_but_after_its_head() -> None:
    """A caller that was kept company gets an event, not a second head."""
    relay = Relay()
    scene = Scene(relay, commit_after_s=0.0)
    server = Server(b"stream")

    async def fail(call: Call) -> Reply:
        await server.until(2)
        raise CapacityError(call.model)

    relay.open = fail
    await scene.ask(with_key(), server)
    assert server.body.endswith(b"FAILED pool_busy")
    assert server.ended


@pytest.mark.parametrize("where", ["plan", "relay", "lane"])
async def test_a_defect_is_an_answer_and_a_line_in_the_log(where, caplog) -> None:
    """500 while that is possible, else the stream's last event; the words are not the caller's."""
    speaker = Speaker(error=RuntimeError("secret") if where == "plan" else None)
    relay = Relay(RuntimeError("secret") if where == "relay" else Reply(b"one", b"break"))
    scene = Scene(relay, speaker)
    with caplog.at_level(logging.ERROR):
        server = await scene.ask(with_key(), Server(b"stream"))
    if where == "lane":
        assert server.body == b"ONEFAILED internal_error"
    else:
        assert (server.status, code(server)) == (500, "internal_error")
    assert b"secret" not in server.body
    assert len(caplog.records) == 1


async def test_a_defect_after_the_end_says_nothing_more() -> None:
    """The caller has its answer."""

    class Unclosable(Reply):
        async def close(self) -> None:
            await super().close()
            raise RuntimeError

    server = await Scene(Relay(Unclosable(b"one"))).ask(with_key(), Server(b"stream"))
    assert server.body == b"ONEEND"


async def test_an_answer_that_breaks_off_is_not_ended() -> None:
    """A whole answer has no place for an error; the server cuts it."""

    class Breaking(Server):
        async def send(self, message: Any) -> None:
            if len(self.sent) == 1:
                raise RuntimeError
            await super().send(message)

    server = await Scene().ask(with_key(), Breaking(b"whole"))
    assert (server.status, server.ended) == (200, False)


async def test_a_caller_that_leaves_takes_its_call_along() -> None:
    """The task ends quietly, and the call is booked as 499."""
    relay = Relay()
    scene = Scene(relay)
    server = Server(b"stream")
    task = asyncio.create_task(scene.ask(with_key(), server))
    await relay.asked.wait()
    server.leave()
    await task
    assert (server.sent, scene.book.calls) == ([], [(499, "ok")])
    assert not task.cancelling()


async def test_a_caller_that_does_not_read_the_end_of_a_broken_stream_is_left() -> None:
    """The send timeout holds while an error is said as well."""
    scene = Scene(
        Relay(Reply(b"one", StreamIncomplete("cut"))), commit_after_s=0.001, send_timeout_s=0.01
    )
    await scene.ask(with_key(), Server(b"stream", stuck_after=2))
    assert scene.book.calls[0][0] == 499


async def test_the_servers_own_end_is_not_swallowed() -> None:
    """A task that is cancelled from outside ends as cancelled."""
    relay = Relay()
    scene = Scene(relay)
    task = asyncio.create_task(scene.ask(with_key(), Server(b"stream")))
    await relay.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_full_gateway_says_so() -> None:
    """503 without a look at the body."""
    scene = Scene()
    places = [scene.in_flight.enter() for _ in range(3)]
    server = Server(b"x")
    await scene.plane.serve(scene.speaker, with_key(), server.receive, server.send)
    assert (server.status, code(server), server.headers["retry-after"]) == (503, "overloaded", "2")
    for place in places:
        place.leave()


@pytest.mark.parametrize(("error", "expected"), [
    (GatewayError("x"), {"x-codex2api-reason": "internal_error"}),
    (GatewayError("x", retry_after_s=0.1), {"x-codex2api-reason": "internal_error",
                                            "retry-after": "1"}),
    (GatewayError("x", retry_after_s=121), {"x-codex2api-reason": "internal_error",
                                            "retry-after": "121", "x-should-retry": "false"}),
    (UpstreamRefused("x"), {}),
])  # fmt: skip
def test_an_errors_headers(error, expected) -> None:
    """The gateway's own reason, unless the words are the upstream's; when to come back."""
    found = {name.decode(): value.decode() for name, value in error_headers(error)}
    assert found.pop("content-type") == "application/json"
    assert found == expected


async def test_a_call_is_a_line_for_who_asks_for_details(caplog) -> None:
    """Who, what and how it ended; neither the key nor the body."""
    with caplog.at_level(logging.DEBUG):
        await Scene().ask(with_key(("x-request-id", "mine")), Server(b"secret"))
    (record,) = [record for record in caplog.records if record.name == "app.edge.dataplane"]
    assert (record.request_id, record.status, record.code) == ("mine", 200, "ok")
    assert KEY not in str(vars(record))
    assert "secret" not in str(vars(record))


def test_a_key_never_reaches_an_answer() -> None:
    """Nor does the test's own one."""
    assert KEY not in str(error_headers(GatewayError(KEY)))
