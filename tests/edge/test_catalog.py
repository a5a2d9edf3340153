"""Tests of app.edge.catalog."""

from typing import Any

import msgspec
import pytest

from app.dialects.catalog import Catalog
from app.domain.caller import Caller, KeyId
from app.edge import catalog
from app.edge.catalog import CODEX, PUBLIC, ModelsRoute
from app.edge.guards import Guard
from app.edge.models import Models
from app.ports import Manifest
from tests.edge.application import ask, handshake
from tests.edge.asgi import CALLER, KEY, Callers, Server
from tests.fakes.clock import FakeClock

AUTHORIZED = ("authorization", f"Bearer {KEY}")
LIVE = Manifest(b'{"models":[{"slug":"mine","more":1.0},{"slug":"other"}]}', 'W/"live"')


class Live:
    """Has one live manifest, or none; keeps the versions that it is asked for."""

    def __init__(self, manifest: Manifest | None = None) -> None:
        self.manifest = manifest
        self.asked: list[str] = []

    async def __call__(self, client_version: str) -> Manifest | None:
        """Return the manifest."""
        self.asked.append(client_version)
        return self.manifest


def routes(live: Live | None = None, *, only: tuple[str, ...] = ()) -> Any:
    """Return the routes as a caller sees them whose key is for these models."""
    caller = Caller(KeyId("key-1"), "one", models=only) if only else CALLER
    clock = FakeClock(now=1_000.9)
    guard = Guard(callers=Callers([(KEY, caller)]), clock=clock, allow_anonymous=False)
    models = Models(guard=guard)
    models.catalog = Catalog({"fast": "mine-low"}, configured=["mine", "a/b"])
    route = ModelsRoute(models=models, guard=guard, live=live or Live(), started_at=clock.now)
    return catalog.routes(route)


def said(answer: Server) -> Any:
    """Return the JSON of an answer."""
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.body)
    return msgspec.json.decode(answer.body)


@pytest.mark.parametrize("path", [*PUBLIC, *(f"{path}/" for path in PUBLIC)])
async def test_models_are_listed(path) -> None:
    """The built-in ones, those of accounts, and names that the operator made."""
    answer = await ask(routes(), path, AUTHORIZED, ("x-request-id", "mine"))
    assert answer.status == 200
    assert answer.headers["x-request-id"] == "mine"
    listed = said(answer)
    assert listed["object"] == "list"
    assert {"mine", "fast", "a/b"} < {model["id"] for model in listed["data"]}
    assert {model["created"] for model in listed["data"]} == {1_000}


async def test_a_caller_sees_the_models_of_its_key() -> None:
    """No other one is listed, and none is found."""
    handlers = routes(only=("mine",))
    listed = said(await ask(handlers, "/v1/models", AUTHORIZED))
    assert [model["id"] for model in listed["data"]] == ["mine"]
    assert (await ask(handlers, "/v1/models/mine", AUTHORIZED)).status == 200
    assert (await ask(handlers, "/v1/models/fast", AUTHORIZED)).status == 404


@pytest.mark.parametrize("base", PUBLIC)
@pytest.mark.parametrize("name", ["mine", "fast", "a/b"])
async def test_a_model_is_shown_by_its_name(base, name) -> None:
    """A slash may be part of it."""
    answer = await ask(routes(), f"{base}/{name}", AUTHORIZED)
    assert said(answer) == {
        "id": name, "object": "model", "created": 1_000, "owned_by": "openai",
    }  # fmt: skip


async def test_a_model_that_is_none_is_not_found() -> None:
    """The error is about the model; a long name is not repeated in full."""
    answer = await ask(routes(), "/v1/models/" + "x" * 500, AUTHORIZED)
    assert (answer.status, said(answer)["error"]["code"]) == (404, "model_not_found")
    assert answer.headers["x-codex2api-reason"] == "model_not_found"
    assert len(answer.body) < 300


