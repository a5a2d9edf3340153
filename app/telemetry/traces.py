"""OpenTelemetry traces, if they are wanted: two spans a call, one of the request, one an attempt.

An attempt's span is its account's part of the time; what of the request lies outside was spent in
here or by the caller. Spans are made when they are over, from the moments that were noted, and a
thread of the SDK exports them; when it can't keep up it drops them. The SDK is an extra of the
package and is imported only if an endpoint is configured. Nothing of a prompt stands in a span.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from app import __version__
from app.domain.account import Account
from app.domain.call import Call, Dialect
from app.domain.outcome import Outcome, Succeeded
from app.domain.usage import Heard
from app.errors import StateError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

OPEN_MAX: Final = 20_000
"""Calls under way that are traced; more than a worker has streams."""
_NS: Final = 1_000_000_000
_MISSING: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the package for traces is not installed: "
    "pip install 'codex2api[otel]'."
)


class _Attempt(Struct):
    """One attempt: when its account was leased, why it, and what came of it."""

    began_at: float
    reason: str
    ended_at: float = 0.0
    content_at: float = 0.0
    account_id: str = ""
    outcome: str = ""
    failed: bool = False
    tokens: Mapping[str, int] = field(default_factory=dict)


class Traces:
    """Satisfies `app.ports.Observer`, and is told of answers. `close` it in a thread."""

    def __init__(self, exporter: "SpanExporter", *, now: Callable[[], float]) -> None:
        """Take what exports spans, and the time in epoch seconds."""
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        about = {"service.name": "codex2api", "service.version": __version__}
        self._provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("codex2api", __version__)
        self._now = now
        self._open: dict[str, list[_Attempt]] = {}

    def __len__(self) -> int:
        """Return how many calls under way are being traced."""
        return len(self._open)

    def leased(self, call: Call, reason: str, waited_s: float) -> None:
        """An attempt begins."""
        del waited_s
        attempts = self._open.get(call.uid)
        if attempts is None:
            if len(self._open) >= OPEN_MAX:
                return
            attempts = self._open[call.uid] = []
        attempts.append(_Attempt(self._now(), reason))

    def refused(self, call: Call, code: str, waited_s: float) -> None:
        """There is no account: the request's span tells its code."""

    def began(self, call: Call, account: Account) -> None:
        """The first content of an attempt has come."""
        del account
        for attempt in self._open.get(call.uid, ())[-1:]:
            attempt.content_at = self._now()

    def attempt(self, call: Call, account: Account, outcome: Outcome, heard: Heard | None) -> None:
        """An attempt is over."""
        for attempt in self._open.get(call.uid, ())[-1:]:
            attempt.ended_at = self._now()
            attempt.account_id = account.id
            attempt.outcome = type(outcome).__name__.lower()
            attempt.failed = not isinstance(outcome, Succeeded)
            if heard is not None and heard.usage is not None:
                usage = heard.usage
                attempt.tokens = {"input": usage.input, "output": usage.output}

    def call(
        self, dialect: Dialect, call: Call | None, status: int, code: str, seconds: float
    ) -> None:
        """A request was answered: make its spans."""
        from opentelemetry import trace  # noqa: PLC0415 - an extra

        attempts = self._open.pop(call.uid, []) if call is not None else []
        ended_at = self._now()
        said: dict[str, Any] = {
            "codex2api.dialect": dialect.value,
            "codex2api.code": code,
            "http.response.status_code": status,
        }
        if call is not None:
            said |= {
                "codex2api.request_id": call.id,
                "codex2api.key": call.caller_id,
                "codex2api.stream": call.stream,
                "gen_ai.request.model": call.model,
            }
        span = self._tracer.start_span(
            f"{dialect.value} request",
            kind=trace.SpanKind.SERVER,
            start_time=_ns(ended_at - seconds),
            attributes=said,
        )
        within = trace.set_span_in_context(span)
        for attempt in attempts:
            self._draw(attempt, within, ended_at)
        if status >= 500:
            span.set_status(trace.StatusCode.ERROR, code)
        span.end(_ns(ended_at))

    def _draw(self, attempt: _Attempt, within: Any, ended_at: float) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - an extra

        said = {"codex2api.account": attempt.account_id, "codex2api.outcome": attempt.outcome,
                "codex2api.reason": attempt.reason}  # fmt: skip
        tokens = {f"gen_ai.usage.{kind}_tokens": count for kind, count in attempt.tokens.items()}
        span = self._tracer.start_span(
            "attempt",
            context=within,
            kind=trace.SpanKind.CLIENT,
            start_time=_ns(attempt.began_at),
            attributes={**said, **tokens},
        )
        if attempt.content_at:
            span.add_event("first content", timestamp=_ns(attempt.content_at))
        if attempt.failed:
            span.set_status(trace.StatusCode.ERROR, attempt.outcome)
        span.end(_ns(attempt.ended_at or ended_at))

    def close(self) -> None:
        """Export what is left; waits for the collector, so call it in a thread."""
        self._provider.shutdown()


def traces(endpoint: str | None, *, now: Callable[[], float]) -> Traces | None:
    """Return what traces calls to a collector, or None if there is no endpoint.

    Raises:
        StateError: There is one, but not the package that speaks to it.
    """
    if endpoint is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
    except ImportError as error:
        raise StateError(_MISSING) from error
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
    return Traces(exporter, now=now)


def _ns(seconds: float) -> int:
    return int(seconds * _NS)
