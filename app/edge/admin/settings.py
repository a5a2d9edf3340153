"""`/api/admin/settings`: what an operator chooses while the gateway runs, and prices."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Controller, get, put
from litestar.di import NamedDependency as Given
from litestar.params import JSONBody
from msgspec import Struct, structs

from app.admin.audit import Auditor
from app.admin.meanings import expected, field_meanings
from app.admin.rows import SettingsRows
from app.admin.running import TakeOver
from app.domain.admin import Actor
from app.domain.price import Price
from app.domain.runtime import RuntimeSettings
from app.edge.admin.bodies import Version
from app.errors import InvalidRequest
from app.ports import Clock
from app.usage.prices import BUILT_IN, PriceTable

DEFAULTS = RuntimeSettings()
_MEANINGS = field_meanings(RuntimeSettings)


class SettingField(Struct, frozen=True):
    """What a setting means and takes."""

    name: str
    meaning: str
    expected: str
    choices: list[str] | None
    """The words that it takes, if it takes one of some."""


class SettingsPage(Struct, frozen=True):
    """All settings with their defaults."""

    version: int
    """Send it back with a change."""
    values: RuntimeSettings
    defaults: RuntimeSettings
    fields: list[SettingField]


class SettingsEdit(Struct, forbid_unknown_fields=True):
    """The settings to be; a setting that is left out goes back to its default."""

    values: dict[str, Any]
    version: Version | None = None
    """That of the settings which were seen: another one is refused with 409."""


class PriceRow(Struct, frozen=True):
    """What a model costs, in dollars for a million tokens."""

    model: str
    input_usd: float
    cached_usd: float
    output_usd: float
    chosen: bool
    """The operator's own, not the built-in one."""


class Prices(Struct, frozen=True):
    """All known prices."""

    version: int
    items: list[PriceRow]


class SettingsController(Controller):
    """Settings and prices."""

    tags = ("settings",)

    @get("/settings")
    async def show(self, settings: Given[SettingsRows]) -> SettingsPage:
        """Return every setting, its default, and what it means."""
        values, version = await settings.versioned()
        return _page(values, version)

    @put("/settings")
    async def replace(
        self,
        data: JSONBody[SettingsEdit],
        settings: Given[SettingsRows],
        take_over: Given[TakeOver],
        audit: Given[Auditor],
        actor: Given[Actor],
        clock: Given[Clock],
    ) -> SettingsPage:
        """Replace the settings; every worker follows within five seconds."""
        wanted = checked(data.values)
        before, _ = await settings.versioned()
        await settings.change(lambda _now: wanted, at=clock.now(), version=data.version)
        await take_over()
        was, will = structs.asdict(before), structs.asdict(wanted)
        changed = [name for name in will if was[name] != will[name]]
        await audit.note(
            actor,
            "settings_changed",
            before={name: was[name] for name in changed},
            after={name: will[name] for name in changed},
        )
        return _page(*await settings.versioned())

    @get("/prices")
    async def prices(self, settings: Given[SettingsRows]) -> Prices:
        """Return what models cost; the setting `prices` has those of the operator."""
        values, _ = await settings.versioned()
        table = PriceTable(values.prices)
        rows = []
        for model in sorted({*BUILT_IN, *values.prices}):
            rate = table.rate(model)
            if rate is not None:
                usd = [part / 1_000 for part in (rate.input, rate.cached, rate.output)]
                rows.append(PriceRow(model, usd[0], usd[1], usd[2], chosen=model in values.prices))
        return Prices(table.version, rows)


def checked(values: Mapping[str, Any]) -> RuntimeSettings:
    """Return settings of what was sent.

    Raises:
        InvalidRequest: One is unknown or has a wrong form; `param` is its path.
    """
    known = {field.name: field for field in structs.fields(RuntimeSettings)}
    for name in values:
        if name not in known:
            raise InvalidRequest("There is no such setting.", param=f"values.{name[:64]}")
    prices = values.get("prices")
    for model, price in prices.items() if isinstance(prices, dict) else ():
        _check_price(f"values.prices.{model[:128]}", price)
    found: dict[str, Any] = {}
    for name, value in values.items():
        try:
            found[name] = msgspec.convert(value, known[name].type)
        except msgspec.ValidationError as error:
            told = f"{error}; it takes {expected(known[name].type)}."
            raise InvalidRequest(told, param=f"values.{name}") from None
    return RuntimeSettings(**found)


def _check_price(path: str, price: object) -> None:
    """Raise `InvalidRequest` with the path of the field of a price that is wrong."""
    if not isinstance(price, dict):
        raise InvalidRequest("A price is an object.", param=path)
    fields = {field.name: field for field in structs.fields(Price)}
    for name, value in price.items():
        if name not in fields:
            raise InvalidRequest("A price has no such field.", param=f"{path}.{str(name)[:64]}")
        try:
            msgspec.convert(value, fields[name].type)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"{error}.", param=f"{path}.{name}") from None
    for name, field in fields.items():
        if field.required and name not in price:
            raise InvalidRequest("It is missing.", param=f"{path}.{name}")


def _page(values: RuntimeSettings, version: int) -> SettingsPage:
    return SettingsPage(version, values, DEFAULTS, _FIELDS)


def _field(name: str, kind: Any) -> SettingField:
    told = msgspec.inspect.type_info(kind)
    words = [*told.cls] if isinstance(told, msgspec.inspect.EnumType) else None
    choices = None if words is None else [str(word.value) for word in words]
    return SettingField(name, _MEANINGS.get(name, ""), expected(kind), choices)


_FIELDS = [_field(field.name, field.type) for field in structs.fields(RuntimeSettings)]