@pytest.mark.parametrize("path", ["/v1/modelsx", "/models-of-mine"])
async def test_a_path_that_only_begins_alike_is_unknown(path) -> None:
    """As if there were no route near it."""
    answer = await ask(routes(), path, AUTHORIZED)
    assert (answer.status, said(answer)["error"]["code"]) == (404, "unknown_route")
    assert path in said(answer)["error"]["message"]


@pytest.mark.parametrize("path", [*PUBLIC, *CODEX])
async def test_without_a_key_nothing_is_shown(path) -> None:
    """The same guard as for calls."""
    live = Live(LIVE)
    answer = await ask(routes(live), path)
    assert (answer.status, said(answer)["error"]["code"]) == (401, "invalid_api_key")
    assert not live.asked


@pytest.mark.parametrize("path", [*PUBLIC, "/v1/models/mine", *CODEX])
@pytest.mark.parametrize(("method", "status"), [
    ("HEAD", 200), ("POST", 405), ("DELETE", 405), ("OPTIONS", 405),
])  # fmt: skip
async def test_models_are_only_read(path, method, status) -> None:
    """A wrong method is told the right ones."""
    answer = await ask(routes(), path, AUTHORIZED, method=method)
    assert answer.status == status
    assert answer.headers.get("allow") == ("GET, HEAD" if status == 405 else None)


async def test_a_flawed_request_is_refused_and_its_connection_closed() -> None:
    """What follows on it may be read in more than one way, too."""
    answer = await ask(routes(), "/v1/models", AUTHORIZED, ("host", "other"))
    assert (answer.status, said(answer)["error"]["param"]) == (400, "host")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("path", CODEX)
async def test_codex_clients_get_a_manifest(path) -> None:
    """The one that is built in while there is no live one."""
    live = Live()
    answer = await ask(routes(live), path, AUTHORIZED, query=b"client_version=1.2.3")
    assert answer.status == 200
    assert said(answer)["models"]
    assert answer.headers["etag"].startswith('"')
    assert live.asked == ["1.2.3"]


@pytest.mark.parametrize(("path", "query", "asked"), [
    ("/v1/models", b"client_version=1.2.3", ["1.2.3"]),
    ("/models", b"a=b&client_version=1.2.3", ["1.2.3"]),
    ("/v1/models", b"client_version=", [""]),
    ("/v1/models", b"limit=3", []),
    (CODEX[0], b"", [""]),
    (CODEX[0], b"client_version=1%2E2&client_version=3", ["1.2"]),
    (CODEX[0], b"client_version=%ff\xff", ["\ufffd\xff"]),
])  # fmt: skip
async def test_a_client_version_asks_for_a_manifest(path, query, asked) -> None:
    """On the public path as well; without one there it is the list that is meant."""
    live = Live(LIVE)
    answer = await ask(routes(live), path, AUTHORIZED, query=query)
    assert live.asked == asked
    assert ("models" in said(answer)) == bool(asked)


async def test_the_live_manifest_is_passed_on_as_it_is() -> None:
    """Bytes and ETag are the upstream's own."""
    answer = await ask(routes(Live(LIVE)), CODEX[0], AUTHORIZED)
    assert (answer.body, answer.headers["etag"]) == (LIVE.body, LIVE.etag)


@pytest.mark.parametrize("live", [LIVE, None], ids=["live", "built in"])
async def test_a_manifest_has_the_models_of_the_callers_key(live) -> None:
    """With an ETag of its own, since it is another body."""
    every = await ask(routes(Live(live)), CODEX[0], AUTHORIZED)
    name = said(every)["models"][0]["slug"]
    some = await ask(routes(Live(live), only=(name,)), CODEX[0], AUTHORIZED)
    assert [model["slug"] for model in said(some)["models"]] == [name]
    assert some.headers["etag"] != every.headers["etag"]


