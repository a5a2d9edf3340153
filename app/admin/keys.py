"""What an operator does to callers' keys of a running gateway, and how they are shown."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from app.admin.rows import KeyRows, ReportRows
from app.domain.account import Secret
from app.domain.caller import Allowance, Caller, KeyId
from app.domain.enrolment import KeyChanges, StoredKey
from app.domain.ledger import NANO
from app.domain.report import Dimension, Totals
from app.errors import CallerError
from app.ports import Clock

DAY_S = 86_400


class NoSuchKey(CallerError):
    """The key is not there, or was revoked."""

    status = 404
    code = "not_found"


class KeyRow(Struct, frozen=True):
    """A caller's key: its limits, and what it has spent; null is without a limit."""

    id: str
    name: str
    tail: str
    """The last four characters; empty for a short key."""
    enabled: bool
    expires_at: float | None
    models: tuple[str, ...]
    groups: tuple[str, ...]
    tags: tuple[str, ...]
    endpoints: tuple[str, ...]
    networks: tuple[str, ...]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrency_max: int | None
    day_budget_usd: float | None
    month_budget_usd: float | None
    created_at: float
    revoked_at: float | None
    version: int
    """Send it back with a change."""
    requests_today: int
    tokens_today: int
    cost_today_usd: float
    """Since midnight UTC, over all workers."""


class KeyDesk:
    """Reads and changes keys."""

    def __init__(
        self,
        *,
        rows: KeyRows,
        reports: ReportRows,
        clock: Clock,
        reload: Callable[[], Awaitable[None]],
    ) -> None:
        self._rows = rows
        self._reports = reports
        self._clock = clock
        self._reload = reload

    async def page(
        self, text: str, *, revoked: bool, offset: int, limit: int
    ) -> tuple[list[KeyRow], int]:
        """Return some keys whose name or id has `text`, by name, and how many there are."""
        wanted = text.strip().lower()
        found = [
            key
            for key in await self._rows.list(revoked=revoked)
            if wanted in key.caller.name.lower() or wanted in key.caller.id
        ]
        found.sort(key=lambda key: (key.caller.name.lower(), key.caller.id))
        chosen = found[offset : offset + limit]
        sums = await self._sums([key.caller.id for key in chosen])
        return [_row(key, sums.get(key.caller.id)) for key in chosen], len(found)

    async def row(self, key_id: KeyId) -> KeyRow:
        """Return one key, also a revoked one; raises NoSuchKey."""
        for key in await self._rows.list(revoked=True):
            if key.caller.id == key_id:
                return _row(key, (await self._sums([key_id])).get(key_id))
        raise _gone(key_id)

    async def create(
        self, fields: Mapping[str, Any], *, key: Secret | None
    ) -> tuple[Secret, KeyRow]:
        """Make a key, or store the operator's own; raises as `Keys.create` does."""
        limits = {name: fields[name] for name in Allowance.__struct_fields__}
        rest = {name: value for name, value in fields.items() if name not in limits}
        made = await self._rows.create(
            at=self._clock.now(), key=key, allowance=Allowance(**limits), **rest
        )
        await self._reload()
        return made.key, await self.row(made.caller.id)

    async def change(self, key_id: KeyId, changes: KeyChanges, *, version: int | None) -> KeyRow:
        """Change a key; raises NoSuchKey, StaleEdit, InvalidRequest."""
        found = await self._rows.change(key_id, changes, version=version)
        if found is None:
            raise _gone(key_id)
        await self._reload()
        return _row(found, (await self._sums([key_id])).get(key_id))

    async def revoke(self, key_id: KeyId) -> None:
        """Revoke a key for good; raises NoSuchKey."""
        if not await self._rows.revoke(key_id, at=self._clock.now()):
            raise _gone(key_id)
        await self._reload()

    async def _sums(self, ids: list[KeyId]) -> Mapping[str, Totals]:
        today = self._clock.now() // DAY_S * DAY_S
        return await self._reports.since(Dimension.CALLER, ids, start=today)


def _row(key: StoredKey, spent: Totals | None) -> KeyRow:
    caller: Caller = key.caller
    limits = asdict(caller.allowance)
    day, month = limits.pop("day_nusd"), limits.pop("month_nusd")
    totals = spent or Totals()
    return KeyRow(
        id=caller.id,
        name=caller.name,
        tail=key.tail,
        enabled=caller.enabled,
        expires_at=caller.expires_at,
        models=caller.models,
        groups=caller.groups,
        tags=caller.tags,
        endpoints=caller.endpoints,
        networks=caller.networks,
        day_budget_usd=None if day is None else day / NANO,
        month_budget_usd=None if month is None else month / NANO,
        created_at=key.created_at,
        revoked_at=key.revoked_at,
        version=key.version,
        requests_today=totals.requests,
        tokens_today=totals.usage.total,
        cost_today_usd=totals.cost_nusd / NANO,
        **limits,
    )


def _gone(key_id: KeyId) -> NoSuchKey:
    return NoSuchKey(f"There is no key {key_id[:64]} that works.", param="id")
