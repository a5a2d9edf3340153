"""Tests of app.edge.spa."""

import gzip
import re
from pathlib import Path

import pytest

from app.edge import spa
from tests.edge.application import ask


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A small build of the admin UI."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "index-1a2b.js").write_text("let a = 1;" * 50)
    (tmp_path / "icon.svg").write_text("<svg/>")
    (tmp_path / "secret.pem").write_text("not for the web")
    (tmp_path / "index.html").write_text('<meta content="__CSP_NONCE__"><p>built</p>')
    return tmp_path


@pytest.mark.parametrize("path", ["/admin", "/admin/", "/admin/accounts"])
async def test_without_a_build_a_page_says_what_to_do(tmp_path, path) -> None:
    """It names the commands that do the same work."""
    answer = await ask(spa.routes(build=tmp_path / "dist"), path)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert b"codex2api accounts add" in answer.body


@pytest.mark.parametrize("path", ["/admin", "/admin/", "/admin/accounts", "/admin/explain/r-1"])
async def test_every_address_of_the_page_is_the_page(build, path) -> None:
    """Which view it shows is for the page to say."""
    answer = await ask(spa.routes(build=build), path)
    assert answer.status == 200
    assert b"<p>built</p>" in answer.body


async def test_the_page_bears_a_nonce_of_its_own_each_time(build) -> None:
    """Styles that bear it are let in, and no script but the build's own files."""
    routes, nonces = spa.routes(build=build), set()
    for _ in range(2):
        answer = await ask(routes, "/admin/")
        policy = answer.headers["content-security-policy"]
        (nonce,) = re.findall(r"style-src 'self' 'nonce-([\w-]{20,})';", policy)
        assert f'content="{nonce}"'.encode() in answer.body
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        nonces.add(nonce)
    assert len(nonces) == 2


async def test_the_page_is_guarded_by_its_headers(build) -> None:
    """It loads nothing foreign, is in no frame, is stored nowhere, and has a request id."""
    headers = (await ask(spa.routes(build=build), "/admin", ("x-request-id", "mine"))).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"] == "mine"


async def test_an_asset_is_kept_for_good_and_comes_compressed(build) -> None:
    """Its name changes with what is in it; who takes no gzip gets it as it is."""
    routes = spa.routes(build=build)
    plain = await ask(routes, "/admin/assets/index-1a2b.js")
    packed = await ask(routes, "/admin/assets/index-1a2b.js", ("accept-encoding", "br, gzip"))
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in plain.headers["cache-control"]
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "accept-encoding"
    assert gzip.decompress(packed.body) == plain.body


async def test_a_file_beside_the_assets_is_asked_for_again(build) -> None:
    """Its name stays when what is in it changes."""
    answer = await ask(spa.routes(build=build), "/admin/icon.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/admin/secret.pem",
        "/admin/assets/other.js",
        "/admin/../pyproject.toml",
        "/admin/../../etc/passwd",
        "/admin/%2e%2e/a.b",
    ],
)
async def test_what_is_no_file_of_the_build_is_not_there(build, path) -> None:
    """No path that a caller makes up reaches the disk."""
    assert (await ask(spa.routes(build=build), path)).status == 404


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405), ("DELETE", 405)])
async def test_the_page_is_only_read(build, method, status) -> None:
    """Nothing can be sent to it."""
    assert (await ask(spa.routes(build=build), "/admin", method=method)).status == status
