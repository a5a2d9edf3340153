"""The simulator itself: a listener, a route table, and the life of a request's record.

Use it as `async with Simulator(fast()) as sim: ... sim.url ...` in a test, or from `__main__`.
Leaving the block closes the listener and every connection.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any, Self

import msgspec

from loadtests.simulator import apikey, codex, control, errors, oauth, realtime, websocket
from loadtests.simulator.config import Config, fast
from loadtests.simulator.control import Command
from loadtests.simulator.exchange import Cut, Exchange
from loadtests.simulator.http import Connection
from loadtests.simulator.knobs import BadKnobs
from loadtests.simulator.pacing import Wheel
from loadtests.simulator.tls import server_context
from loadtests.simulator.world import World

BACKLOG = 4096
CLOSE_TIMEOUT_S = 2.0
_log = logging.getLogger(__name__)

Endpoint = Callable[[World, Exchange], Awaitable[None]]
ROUTES: dict[tuple[str, str], Endpoint] = {
    ("POST", "/backend-api/codex/responses"): codex.responses,
    ("GET", "/backend-api/codex/responses"): websocket.serve,
    ("POST", "/backend-api/codex/responses/compact"): codex.compact,
    ("GET", "/backend-api/codex/models"): codex.models,
    ("GET", "/backend-api/wham/usage"): codex.usage,
    ("GET", "/backend-api/wham/rate-limit-reset-credits"): codex.reset_credits,
    ("POST", "/backend-api/wham/rate-limit-reset-credits/consume"): codex.consume_credit,
    ("GET", "/oauth/authorize"): oauth.authorize,
    ("POST", "/oauth/token"): oauth.token,
    ("POST", "/oauth/revoke"): oauth.revoke,
    ("GET", "/.well-known/jwks.json"): oauth.keys,
    ("GET", "/codex/device"): oauth.device_page,
    ("POST", "/api/accounts/deviceauth/usercode"): oauth.device_code,
    ("POST", "/api/accounts/deviceauth/token"): oauth.device_token,
    ("POST", "/v1/responses"): apikey.responses,
    ("POST", "/v1/responses/compact"): apikey.compact,
    ("POST", "/v1/chat/completions"): apikey.chat_completions,
    ("POST", "/v1/embeddings"): apikey.embed,
    ("POST", "/v1/images/generations"): apikey.draw,
    ("POST", "/v1/images/edits"): apikey.draw,
    ("GET", "/v1/models"): apikey.models,
    ("GET", "/v1/realtime"): realtime.serve,
    ("POST", "/compatible/v1/chat/completions"): apikey.chat_completions,
    ("POST", "/compatible/v1/embeddings"): apikey.embed,
    ("GET", "/compatible/v1/models"): apikey.models,
}


class Simulator:
    """One upstream. `url` is its origin; `world` holds its state for white-box tests."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or fast()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._tls: ssl.SSLContext | None = None
        if self.config.tls_cert and self.config.tls_key:
            self._tls = server_context(self.config.tls_cert, self.config.tls_key)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """The origin, without a slash at its end."""
        scheme = "https" if self._tls else "http"
        host = "localhost" if self._tls else self.config.host
        return f"{scheme}://{host}:{self.port}"

    @property
    def addresses(self) -> dict[str, Any]:
        """What a gateway is configured with, and the control API's address."""
        return {
            "port": self.port,
            "url": self.url,
            "upstream_base_url": f"{self.url}/backend-api",
            "oauth_issuer": self.url,
            "api_base_url": f"{self.url}/v1",
            "control_url": f"{self.url}/__sim" if self.config.control else None,
        }

    async def start(self) -> None:
        """Listen; `port` is known afterwards."""
        self._wheel = Wheel(asyncio.get_running_loop())
        self.world = World(self.config, self._wheel)
        await self._listen(self.config.port)

    async def stop(self) -> None:
        """Close the listener and all connections, and wait until they are gone."""
        await self._unlisten()
        for connection in tuple(self._connections):
            connection.close()
        until = time.monotonic() + CLOSE_TIMEOUT_S
        while self._connections and time.monotonic() < until:  # noqa: ASYNC110  (bounded)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        self._wheel.close()
        self.world.ledger.close()

    def control(self, **fields: Any) -> None:
        """Do what `POST /__sim/control` does (but for the listener), in the same process."""
        command = msgspec.convert(fields, Command)
        control.apply(self.world, command)

    async def listen(self, *, on: bool) -> None:
        """Stop taking connections (they are refused then), or take them again on the same port."""
        if on and self._server is None:
            await self._listen(self.port)
        elif not on:
            await self._unlisten()

    async def _listen(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._serve, self.world.gauges, self._connections),
            self.config.host,
            port,
            ssl=self._tls,
            backlog=BACKLOG,
            reuse_address=True,
            reuse_port=self.config.reuse_port or None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _unlisten(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            await asyncio.sleep(0)

    async def _obey(self, command: Command) -> None:
        """The part of a command that concerns connections."""
        if command.drop_connections is not None:
            for connection in tuple(self._connections):
                if connection.transport is not None:
                    Exchange.break_transport(connection.transport, command.drop_connections)
        if command.listen is not None:
            await self.listen(on=command.listen)

    async def _serve(self, exchange: Exchange) -> None:
        path = exchange.request.path
        if path.startswith("/__sim/"):
            if self.config.control:
                await control.serve(self.world, exchange, self._obey)
            else:
                await exchange.reply(errors.detail(404, "Not Found"))
            return
        world = self.world
        exchange.id = world.ledger.next_id()
        exchange.record = world.record(exchange)
        exchange.record.began_ns = time.monotonic_ns()
        world.gauges.entered(path)
        try:
            await self._route(exchange)
        finally:
            self._book(exchange)

    async def _route(self, exchange: Exchange) -> None:
        request = exchange.request
        endpoint = ROUTES.get((request.method, request.path))
        try:
            if endpoint is None:
                known = any(path == request.path for _, path in ROUTES)
                status, text = (405, "Method Not Allowed") if known else (404, "Not Found")
                await exchange.reply(errors.detail(status, text))
                return
            await endpoint(self.world, exchange)
        except Cut:
            knobs = exchange.knobs
            mode = knobs.break_before_head
            await exchange.break_off(mode if mode != "no" else knobs.cut_mode)
        except (BadKnobs, KeyError) as error:
            await exchange.reply(errors.problem(400, str(error), code="bad_sim_knobs"))
        except Exception:  # noqa: BLE001  (one bad request must not end a test run)
            _log.exception("the simulator failed to serve %s", request.path)
            exchange.connection.close()

    def _book(self, exchange: Exchange) -> None:
        record = exchange.record
        record.status = exchange.status
        record.body_bytes = exchange.body_bytes
        record.body_sha256 = exchange.digest.hexdigest()
        record.client_disconnected = exchange.is_lost
        record.client_disconnected_at_ns = exchange.lost_at_ns
        if exchange.is_lost:
            self.world.gauges.disconnects += 1
        self.world.gauges.left(exchange.status)
        self.world.ledger.add(record)
