"""Tests of app.edge.dataplane."""

import asyncio
import gc
import logging
import weakref
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec import structs

from app.dialects.responses.errors import error_body
from app.domain.call import Call, Dialect
from app.domain.caller import Allowance, Caller, KeyId
from app.domain.ledger import Answered
from app.domain.price import Price
from app.edge.company import Pace
from app.edge.dataplane import Bounds, DataPlane, Turn
from app.edge.guards import Guard
from app.edge.inflight import InFlight
from app.edge.plans import Asked, DocumentForm, Plan, PlanOf, Told, no_events
from app.edge.request import read_head
from app.errors import (
    CapacityError,
    GatewayError,
    InvalidRequest,
    StreamIncomplete,
    UpstreamRefused,
)
from app.relay.diagnosis import Fault
from app.relay.reply import Batch, Take
from app.usage.prices import PriceTable
from app.wire.sse import SseEvent
from tests.edge.asgi import CALLER, KEY, Book, Callers, Server, scope, with_key
from tests.edge.books import Books
from tests.fakes.clock import FakeClock

BODY_BYTES_MAX = 100_000


class Reply:
    """What the relay opens: batches, or what to raise in their place."""

    @staticmethod
    def take_headers() -> tuple[tuple[str, str], ...]:
        """Return some that may travel, and one that may not."""
        return ("openai-model", "m"), ("set-cookie", "secret")

    def __init__(self, *steps: bytes | BaseException, failed: Fault | None = None) -> None:
        self._steps = list(steps)
        self.closed = 0
        self.failed = failed

    async def read(self) -> Batch | None:
        """Return or raise the next step; wait for ever at a future."""
        if not self._steps:
            return None
        step = self._steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        return Batch(step, [SseEvent("", step, step)])

    async def flow(self, take: Take) -> None:
        """Hand all steps on."""
        while (batch := await self.read()) is not None:
            pending = take(batch)
            if pending is not None:
                await pending

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

    async def plan(self, asked: Asked) -> Plan:
        """Return the plan."""
        if self._error is not None:
            raise self._error
        call = Call(
            id=asked.head.request_id,
            caller_id=asked.caller.id,
            dialect=self.dialect,
            model="m",
            body=asked.body,
            uid=asked.uid,
            asked_model="asked-m",
            stream=asked.body != b"whole",
        )
        return Plan(call=call, stream=asked.body != b"whole", lane=Lane, whole=Whole)

    def error_body(self, error: GatewayError) -> bytes:
        """Return OpenAI's shape."""
        return error_body(error)


class Scene:
    """A data plane with everything around it faked."""

    def __init__(
        self,
        relay: Relay | None = None,
        speaker: Speaker | None = None,
        caller: Caller = CALLER,
        patience_s: float = 0.0,
        **pace: float,
    ) -> None:
        self.relay = relay or Relay(Reply(b"one"))
        self.speaker = speaker or Speaker()
        self.in_flight = InFlight(calls_max=3)
        self.book = Book()
        clock = self.clock = FakeClock()
        self.books = Books(clock)
        self.plane = DataPlane(
            guard=Guard(callers=Callers([(KEY, caller)]), clock=clock, allow_anonymous=False),
            till=self.books.till,
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
                lambda: patience_s,
            ),
        )

    async def ask(self, given: Any, server: Server) -> Server:
        """Serve one request; whatever it comes to, nothing of it stays behind."""
        before = len(self.book.calls)
        try:
            await self.plane.serve(self.speaker, given, server.receive, server.send)
        finally:
            assert (len(self.in_flight), self.in_flight.body_bytes, self.book.streams) == (0, 0, 0)
            assert len(self.book.calls) == before + 1
            assert len(self.books.accountant) == self.plane._left == 0
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


@pytest.mark.parametrize("given", [scope(), with_key(("content-length", "100001"))])
async def test_a_refused_request_is_let_go_of_at_once(given) -> None:
    """The server ends a connection whose body is still owed only when nobody holds it any more."""
    gc.disable()
    try:
        scene, server = Scene(), Server(b"x")
        await scene.ask(given, server)
        held = weakref.ref(server)
        del server
        assert held() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(("codex_route", "status"), [(False, 413), (True, 400)])
async def test_a_codex_client_is_not_told_413(codex_route, status) -> None:
    """It would send the same body five times more."""
    scene = Scene(speaker=Speaker(codex_route=codex_route))
    given = with_key(("transfer-encoding", "chunked"))
    server = await scene.ask(given, Server(bytes(BODY_BYTES_MAX), b"x", b"x", b""))
    assert (server.status, code(server)) == (status, "payload_too_large")


