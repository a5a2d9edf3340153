"""`/admin/`: the admin UI's build, or what is there instead.

The build is read once, with a compressed copy of each file: it is small, and no request then
touches the disk or a path that a caller has made up. Names of assets hold a digest of what is in
them, so they may be kept for good; the page itself, which names them, may not be kept at all. Every
path below `/admin/` that names no file is the page: which view it shows is for the page to say.
"""

import gzip
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from litestar import MediaType, Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from msgspec import Struct

from app.edge.request import request_id
from app.errors import UnknownRoute

_INSTEAD: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>codex2api</title>
<style nonce="__CSP_NONCE__">
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 4rem auto; padding: 0 1rem;
         color-scheme: light dark; }
  code { font-family: ui-monospace, monospace; }
</style>
<h1>codex2api is running</h1>
<p>The admin UI was not built with this installation (it needs Node 20 at build time: <code>make
ui</code>). These do the same work:</p>
<ul>
  <li><code>codex2api accounts add | import | list | test | refresh</code></li>
  <li><code>codex2api keys create | list | revoke</code></li>
  <li><code>codex2api doctor</code></li>
  <li><a href="/metrics"><code>/metrics</code></a> for Prometheus,
      <a href="/ready"><code>/ready</code></a> for load balancers</li>
</ul>
</html>
"""
NONCE: Final = "__CSP_NONCE__"
"""Stands in the page where the nonce of this one answer belongs."""
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_PACKED: Final = frozenset({".css", ".js", ".json", ".svg", ".txt"})
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_CHECKED: Final = "no-cache"

AnyRequest = Request[Any, Any, Any]


class _File(Struct, frozen=True):
    """A file of the build, as it is answered."""

    type: str
    body: bytes
    packed: bytes | None
    cache: str


def routes(*, build: Path) -> list[HTTPRouteHandler]:
    """Return the routes of the admin UI; `build` is where its files would be."""
    files = _read(build)
    index = build / "index.html"
    page = index.read_text("utf-8") if index.is_file() else _INSTEAD

    @route(["/admin", "/admin/"], http_method=["GET", "HEAD"], sync_to_thread=False)
    def admin(request: AnyRequest) -> Response[str]:
        """Return the admin UI's page."""
        return _page(request, page)

    @route("/admin/{path:path}", http_method=["GET", "HEAD"], sync_to_thread=False)
    def inside(request: AnyRequest, path: FromPath[Path]) -> Response[str] | Response[bytes]:
        """Return a file of the admin UI, or its page, which knows its own addresses."""
        name = path.as_posix().lstrip("/")
        if name in files:
            return _answer(request, files[name])
        if "." in path.name or ".." in path.parts:
            raise UnknownRoute(f"There is no file {name[:64]!r} in the admin UI.")
        return _page(request, page)

    return [admin, inside]


def _read(build: Path) -> Mapping[str, _File]:
    """Return the files of a build by their paths in it, without its page."""
    found: dict[str, _File] = {}
    for path in sorted(build.rglob("*")) if build.is_dir() else ():
        name = path.relative_to(build).as_posix()
        kind = _TYPES.get(path.suffix)
        if kind is None or name == "index.html" or path.is_symlink():
            continue
        body = path.read_bytes()
        packed = gzip.compress(body, 9, mtime=0) if path.suffix in _PACKED else None
        cache = _FOR_GOOD if name.startswith("assets/") else _CHECKED
        found[name] = _File(kind, body, packed, cache)
    return found


def _page(request: AnyRequest, page: str) -> Response[str]:
    nonce = secrets.token_urlsafe(16)
    return Response(
        page.replace(NONCE, nonce),
        media_type=MediaType.HTML,
        headers=_headers(request, cache="no-store", style=f"'self' 'nonce-{nonce}'"),
    )


def _answer(request: AnyRequest, file: _File) -> Response[bytes]:
    headers = _headers(request, cache=file.cache) | {"content-type": file.type}
    body = file.body
    if file.packed is not None:
        headers["vary"] = "accept-encoding"
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            body = file.packed
    return Response(body, headers=headers)


def _headers(request: AnyRequest, *, cache: str, style: str = "'self'") -> dict[str, str]:
    policy = (
        "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        f"font-src 'self'; style-src {style}; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    )
    return {
        "x-request-id": request_id(request.scope["headers"]),
        "content-security-policy": policy,
        "cache-control": cache,
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
    }
