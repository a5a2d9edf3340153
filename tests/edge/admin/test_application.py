"""Tests of app.edge.admin.application."""

import os
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from litestar.routes import HTTPRoute

from app.edge.admin.application import PATH, Parts, application, document
from app.edge.admin.gate import OPEN, Gate
from tests.edge.admin.conftest import CALLER_KEY, PASSWORD, code

DOCUMENT = Path("docs/openapi.json")


def bare() -> Any:
    """Return the admin API with nothing behind it."""
    parts = Parts(**dict.fromkeys(Parts.__struct_fields__, cast("Any", None)))
    nothing = cast("Any", None)
    return application(parts, Gate(access=nothing, answers=nothing, clock=nothing))


def every_route() -> list[tuple[str, str, bool]]:
    """Return method, path and whether it is open to anybody, of every route that there is."""
    found = []
    for route in bare().routes:
        assert isinstance(route, HTTPRoute)
        path = route.path.replace("{", "").replace("}", "").replace(":str", "")
        for handler in route.route_handlers:
            methods = handler.http_methods - {"OPTIONS"}
            found += [(method, path, bool(handler.opt.get(OPEN))) for method in methods]
    return sorted(found)


ROUTES = every_route()
GUARDED = [(method, path) for method, path, is_open in ROUTES if not is_open]


def test_the_document_that_is_checked_in_is_that_of_the_code():
    """The UI's types are made of it. `GOLDEN_UPDATE=1` writes it anew."""
    made = document(bare())
    if os.environ.get("GOLDEN_UPDATE"):
        DOCUMENT.write_bytes(made)
    assert DOCUMENT.read_bytes() == made


def test_only_the_login_is_open():
    """Whatever is added is guarded, unless this list says otherwise."""
    assert [(method, path) for method, path, is_open in ROUTES if is_open] == [
        ("POST", f"{PATH}/login")
    ]
    assert len(GUARDED) > 40
    assert all(path.startswith(PATH) for _, path, _ in ROUTES)


@pytest.mark.parametrize("headers", [
    {},
    {"authorization": f"Bearer {CALLER_KEY}"},
    {"x-api-key": CALLER_KEY},
    {"x-admin-key": CALLER_KEY},
    {"cookie": "codex2api_session=made-up; __Host-codex2api=made-up"},
], ids=["anonymous", "bearer", "api key", "admin key", "cookie"])  # fmt: skip
async def test_no_route_lets_a_stranger_in(browser, headers):
    """Neither anonymous, nor with a caller's key, nor with a made-up cookie."""
    client = browser(**headers)
    for method, path in GUARDED:
        answer = await client.request(method, f"http://gateway.example:8080{path}")
        # Many wrong admin keys are told to wait.
        assert answer.status_code in (401, 429), (method, path, answer.text)
        assert code(answer) in ("not_logged_in", "invalid_credentials", "too_many_attempts")
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("headers", [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://gateway.example:8081"},
    {"sec-fetch-site": "cross-site", "origin": "http://gateway.example:8080"},
], ids=lambda headers: " ".join(headers.values()))  # fmt: skip
async def test_no_route_lets_another_site_in(admin, headers):
    """Although the session and its token are good."""
    for method, path, _ in ROUTES:
        answer = await admin.request(method, f"http://gateway.example:8080{path}", headers=headers)
        assert (answer.status_code, code(answer)) == (403, "wrong_origin"), (method, path)


async def test_no_route_changes_anything_without_the_token(admin):
    """A cookie that another site made a browser send is not enough."""
    del admin.headers["x-csrf-token"]
    for method, path in GUARDED:
        if method == "GET":
            continue
        answer = await admin.request(method, f"http://gateway.example:8080{path}")
        assert (answer.status_code, code(answer)) == (403, "csrf_failed"), (method, path)


@pytest.mark.parametrize("path", ["nothing", "accounts/x/y/z", "%00"])
async def test_what_is_not_there_is_told_in_the_same_form(admin, path):
    """And not in that of the callers' API."""
    answer = await admin.get(path)
    assert (answer.status_code, code(answer)) == (404, "not_found")


async def test_a_wrong_method_names_the_right_ones(admin):
    """As HTTP wants it."""
    answer = await admin.put("keys")
    assert (answer.status_code, code(answer)) == (405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]


async def test_the_document_is_served_to_who_is_logged_in(admin):
    """The very document that is checked in."""
    answer = await admin.get("openapi.json")
    assert answer.content == document(bare())
    assert PASSWORD not in answer.text
    assert msgspec.json.decode(answer.content)["openapi"].startswith("3.")