@pytest.mark.parametrize(("codex_route", "status"), [(False, 413), (True, 400)])
async def test_nor_is_it_when_the_upstream_says_so(codex_route, status) -> None:
    """The refusal is the upstream's own, with its words."""
    error = UpstreamRefused("Too long.", status=413, code="payload_too_large")
    scene = Scene(Relay(error), Speaker(codex_route=codex_route))
    server = await scene.ask(with_key(), Server(b"stream"))
    assert server.status == status
    assert b"Too long." in server.body


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


def limited(**fields: Any) -> Caller:
    """Return a caller whose key has limits."""
    return Caller(KeyId("key-1"), "tests", **fields)


TOLD = "x-ratelimit-remaining-requests"


async def test_a_request_is_written_down_at_its_end() -> None:
    """Whatever it was; its name in the books is not the caller's to choose."""
    scene = Scene(Relay(Reply(b"one")))
    await scene.ask(with_key(("x-request-id", "mine")), Server(b"stream"))
    await scene.ask(with_key(), Server(b"whole"))
    first, second = scene.books.records
    assert first == Answered(
        uid="c0de-1", at=scene.clock.now(), request_id="mine", caller_id="key-1",
        dialect="responses", model="m", asked_model="asked-m", stream=True, status=200, code="ok",
        attempts=0, queue_s=0.0, first_event_s=0.0, seconds=0.0, added_s=0.0,
    )  # fmt: skip
    assert (second.uid, second.stream, second.first_event_s) == ("c0de-2", False, None)


@pytest.mark.parametrize(
    ("answer", "server", "status", "said"),
    [
        (CapacityError("full"), Server(b"stream"), 503, "pool_busy"),
        (Reply(b"one", StreamIncomplete("cut")), Server(b"stream"), 200, "stream_incomplete"),
        (Reply(b"one", failed=Fault(429, code="rate_limit_exceeded")), Server(b"stream"), 200,
         "rate_limit_exceeded"),
        (Reply(b"one", failed=Fault(None)), Server(b"stream"), 200, "upstream_error"),
    ],
)  # fmt: skip
async def test_a_failure_is_written_down_as_such(answer, server, status, said) -> None:
    """Also one that the upstream told of in its stream, which is passed on as it is."""
    scene = Scene(Relay(answer))
    await scene.ask(with_key(), server)
    [record] = scene.books.records
    assert (record.status, record.code) == (status, said)
    assert scene.book.calls == [(status, said)]


async def test_a_caller_that_left_is_written_down_as_such() -> None:
    """And its place in its key's limits is free at once."""
    relay, caller = Relay(), limited(allowance=Allowance(concurrency_max=1))
    scene = Scene(relay, caller=caller)
    for _ in range(2):
        server = Server(b"stream")
        relay.asked.clear()
        task = asyncio.create_task(scene.ask(with_key(), server))
        await relay.asked.wait()
        server.leave()
        await task
    assert {(each.status, each.code) for each in scene.books.records} == {(499, "caller_left")}


async def test_strangers_leave_nothing_in_the_books() -> None:
    """Who has no key could fill the disk otherwise."""
    scene = Scene()
    assert (await scene.ask(scope(), Server(b"x"))).status == 401
    assert scene.books.records == []


async def test_every_answer_tells_what_is_left() -> None:
    """A good one, a refusal for the form, and the refusal of the limit itself."""
    scene = Scene(caller=limited(allowance=Allowance(requests_per_minute=3)))
    whole = await scene.ask(with_key(), Server(b"whole"))
    assert (whole.status, whole.headers[TOLD]) == (200, "2")
    scene.speaker = Speaker(error=InvalidRequest("no"))
    wrong = await scene.ask(with_key(), Server(b"x"))
    assert (wrong.status, wrong.headers[TOLD]) == (400, "1")
    scene.speaker = Speaker()
    assert (await scene.ask(with_key(), Server(b"stream"))).headers[TOLD] == "0"
    refused = await scene.ask(with_key(), Server())
    assert (refused.status, code(refused), refused.headers[TOLD]) == (
        429,
        "rate_limit_exceeded",
        "0",
    )
    assert refused.headers["retry-after"] == "20"
    assert [record.status for record in scene.books.records] == [200, 400, 200, 429]
    assert TOLD not in (await Scene().ask(with_key(), Server(b"whole"))).headers


