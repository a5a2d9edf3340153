"""Tests of app.edge.spa."""

import pytest

from app.edge import spa
from tests.edge.application import ask


@pytest.mark.parametrize("path", ["/admin", "/admin/"])
async def test_without_a_build_a_page_says_what_to_do(tmp_path, path) -> None:
    """It names the commands that do the same work."""
    answer = await ask(spa.routes(build=tmp_path / "dist"), path)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert b"codex2api accounts add" in answer.body


async def test_a_build_is_served_as_it_is(tmp_path) -> None:
    """Its index is the page."""
    (tmp_path / "index.html").write_text("<p>built</p>")
    answer = await ask(spa.routes(build=tmp_path), "/admin/")
    assert answer.body == b"<p>built</p>"


async def test_the_page_is_guarded_by_its_headers(tmp_path) -> None:
    """It loads nothing, is in no frame, is stored nowhere, and has a request id."""
    headers = (await ask(spa.routes(build=tmp_path), "/admin", ("x-request-id", "mine"))).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"] == "mine"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405), ("DELETE", 405)])
async def test_the_page_is_only_read(tmp_path, method, status) -> None:
    """Nothing can be sent to it."""
    assert (await ask(spa.routes(build=tmp_path), "/admin", method=method)).status == status