@pytest.mark.parametrize(("if_none_match", "known"), [
    ('W/"live"', True),
    ('"live"', True),
    ('"other", W/"live"', True),
    ("*", True),
    ('"other"', False),
    ("live", False),
    ("", False),
])  # fmt: skip
async def test_a_manifest_that_the_client_has_is_not_sent_again(if_none_match, known) -> None:
    """Tags are compared weakly; the answer has the tag, and no body that it could speak of."""
    answer = await ask(routes(Live(LIVE)), CODEX[0], AUTHORIZED, ("if-none-match", if_none_match))
    assert answer.status == (304 if known else 200)
    assert answer.headers["etag"] == LIVE.etag
    assert answer.body == (b"" if known else LIVE.body)
    assert ("content-length" in answer.headers) == (not known)


@pytest.mark.parametrize("path", [*PUBLIC, "/v1/models/mine", *CODEX])
async def test_a_websocket_is_refused_before_it_opens(path) -> None:
    """It is told what to do instead."""
    start, body = await handshake(routes(), path)
    assert start["status"] == 404
    assert "GET" in msgspec.json.decode(body["body"])["error"]["message"]


ANTHROPIC = ("anthropic-version", "2023-06-01")


def claude_routes(*only: str) -> Any:
    """Return the routes of a gateway with names for Claude models, for a key for these models."""
    caller = Caller(KeyId("key-1"), "one", models=only) if only else CALLER
    clock = FakeClock(now=1_000.9)
    guard = Guard(callers=Callers([(KEY, caller)]), clock=clock, allow_anonymous=False)
    models = Models(guard=guard)
    claude = {"claude-one": "gpt-5.5", "claude-*": "gpt-5.4"}
    models.catalog = Catalog(claude=claude, configured=["mine"])
    route = ModelsRoute(models=models, guard=guard, live=Live(), started_at=clock.now)
    return catalog.routes(route)


@pytest.mark.parametrize("header", [ANTHROPIC, ("user-agent", "claude-cli/2.1 (external, cli)")])
async def test_anthropics_clients_get_their_own_list(header) -> None:
    """The exact names of Claude models come first, then the others."""
    answer = await ask(claude_routes(), "/v1/models", AUTHORIZED, header, query=b"limit=2")
    listed = said(answer)
    assert [model["id"] for model in listed["data"]] == ["claude-one", "gpt-5.6-sol"]
    assert listed["has_more"] is True
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    usual = said(await ask(claude_routes(), "/v1/models", AUTHORIZED))
    assert "claude-one" not in [model["id"] for model in usual["data"]]


@pytest.mark.parametrize(("names", "shown"), [
    (("gpt-5.5",), ["claude-one", "gpt-5.5"]), (("claude-one",), ["claude-one"]),
    (("mine",), ["mine"]),
])  # fmt: skip
async def test_a_key_for_a_model_is_for_its_claude_names(names, shown) -> None:
    """Or for the name alone."""
    listed = said(await ask(claude_routes(*names), "/v1/models", AUTHORIZED, ANTHROPIC))
    assert [model["id"] for model in listed["data"]] == shown


async def test_anthropics_clients_get_one_model_or_their_own_error() -> None:
    """Whatever is asked for."""
    one = said(await ask(claude_routes(), "/v1/models/claude-one", AUTHORIZED, ANTHROPIC))
    assert (one["type"], one["id"]) == ("model", "claude-one")
    none = await ask(claude_routes(), "/v1/models/claude-two", AUTHORIZED, ANTHROPIC)
    assert (none.status, said(none)["error"]["type"]) == (404, "not_found_error")
    wrong = await ask(claude_routes(), "/v1/models", AUTHORIZED, ANTHROPIC, query=b"limit=0")
    assert (wrong.status, said(wrong)["error"]["type"]) == (400, "invalid_request_error")
    assert (await ask(claude_routes(), "/v1/models", ANTHROPIC)).status == 401
