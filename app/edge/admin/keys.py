"""`/api/admin/keys`: callers' keys, their limits, and what they have spent."""

from typing import Annotated, Any, Final

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency as Given
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from app.admin.audit import Auditor
from app.admin.keys import KeyDesk, KeyRow
from app.domain.account import Secret
from app.domain.admin import Actor
from app.domain.caller import KeyId
from app.domain.enrolment import LIMIT_MAX, KeyChanges
from app.domain.ledger import NANO
from app.edge.admin.bodies import Labels, Models, Name, Version, shown_name

Limit = Annotated[int, Meta(ge=1, le=LIMIT_MAX)]
Usd = Annotated[float, Meta(ge=0, le=LIMIT_MAX / NANO)]
Text = Annotated[str, Meta(min_length=1, max_length=64)]
Texts = Annotated[tuple[Text, ...], Meta(max_length=32)]
Epoch = Annotated[float, Meta(ge=0, le=1e11)]
_MONEY: Final = {"day_budget_usd": "day_nusd", "month_budget_usd": "month_nusd"}


class KeyEdit(Struct, forbid_unknown_fields=True):
    """What to set of a key; null takes a limit away, what is left out stays as it is."""

    version: Version | None = None
    """That of the key which the change was decided on: another one is refused with 409."""
    name: Name | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    expires_at: Epoch | UnsetType | None = UNSET
    models: Models | UnsetType = UNSET
    groups: Labels | UnsetType = UNSET
    tags: Labels | UnsetType = UNSET
    endpoints: Texts | UnsetType = UNSET
    networks: Texts | UnsetType = UNSET
    requests_per_minute: Limit | UnsetType | None = UNSET
    tokens_per_minute: Limit | UnsetType | None = UNSET
    concurrency_max: Limit | UnsetType | None = UNSET
    day_budget_usd: Usd | UnsetType | None = UNSET
    month_budget_usd: Usd | UnsetType | None = UNSET

    def changes(self) -> KeyChanges:
        """Return them as the store takes them."""
        return KeyChanges(**_fields(self))

    def told(self) -> dict[str, Any]:
        """Return what is written down of them."""
        return {name: value for name, value in structs.asdict(self).items() if value is not UNSET}


class NewKey(Struct, forbid_unknown_fields=True):
    """A new key and its limits; null is without one."""

    name: Name
    key: Annotated[str, Meta(min_length=3, max_length=256)] | None = None
    """A key of the operator's own; one is made if it is left out."""
    expires_at: Epoch | None = None
    models: Models = ()
    groups: Labels = ()
    tags: Labels = ()
    endpoints: Texts = ()
    networks: Texts = ()
    requests_per_minute: Limit | None = None
    tokens_per_minute: Limit | None = None
    concurrency_max: Limit | None = None
    day_budget_usd: Usd | None = None
    month_budget_usd: Usd | None = None


class CreatedKey(Struct, frozen=True):
    """A new key: the only time that `key` is shown."""

    id: str
    key: str
    name: str
    row: KeyRow


class KeyPage(Struct, frozen=True):
    """Some keys."""

    items: list[KeyRow]
    total: int
    offset: int
    limit: int


class KeysController(Controller):
    """Keys."""

    path = "/keys"
    tags = ("keys",)

    @get("/")
    async def list_keys(
        self,
        *,
        keys: Given[KeyDesk],
        q: FromQuery[str] = "",
        revoked: FromQuery[bool] = False,
        offset: FromQuery[int] = 0,
        limit: FromQuery[int] = 50,
    ) -> KeyPage:
        """List keys by name; what each has spent today and this month (UTC) with it."""
        limit, offset = max(1, min(limit, 500)), max(0, offset)
        rows, total = await keys.page(q, revoked=revoked, offset=offset, limit=limit)
        return KeyPage(rows, total, offset, limit)

    @post("/")
    async def create(
        self,
        data: JSONBody[NewKey],
        keys: Given[KeyDesk],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> CreatedKey:
        """Make a key, or take over one of the operator's own."""
        fields = _fields(data)
        own = fields.pop("key")
        made, row = await keys.create(fields, key=Secret(own) if own else None)
        told = {name: value for name, value in structs.asdict(data).items() if name != "key"}
        await audit.note(actor, "key_created", row.id, after=told)
        return CreatedKey(row.id, made.reveal(), row.name, row)

    @get("/{key_id:str}")
    async def key(self, key_id: FromPath[str], keys: Given[KeyDesk]) -> KeyRow:
        """Return one key."""
        return await keys.row(KeyId(key_id))

    @patch("/{key_id:str}")
    async def change(
        self,
        key_id: FromPath[str],
        data: JSONBody[KeyEdit],
        keys: Given[KeyDesk],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> KeyRow:
        """Change a key; 409 `stale_edit` if somebody else did since `version`."""
        before = await keys.row(KeyId(key_id))
        row = await keys.change(KeyId(key_id), data.changes(), version=data.version)
        told = data.told()
        was = {name: getattr(before, name, None) for name in told}
        await audit.note(actor, "key_changed", key_id, before=was, after=told)
        return row

    @delete("/{key_id:str}", status_code=204)
    async def revoke(
        self,
        key_id: FromPath[str],
        keys: Given[KeyDesk],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> None:
        """Revoke a key for good; every worker refuses it within two seconds."""
        await keys.revoke(KeyId(key_id))
        await audit.note(actor, "key_revoked", key_id)


def _fields(data: Struct) -> dict[str, Any]:
    """Return the fields that are set, money in nano-dollars."""
    given = {n: v for n, v in structs.asdict(data).items() if v is not UNSET and n != "version"}
    if "name" in given:
        given["name"] = shown_name(given["name"])
    for name, kept in _MONEY.items():
        if name in given:
            usd = given.pop(name)
            given[kept] = None if usd is None else round(usd * NANO)
    return given
