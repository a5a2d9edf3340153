"""Tests of app.compose.routes."""

from app.compose import build, gateway


async def test_every_route_of_an_open_gateway_is_served(settings):
    """The application has the callers' routes with and without `/v1`, and the operators'."""
    async with gateway(settings) as opened:
        paths = {route.path for route in build(opened).routes}
    assert {
        "/v1/responses",
        "/responses",
        "/backend-api/codex/responses",
        "/v1/chat/completions",
        "/chat/completions",
        "/v1/models",
        "/health",
        "/ready",
        "/metrics",
        "/admin",
    } <= paths