async def test_money_that_does_not_reach_is_told_before_an_account_is_asked() -> None:
    """And nobody should try again before there is some."""
    scene = Scene(caller=limited(allowance=Allowance(day_nusd=1)))
    scene.books.accountant.prices = PriceTable(
        {"m": Price(input_usd_per_mtok=1, output_usd_per_mtok=1)}
    )
    server = await scene.ask(with_key(), Server(b"stream"))
    assert (server.status, code(server), scene.relay.calls) == (429, "insufficient_quota", [])
    assert server.headers["x-should-retry"] == "false"
    assert (await scene.ask(with_key(), Server(b"stream"))).status == 429


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"endpoints": ("chat",)}, "endpoint_not_allowed"),
        ({"networks": ("192.0.2.0/24",)}, "network_not_allowed"),
    ],
)
async def test_a_key_is_for_some_endpoints_and_networks(fields, said) -> None:
    """The body of what is not for it is not looked at."""
    scene = Scene(caller=limited(**fields))
    server = await scene.ask(with_key(), Server())
    assert (server.status, code(server), scene.books.records) == (403, said, [])


async def test_nothing_is_begun_that_could_not_be_accounted_for() -> None:
    """No account is touched, nothing more is heaped up; a call that is under way goes on."""
    reply = Reply(b"one", b"two")
    scene = Scene(Relay(reply))

    class Filling(Server):
        async def send(self, message: Any) -> None:
            scene.books.journal.healthy = False
            await super().send(message)

    server = await scene.ask(with_key(), Filling(b"stream"))
    assert server.body == b"ONETWOEND"
    refused = await scene.ask(with_key(), Server(b"stream"))
    assert (refused.status, code(refused)) == (503, "store_unavailable")
    assert (len(scene.relay.calls), len(scene.books.records)) == (1, 1)


class Slow(Reply):
    """A reply whose second piece comes once it is let go of."""

    def __init__(self) -> None:
        super().__init__(b"one", b"two", b"three")
        self.go = asyncio.Event()

    async def read(self) -> Batch | None:
        """Wait before the second step."""
        if len(self._steps) == 2:
            await self.go.wait()
        return await super().read()


async def leave(scene: Scene, server: Server) -> asyncio.Task[Server]:
    """Ask, and leave in the middle of the answer."""
    task = asyncio.create_task(scene.ask(with_key(), server))
    await server.until(2)
    server.leave()
    for _ in range(9):
        await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("patience_s", [0.0, 60.0])
async def test_a_stream_goes_on_without_its_caller_only_if_that_is_wanted(patience_s) -> None:
    """To its end, which tells what it has used; nothing more is said to anybody."""
    reply, server = Slow(), Server(b"stream")
    scene = Scene(Relay(reply), patience_s=patience_s)
    task = await leave(scene, server)
    assert task.done() == (not patience_s)
    reply.go.set()
    await task
    assert (server.body, reply.closed) == (b"ONE", 1)
    assert len(reply._steps) == (0 if patience_s else 2)
    [record] = scene.books.records
    assert (record.status, record.code) == (499, "caller_left")


async def test_few_streams_go_on_without_their_callers(monkeypatch) -> None:
    """They take places that others may want."""
    monkeypatch.setattr("app.edge.dataplane.LEFT_MAX", 0)
    scene = Scene(Relay(Slow()), patience_s=60.0)
    assert (await leave(scene, Server(b"stream"))).done()


async def test_a_call_is_a_line_for_who_asks_for_details(caplog) -> None:
    """Who, what and how it ended; neither the key nor the body."""
    with caplog.at_level(logging.DEBUG):
        await Scene().ask(with_key(("x-request-id", "mine")), Server(b"secret"))
    (record,) = [record for record in caplog.records if record.name == "app.edge.dataplane"]
    assert (record.request_id, record.status, record.code) == ("mine", 200, "ok")
    assert KEY not in str(vars(record))
    assert "secret" not in str(vars(record))


async def test_an_answer_that_is_a_document_becomes_the_callers_own_form():
    """Neither a lane nor a fold is asked; the relay is told how to read the usage."""

    class Documents(Relay):
        async def document(self, call: Call, usage_of: Any) -> Any:
            self.calls.append(call)
            assert usage_of(b"[]") is None
            return SimpleNamespace(body=b"[1]")

    class Plans(Speaker):
        async def plan(self, asked: Asked) -> Plan:
            form = DocumentForm(usage=lambda _: None, body=lambda body: body + b"\n")
            return Plan((await super().plan(asked)).call, stream=False, document=form)

    scene = Scene(Documents(), Plans())
    server = await scene.ask(with_key(), Server(b"whole"))
    assert (server.status, server.body) == (200, b"[1]\n")
    with pytest.raises(AssertionError):
        no_events()


