"""Tests of app.edge.operations."""

from typing import Any

import msgspec
import pytest

from app import __version__
from app.domain.account import Secret
from app.edge import operations
from app.edge.inflight import Ease, InFlight
from tests.edge.application import ask
from tests.edge.asgi import Server


class Strained(Ease):
    """A worker that lacks something."""

    def __init__(self, word: str) -> None:
        self.word = word


def routes(
    *, token: str | None = None, loaded: bool = True, draining: bool = False, word: str = ""
) -> Any:
    """Return the routes of a worker in that state."""
    in_flight = InFlight(calls_max=1, strain=Strained(word))
    if draining:
        in_flight.withdraw()

    async def metrics() -> bytes:
        return b"calls_total 1\n"

    return operations.routes(
        in_flight=in_flight,
        metrics=metrics,
        loaded=lambda: loaded,
        metrics_token=Secret(token) if token else None,
    )


def said(answer: Server) -> dict[str, str]:
    """Return the JSON of an answer."""
    assert answer.headers["content-type"] == "application/json"
    return msgspec.json.decode(answer.body)


@pytest.mark.parametrize(("path", "content"), [
    ("/health", {"status": "ok"}),
    ("/ready", {"status": "ready"}),
    ("/", {"name": "codex2api", "version": __version__}),
    ("/api/hello", {"message": "hello"}),
])  # fmt: skip
async def test_a_question_has_its_answer(path, content) -> None:
    """With the request id of whoever asked."""
    answer = await ask(routes(), path, ("x-request-id", "mine"))
    assert (answer.status, said(answer)) == (200, content)
    assert answer.headers["x-request-id"] == "mine"


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/", "/api/hello"])
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405)])
async def test_questions_are_only_read(path, method, status) -> None:
    """Load balancers ask with HEAD."""
    answer = await ask(routes(), path, method=method)
    assert answer.status == status
    assert answer.headers["x-request-id"].startswith("req_")


async def test_a_draining_worker_is_healthy_and_not_ready() -> None:
    """Who asks is sent to another one, on another connection."""
    handlers = routes(draining=True)
    answer = await ask(handlers, "/ready")
    assert (answer.status, said(answer)) == (503, {"status": "draining"})
    assert answer.headers["connection"] == "close"
    assert (await ask(handlers, "/health")).status == 200


async def test_a_worker_that_has_loaded_nothing_is_not_ready() -> None:
    """It is alive all the same."""
    handlers = routes(loaded=False)
    answer = await ask(handlers, "/ready")
    assert (answer.status, said(answer)) == (503, {"status": "starting"})
    assert "connection" not in answer.headers
    assert (await ask(handlers, "/health")).status == 200


@pytest.mark.parametrize("word", ["late", "full"])
async def test_a_worker_that_can_carry_no_more_is_not_ready(word) -> None:
    """Until it can; it is alive all the same."""
    handlers = routes(word=word)
    answer = await ask(handlers, "/ready")
    assert (answer.status, said(answer)) == (503, {"status": word})
    assert (await ask(handlers, "/health")).status == 200


async def test_metrics_without_a_token_are_open() -> None:
    """Whoever asks gets the numbers."""
    answer = await ask(routes(), "/metrics", ("x-request-id", "mine"))
    assert (answer.status, answer.body) == (200, b"calls_total 1\n")
    assert answer.headers["x-request-id"] == "mine"


async def test_metrics_have_the_type_that_prometheus_reads() -> None:
    """Each parameter of it once."""
    answer = await ask(routes(), "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(("headers", "status"), [
    ([], 401),
    ([("authorization", "Bearer wrong")], 401),
    ([("authorization", "token")], 401),
    ([("authorization", "Bearer \xfc")], 401),
    ([("authorization", "Bearer token")], 200),
])  # fmt: skip
async def test_metrics_with_a_token_are_for_who_has_it(headers, status) -> None:
    """Anybody else learns which scheme is wanted, and no number."""
    answer = await ask(routes(token="token"), "/metrics", *headers)
    assert answer.status == status
    assert (b"calls_total" in answer.body) == (status == 200)
    assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
