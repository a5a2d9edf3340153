"""Tests of app.edge.errors."""

import logging

import msgspec
import pytest
from litestar import Request
from litestar.exceptions import (
    ClientException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
)

from app.edge.errors import render
from app.errors import UnknownModel
from tests.edge.asgi import scope

CASES = [
    (NotFoundException(), "/v1/nothing", "GET", 404, "unknown_route", None),
    (MethodNotAllowedException(headers={"allow": "GET, HEAD"}), "/health", "PUT", 405,
     "method_not_allowed", "GET, HEAD"),
    (MethodNotAllowedException(), "/health", "PUT", 405, "method_not_allowed", ""),
    (UnknownModel("no", param="model"), "/v1/models/x", "GET", 404, "model_not_found", None),
    (ClientException("Invalid host header"), "/", "GET", 400, "invalid_request", None),
]  # fmt: skip


@pytest.mark.parametrize(("error", "path", "method", "status", "code", "allow"), CASES)
def test_every_error_has_the_same_shape(error, path, method, status, code, allow) -> None:
    """Whoever raised it: OpenAI's object, the reason, the request id, and what is allowed."""
    request = Request(scope(("x-request-id", "mine"), path=path, method=method))
    answer = render(request, error)
    said = msgspec.json.decode(answer.content)["error"]
    assert said.keys() == {"message", "type", "param", "code"}
    assert (answer.status_code, said["code"]) == (status, code)
    assert answer.headers["x-codex2api-reason"] == code
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers.get("allow") == allow


@pytest.mark.parametrize("error", [RuntimeError("secret"), InternalServerException("secret")])
def test_a_defect_is_logged_and_not_told(error, caplog) -> None:
    """500 without the words of the exception."""
    with caplog.at_level(logging.ERROR):
        answer = render(Request(scope(path="/health", method="GET")), error)
    assert (answer.status_code, len(caplog.records)) == (500, 1)
    assert b"secret" not in answer.content


def test_an_address_that_can_not_be_parsed_is_not_parsed() -> None:
    """The answer to a broken Host must not break on it."""
    request = Request(scope(("host", "[::1"), path="/x", method="GET", host=False))
    assert render(request, NotFoundException()).status_code == 404


@pytest.mark.parametrize("path", ["/v1/messages/batches", "/messages/batches"])
def test_anthropics_clients_are_told_in_their_own_shape(path) -> None:
    """Of what only they ask for."""
    request = Request(scope(("x-request-id", "mine"), path=path, method="POST"))
    answer = render(request, NotFoundException())
    said = msgspec.json.decode(answer.content)
    assert (answer.status_code, said["error"]["type"]) == (404, "not_found_error")
    assert answer.headers["request-id"] == "mine"