class Way:
    """The way back to a caller that is connected already; keeps what it is sent."""

    gone = stayed = False

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.patience = float
        self.sent: list[str] = []
        self.status = 0
        self.started = self.ended = False

    def watch(self) -> None:
        """Nobody leaves."""

    expect_stream = watch

    async def quiet(self) -> None:
        """Say nothing in between."""

    close = quiet

    async def start(self, headers: Any) -> None:
        """Begin."""
        del headers
        self.started, self.status = True, 200

    async def write(self, data: str) -> None:
        """Keep it."""
        self.sent.append(data)

    def push(self, data: str) -> None:
        """Keep it."""
        self.sent.append(data)

    async def end(self, data: str) -> None:
        """Keep it, and that it is the last."""
        self.sent.append(data)
        self.ended = True

    async def answer(self, status: int, headers: Any, body: bytes) -> None:
        """Keep it, and the status."""
        del headers
        self.status = status
        await self.end(body.decode())


class Turns(Speaker):
    """Answers in words, or tells at once."""

    async def plan(self, asked: Asked) -> Any:
        """Return the plan."""
        plan = await super().plan(asked)
        told = "told" if asked.body == b"tell" else None
        return PlanOf(call=plan.call, stream=True, lane=WordLane, told=told)


class WordLane:
    """Says everything as text."""

    def feed(self, batch: Batch) -> str:
        """Return it."""
        return batch.raw.decode()

    def finish(self) -> str:
        """Say that it is over."""
        return "END"

    def failed(self, error: GatewayError) -> str:
        """Say what broke."""
        return error.code


def turn(body: bytes, key: str = KEY) -> Turn:
    """Return a turn of a caller who has connected with this key."""
    return Turn(read_head(scope(("authorization", f"Bearer {key}"), method="GET")), body)


@pytest.mark.parametrize(("body", "steps", "sent", "ended_by"), [
    (b"ask", [b"one", b"two"], ["one", "two", "END"], None),
    (b"ask", [b"one", StreamIncomplete("cut")], ["one", "stream_incomplete"], "stream_incomplete"),
    (b"tell", [], ["told"], None),
])  # fmt: skip
async def test_a_turn_takes_the_same_line_as_a_request(body, steps, sent, ended_by) -> None:
    """It is booked, counted and limited alike, and is told what has ended it."""
    scene = Scene(Relay(Reply(*steps)), Turns())
    way, asked = Way(), turn(body)
    error = await scene.plane.take(scene.speaker, way, asked)
    assert (way.sent, error.code if error else None, asked.body) == (sent, ended_by, b"")
    assert scene.book.calls == [(200, ended_by or "ok")]
    assert [record.code for record in scene.books.records] == [ended_by or "ok"]
    assert len(scene.relay.calls) == (body == b"ask")
    assert (len(scene.in_flight), scene.in_flight.body_bytes, scene.book.streams) == (0, 0, 0)


async def test_a_turn_is_refused_when_its_key_is_no_good_any_more() -> None:
    """A connection may be older than the news that its key is revoked."""
    scene, way = Scene(speaker=Turns()), Way()
    error = await scene.plane.take(scene.speaker, way, turn(b"ask", key="sk-gone"))
    assert error is not None
    assert (error.code, way.status, scene.book.calls) == (
        "invalid_api_key", 401, [(401, "invalid_api_key")],
    )  # fmt: skip


async def test_an_answer_that_no_account_is_asked_for_is_told() -> None:
    """It is a request like any other, but for that."""

    class Counts(Speaker):
        dialect = Dialect.MESSAGES

        async def plan(self, asked: Asked) -> Told:
            return Told(b'{"input_tokens":%d}' % len(asked.body))

    scene = Scene(speaker=Counts())
    server = await scene.ask(with_key(("x-request-id", "mine")), Server(b"12345"))
    assert (server.status, server.body) == (200, b'{"input_tokens":5}')
    assert scene.relay.calls == []
    assert server.headers["request-id"] == server.headers["x-request-id"] == "mine"
    [ended] = scene.books.records
    assert (ended.status, ended.code, ended.model) == (200, "ok", None)


@pytest.mark.parametrize(("status", "asked"), [(404, 2), (405, 2), (501, 2), (400, 1), (503, 1)])
async def test_what_is_missing_upstream_may_be_asked_for_otherwise(status, asked):
    """Once, and only where there is no such thing; what can't be done now stays as it is."""
    calls = []

    class Relays(Relay):
        async def whole(self, call: Call, make_fold: Any) -> Any:
            calls.append(call.model)
            if call.model == "m":
                raise UpstreamRefused("no", status=status, code="x")
            return make_fold()

    class Speaks(Speaker):
        async def plan(self, asked: Asked) -> Plan:
            plan = await super().plan(asked)
            call = structs.replace(plan.call, model="other")
            return structs.replace(plan, otherwise=structs.replace(plan, call=call))

    server = Server(b"whole")
    await Scene(Relays(Reply()), Speaks()).ask(with_key(), server)
    assert len(calls) == asked
    assert server.status == (200 if asked == 2 else status)
