"""`codex2api settings`: what the operator chooses while the gateway runs.

The settings are one document in the store, and a running gateway takes a change over within
seconds. A setting that is a map has one entry a name: `group_pause_at.team-a=0.9`. Everything but
the first dot belongs to the entry's name, since models have dots in theirs. What has several
figures is written as JSON: `prices.gpt-5.5={"input_usd_per_mtok":5,"output_usd_per_mtok":30}`.
"""

from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

import click
import msgspec
from msgspec.structs import asdict, fields, replace

from app.admin.meanings import expected, field_meanings
from app.cli.command import answer, json_option, with_store
from app.clock import SystemClock
from app.domain.enrolment import labels
from app.domain.runtime import RuntimeSettings
from app.errors import InvalidRequest
from app.settings import Settings
from app.store.store import Store

_FIELDS = {field.name: field for field in fields(RuntimeSettings)}
_DEFAULTS = RuntimeSettings()


@click.group(name="settings")
def runtime_settings() -> None:
    """Show and change what a running gateway follows: strategy, thresholds, timeouts, aliases."""


@runtime_settings.command()
@json_option
def show(*, as_json: bool) -> None:
    """Show every setting with its value, what it takes and what it means."""

    async def use(store: Store, _settings: Settings) -> RuntimeSettings:
        return await store.settings.load()

    chosen = with_store(use)
    meanings = field_meanings(RuntimeSettings)
    lines: list[str] = []
    for name, field in _FIELDS.items():
        lines += _value_lines(name, chosen)
        lines += [f"    {meanings[name]}", f"    Takes {_expected(field.type)}."]
    answer(chosen, as_json=as_json, lines=lines)


@runtime_settings.command(name="set")
@click.argument("assignments", metavar="NAME=VALUE...", nargs=-1, required=True)
@json_option
def set_settings(*, assignments: tuple[str, ...], as_json: bool) -> None:
    """Change settings, all of those given or none; of a map one entry: NAME.ENTRY=VALUE."""
    changes: dict[str, Any] = {}
    for assignment in assignments:
        place, equals, text = assignment.partition("=")
        if not equals:
            raise click.UsageError(f"{assignment!r} is not NAME=VALUE.")
        name, entry = _place(place.strip())
        kinds = _entry_types(name)
        if kinds is None:
            changes[name] = _converted(text, _FIELDS[name].type, place=name)
        elif not entry:
            raise click.UsageError(f"{name} is a map: give {name}.ENTRY=VALUE.")
        else:
            _converted(entry, kinds[0], place=f"The entry's name in {name}")
            value = _converted(text, kinds[1], place=f"{name}.{entry}")
            changes.setdefault(name, {})[entry] = value

    def changed(now: RuntimeSettings) -> RuntimeSettings:
        merged = {
            name: getattr(now, name) | value if isinstance(value, dict) else value
            for name, value in changes.items()
        }
        return _checked(replace(now, **merged))

    _store(changed, names=tuple(changes), as_json=as_json)


@runtime_settings.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@json_option
def unset(*, names: tuple[str, ...], as_json: bool) -> None:
    """Go back to the default, or take the entry NAME.ENTRY out of a map."""
    places = [_place(name) for name in names]

    def changed(now: RuntimeSettings) -> RuntimeSettings:
        for name, entry in places:
            value = getattr(_DEFAULTS, name)
            if entry:
                value = dict(getattr(now, name))
                if entry not in value:
                    raise click.ClickException(f"{name} has no entry {entry!r}.")
                del value[entry]
            now = replace(now, **{name: value})
        return now

    _store(changed, names=tuple(dict.fromkeys(name for name, _ in places)), as_json=as_json)


def _store(
    changed: Callable[[RuntimeSettings], RuntimeSettings], *, names: tuple[str, ...], as_json: bool
) -> None:
    async def use(store: Store, _settings: Settings) -> RuntimeSettings:
        return await store.settings.change(changed, at=SystemClock().now())

    now = with_store(use)
    answer(now, as_json=as_json, lines=[line for name in names for line in _value_lines(name, now)])


def _place(text: str) -> tuple[str, str]:
    """Return a setting's name and, of a map, the entry's; checks that there is such a setting."""
    name, _, entry = text.partition(".")
    if name not in _FIELDS:
        raise click.UsageError(f"There is no setting {name!r}; known are {', '.join(_FIELDS)}.")
    if entry and not _entry_types(name):
        raise click.UsageError(f"{name} is no map: give {name}=VALUE.")
    if entry and name == "group_pause_at":
        try:
            (entry,) = labels([entry], param=text)
        except InvalidRequest as error:
            raise click.UsageError(error.message) from error
    return name, entry


def _converted(text: str, kind: Any, *, place: str) -> Any:
    """Return what `text` stands for, checked against the type and its bounds."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _decoded(text, kind, place=place)
    try:
        return msgspec.convert(text.strip(), kind, strict=False)
    except msgspec.ValidationError:
        raise click.UsageError(f"{place} takes {_expected(kind)}, not {text!r}.") from None


def _decoded(text: str, kind: type[msgspec.Struct], *, place: str) -> Any:
    """Return the value that is written as JSON; a name that it does not have is no slip to pass."""
    try:
        unknown = set(msgspec.json.decode(text, type=dict[str, object])) - set(
            kind.__struct_fields__
        )
        if unknown:
            raise click.UsageError(f"{place} has no {min(unknown)!r}; it takes {_expected(kind)}.")
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise click.UsageError(f"{place}: {error}; it takes {_expected(kind)}.") from None


def _checked(value: RuntimeSettings) -> RuntimeSettings:
    """Return `value` if it holds together; what each entry is was checked before."""
    try:
        return msgspec.convert(asdict(value), RuntimeSettings)
    except msgspec.ValidationError as error:
        raise click.UsageError(f"Too many entries: {error}.") from error


def _entry_types(name: str) -> tuple[Any, Any] | None:
    """Return the types of a map's names and values; None if the setting is no map."""
    kind = _FIELDS[name].type
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return get_args(kind) if get_origin(kind) is dict else None


def _expected(kind: Any) -> str:
    return expected(kind, entries="entries NAME.ENTRY=VALUE")


def _value_lines(name: str, chosen: RuntimeSettings) -> list[str]:
    value, default = getattr(chosen, name), getattr(_DEFAULTS, name)
    if isinstance(value, dict):
        return [f"{name}.{entry}={_text(each)}" for entry, each in value.items()] or [f"{name}="]
    told = "" if value == default else f"    (default: {_text(default)})"
    return [f"{name}={_text(value)}{told}"]


def _text(value: object) -> str:
    if isinstance(value, msgspec.Struct):
        said = {name: part for name, part in asdict(value).items() if part is not None}
        return msgspec.json.encode(said).decode()
    return str(value).removesuffix(".0")
