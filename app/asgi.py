"""What Granian loads: opens the gateway at start-up, hands every request to it, closes it.

The application is made when the gateway is open, so that routes are given working parts instead
of looking them up in some state, and a request costs one plain call on its way to them.
"""

import gc
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, cast

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import ASGIApp, LifeSpanReceive, LifeSpanSend, Receive, Scope, Send

from app.compose import build, build_admin, gateway
from app.edge.calls import straight
from app.edge.sockets.outgoing import SERVER_SEND
from app.errors import GatewayError
from app.serving import Ending, accompanied, hear_drain, listening, stop_worker
from app.settings import Settings
from app.telemetry import logs

GARBAGE_MIN = 20_000

logger = logging.getLogger(__name__)


class Application:
    """The ASGI application of one worker."""

    def __init__(self) -> None:
        self._app: Litestar | None = None
        self._calls: Mapping[str, ASGIApp] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope; the first is the server's lifespan, which lasts until its end."""
        call = self._calls.get(scope["path"]) if scope["type"] == ScopeType.HTTP else None
        if call is not None:
            await call(scope, receive, send)
        elif self._app is not None:
            if scope["type"] == ScopeType.WEBSOCKET:
                cast("dict[str, Any]", scope)[SERVER_SEND] = send
            await self._app(scope, receive, send)
        else:
            await self._live(cast("LifeSpanReceive", receive), cast("LifeSpanSend", send))

    async def _live(self, receive: LifeSpanReceive, send: LifeSpanSend) -> None:
        await receive()
        settings = Settings.from_env()
        listener = logs.start(level=settings.log_level, as_json=settings.log_format == "json")
        try:
            async with AsyncExitStack() as stack:
                opened = await stack.enter_async_context(gateway(settings))
                ending = Ending(
                    opened.leaving, drain_timeout_s=settings.drain_timeout_s, stop=stop_worker
                )
                hear_drain(opened.leaving.withdraw, ending)
                await stack.enter_async_context(accompanied(ending))
                if settings.admin_bind is not None:
                    admin: Any = build_admin(opened)
                    apart = listening(admin, settings, at=settings.admin_bind)
                    await stack.enter_async_context(apart)
                self._app = build(opened)
                self._calls = straight(self._app)
                _settle_memory()
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except GatewayError as error:
            await send({"type": "lifespan.startup.failed", "message": error.message})
            return
        finally:
            listener.stop()
        await send({"type": "lifespan.shutdown.complete"})


def _settle_memory() -> None:
    """Take what start-up made out of the garbage collector's sight, and let it look less often.

    Calls make few cycles, and a collection that walks all modules costs more than they do.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_MIN, 20, 20)


application = Application()
