"""`/api/admin/ops`, `/drain`, `/explain`, `/audit`, `/connect`: running the gateway."""

from typing import Annotated, Final

from litestar import Controller, get, post
from litestar.di import NamedDependency as Given
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from app.admin.audit import Auditor
from app.admin.explaining import Explained, Explainer
from app.admin.overview import OperationsPage, Overview
from app.admin.running import Drain, ModelNames
from app.domain.admin import Actor, AuditEntry
from app.edge.admin.gate import Where

ENDPOINTS: Final = {
    "openai": "/v1",
    "anthropic": "",
    "codex": "/backend-api/codex",
}
"""What a client of each API takes as its base, after the address."""


class AuditPage(Struct, frozen=True):
    """Some entries, the latest first."""

    items: list[AuditEntry]
    next_cursor: int | None
    """Send it as `cursor` for what comes after; null at the end."""


class Connect(Struct, frozen=True):
    """What a client is told to get here."""

    address: str
    """As this request came: scheme, host and port."""
    bases: dict[str, str]
    """The base URL for each kind of client: `openai`, `anthropic`, `codex`."""
    models: list[str]


class Draining(Struct, frozen=True):
    """The worker takes no new calls; those under way end."""

    draining: bool
    in_flight: int


class OperationsController(Controller):
    """Operations."""

    tags = ("operations",)

    @get("/ops/overview")
    async def overview(self, overview: Given[Overview]) -> OperationsPage:
        """Return how the worker that answers does: its process, its journal, its stores."""
        return await overview.operations()

    @post("/drain", status_code=200)
    async def drain(
        self,
        drain: Given[Drain],
        overview: Given[Overview],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> Draining:
        """Take no more calls in this replica; there is no way back but a restart."""
        await audit.note(actor, "drain")
        await drain()
        return Draining(overview.draining, overview.in_flight)

    @get("/explain")
    async def explanations(
        self, explainer: Given[Explainer], limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20
    ) -> list[Explained]:
        """Return the latest decisions of the pool that are explained (setting `explain`)."""
        return await explainer.recent(limit)

    @get("/explain/{request_id:str}")
    async def explain(self, request_id: FromPath[str], explainer: Given[Explainer]) -> Explained:
        """Tell why a request went where it did, as far as it is known still."""
        return await explainer.find(request_id)

    @get("/audit")
    async def audit_log(
        self,
        *,
        audit: Given[Auditor],
        cursor: Annotated[int | None, QueryParameter(ge=0, le=2**31 - 1)] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
        action: Annotated[str | None, QueryParameter(max_length=64)] = None,
    ) -> AuditPage:
        """Return who did what."""
        items = await audit.page(before=cursor, limit=limit, action=action)
        more = items[-1].id if len(items) == limit else None
        return AuditPage(items, more)

    @get("/connect")
    async def connect(self, where: Given[Where], model_names: Given[ModelNames]) -> Connect:
        """Return what clients need to get here, as this browser does."""
        address = f"{'https' if where.secure else 'http'}://{where.host}"
        bases = {name: f"{address}{base}" for name, base in ENDPOINTS.items()}
        return Connect(address, bases, list(model_names()))
