"""Tests of app.telemetry.traces."""

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app.domain.call import Dialect
from app.domain.outcome import RateLimited, Succeeded
from app.domain.usage import Heard, Usage
from app.errors import StateError
from app.telemetry import traces as module
from app.telemetry.traces import Traces, traces
from tests.fakes.accounts import account, call
from tests.fakes.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands."""
    return FakeClock(now=1_000.0)


def spans(told: Traces, exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    """Return what was exported, in the order in which the spans began."""
    told.close()
    return sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)


async def test_a_call_is_a_span_with_one_for_each_attempt(clock: FakeClock) -> None:
    """The moments are those at which things happened, not those at which the spans were made."""
    exporter = InMemorySpanExporter()
    told = Traces(exporter, now=clock.now)
    made, one = call(uid="u1", stream=True), account()
    await clock.advance(1.0)
    told.leased(made, "balanced", 0.5)
    await clock.advance(1.0)
    told.attempt(made, one, RateLimited(None), None)
    told.leased(made, "session", 0.0)
    await clock.advance(1.0)
    told.began(made, one)
    await clock.advance(2.0)
    heard = Heard()
    heard.usage = Usage(input=7, output=3)
    told.attempt(made, one, Succeeded(1.0, heard.usage), heard)
    told.call(Dialect.CHAT, made, 200, "ok", 5.0)
    assert len(told) == 0
    whole, first, second = spans(told, exporter)
    assert (whole.name, whole.kind) == ("chat request", SpanKind.SERVER)
    assert (whole.start_time, whole.end_time) == (1_000 * 10**9, 1_005 * 10**9)
    assert whole.attributes["codex2api.request_id"] == made.id
    assert whole.status.status_code is StatusCode.UNSET
    for attempt in (first, second):
        assert attempt.parent.span_id == whole.context.span_id
        assert attempt.context.trace_id == whole.context.trace_id
        assert attempt.attributes["codex2api.account"] == one.id
    assert (first.attributes["codex2api.outcome"], first.status.status_code) == (
        "ratelimited", StatusCode.ERROR,
    )  # fmt: skip
    assert (second.start_time, second.end_time) == (1_002 * 10**9, 1_005 * 10**9)
    assert second.attributes["gen_ai.usage.input_tokens"] == 7
    assert [(event.name, event.timestamp) for event in second.events] == [
        ("first content", 1_003 * 10**9)
    ]


def test_a_request_that_came_to_no_call_is_a_span_alone(clock: FakeClock) -> None:
    """A failure of ours is an error."""
    exporter = InMemorySpanExporter()
    told = Traces(exporter, now=clock.now)
    told.refused(call(), "pool_busy", 1.0)
    told.call(Dialect.RESPONSES, None, 503, "overloaded", 1.0)
    (span,) = spans(told, exporter)
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["codex2api.code"] == "overloaded"


def test_calls_under_way_are_bounded(clock: FakeClock, monkeypatch) -> None:
    """What is past the bound is not traced, and does no harm."""
    monkeypatch.setattr(module, "OPEN_MAX", 1)
    exporter = InMemorySpanExporter()
    told = Traces(exporter, now=clock.now)
    for uid in ("u1", "u2"):
        told.leased(call(uid=uid), "balanced", 0.0)
    told.began(call(uid="u2"), account())
    told.attempt(call(uid="u2"), account(), RateLimited(None), None)
    assert len(told) == 1
    told.call(Dialect.CHAT, call(uid="u2"), 200, "ok", 0.0)
    told.call(Dialect.CHAT, call(uid="u1"), 200, "ok", 0.0)
    assert len(told) == 0
    assert len(spans(told, exporter)) == 3


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A collector that takes everything, its address, and what it has taken."""
    taken: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_reach_a_collector(collector, clock: FakeClock, monkeypatch) -> None:
    """Over HTTP, at the latest when the gateway closes; the caller's key is not among them."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    url, taken = collector
    told = traces(f"{url}/", now=clock.now)
    told.call(Dialect.CHAT, call(uid="u1"), 200, "ok", 1.0)
    told.close()
    ((path, body),) = taken
    assert path == "/v1/traces"
    assert b"chat request" in body


def test_without_an_endpoint_there_are_none(clock: FakeClock) -> None:
    """And nothing is imported for them."""
    assert traces(None, now=clock.now) is None


def test_a_missing_package_is_told(clock: FakeClock, monkeypatch) -> None:
    """With what to install."""
    name = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(StateError, match=r"codex2api\[otel\]"):
        traces("http://127.0.0.1:9", now=clock.now)
