"""`/admin/`: the admin UI's build, or what is there instead."""

from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app.edge.request import request_id

_INSTEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>codex2api</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 4rem auto; padding: 0 1rem;
         color-scheme: light dark; }
  code { font-family: ui-monospace, monospace; }
</style>
<h1>codex2api is running</h1>
<p>The admin UI is not part of this build. Until it is, these do the same work:</p>
<ul>
  <li><code>codex2api accounts add | import | list | test | refresh</code></li>
  <li><code>codex2api keys create | list | revoke</code></li>
  <li><code>codex2api doctor</code></li>
  <li><a href="/metrics"><code>/metrics</code></a> for Prometheus,
      <a href="/ready"><code>/ready</code></a> for load balancers</li>
</ul>
</html>
"""
_CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


def routes(*, build: Path) -> list[HTTPRouteHandler]:
    """Return the routes of the admin UI; `build` is where its files would be."""
    index = build / "index.html"
    page = index.read_text() if index.is_file() else _INSTEAD

    @route(["/admin", "/admin/"], http_method=["GET", "HEAD"], sync_to_thread=False)
    def admin(request: Request[Any, Any, Any]) -> Response[str]:
        """Return the admin UI's page."""
        return Response(
            page,
            media_type=MediaType.HTML,
            headers={
                "x-request-id": request_id(request.scope["headers"]),
                "content-security-policy": _CSP,
                "cache-control": "no-store",
                "referrer-policy": "no-referrer",
                "x-content-type-options": "nosniff",
            },
        )

    return [admin]
