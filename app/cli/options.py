"""Options that several commands take: shares, names of groups and tags, points in time.

An option that was not given is `UNSET`, and one that was given as '' takes a value away, so that a
command that changes something can tell the two apart.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import wraps
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from app.domain.enrolment import (
    CONCURRENCY_MAX,
    ENDPOINTS,
    LIMIT_MAX,
    PRIORITY_MAX,
    AccountChanges,
    KeyChanges,
    endpoints,
    header_id,
    labels,
    model_map,
    networks,
)
from app.domain.ledger import NANO
from app.errors import InvalidRequest

T = TypeVar("T")
Option = Callable[[Any], Any]

NAME_CHARS_MAX = 200
_MODEL_CHARS_MAX = 128
_NONE = ("", "none")


class Share(click.ParamType[float | None]):
    """A share of a whole, above 0: `0.9` or `90%`; '' is none."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """Return the share as a number up to 1."""
        text = str(value).strip()
        if not text:
            return None
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = 0.0
        if not 0 < share <= 1:
            self.fail(f"{text!r} is no share above 0 and up to 1, such as 0.9 or 90%", param, ctx)
        return share


class Moment(click.ParamType[float | None]):
    """A day or a point in time, UTC if it does not say otherwise; '' or `never` is none."""

    name = "when"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """Return epoch seconds; of a day, those of its beginning."""
        text = str(value).strip()
        if text in {"", "never"}:
            return None
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            self.fail(
                f"{text!r} is no day or time such as 2030-12-31, 2030-12-31T18:00Z or never",
                param,
                ctx,
            )
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        return found.timestamp()


class Amount(click.ParamType[int | None]):
    """A whole number above 0; '' or `none` is none."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Return the number."""
        text = str(value).strip()
        if text in _NONE:
            return None
        if not (text.isascii() and text.isdigit() and 0 < int(text[:20]) <= LIMIT_MAX):
            self.fail(f"{text!r} is no whole number from 1 to {LIMIT_MAX}, or none", param, ctx)
        return int(text)


class Money(click.ParamType[int | None]):
    """Dollars, to the cent or finer; '' or `none` is none."""

    name = "usd"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Return nano-dollars."""
        text = str(value).strip().removeprefix("$")
        if text in _NONE:
            return None
        try:
            nusd = Decimal(text) * NANO
        except InvalidOperation:
            self.fail(f"{text!r} is no amount of dollars such as 12.50, or none", param, ctx)
        if not nusd.is_finite() or not 0 <= nusd <= LIMIT_MAX:
            most = LIMIT_MAX // NANO
            self.fail(f"{text!r} is no amount from 0 to {most} dollars", param, ctx)
        return int(nusd)


def if_given(ctx: click.Context, param: click.Parameter, value: T) -> T | UnsetType:
    """Return the option's value, `UNSET` if it was not given."""
    source = ctx.get_parameter_source(param.name or "")
    return UNSET if source is ParameterSource.DEFAULT else value


def labels_if_given(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...] | UnsetType:
    """Return names of groups or tags as they are kept, none for '', `UNSET` if not given."""
    if if_given(ctx, param, value) is UNSET:
        return UNSET
    if value == ("",):
        return ()
    try:
        return labels(value, param=param.opts[0])
    except InvalidRequest as error:
        told = error.message.removeprefix(f"{error.param}: ")
        raise click.BadParameter(told, ctx=ctx, param=param) from error


def checked_if_given(
    checked: Callable[..., tuple[str, ...]],
) -> Callable[..., tuple[str, ...] | UnsetType]:
    """Return a callback for names that `checked` knows: none for '' and none, or `UNSET`."""

    def names_if_given(
        ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
    ) -> tuple[str, ...] | UnsetType:
        if if_given(ctx, param, value) is UNSET:
            return UNSET
        if len(value) == 1 and value[0] in _NONE:
            return ()
        try:
            return checked(value, param=param.opts[0])
        except InvalidRequest as error:
            told = error.message.removeprefix(f"{error.param}: ")
            raise click.BadParameter(told, ctx=ctx, param=param) from error

    return names_if_given


def models_if_given(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...] | UnsetType:
    """Return names of models, each once, none for '', `UNSET` if not given."""
    if if_given(ctx, param, value) is UNSET:
        return UNSET
    if value == ("",):
        return ()
    models = tuple(dict.fromkeys(name.strip() for name in value))
    for name in models:
        if not 0 < len(name) <= _MODEL_CHARS_MAX or not name.isprintable():
            raise click.BadParameter(
                f"{name[:_MODEL_CHARS_MAX]!r} is no name of 1 to {_MODEL_CHARS_MAX} characters.",
                ctx=ctx,
                param=param,
            )
    return models


def map_if_given(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> Mapping[str, str] | UnsetType:
    """Return pairs of names of models, none for '', `UNSET` if not given."""
    if if_given(ctx, param, value) is UNSET:
        return UNSET
    if value == ("",):
        return {}
    if not all("=" in pair for pair in value):
        raise click.BadParameter("expected NAME=ITS_NAME, such as gpt-5.5=qwen3.", param=param)
    try:
        return model_map(dict(pair.split("=", 1) for pair in value), param=param.opts[0])
    except InvalidRequest as error:
        told = error.message.removeprefix(f"{error.param}: ")
        raise click.BadParameter(told, ctx=ctx, param=param) from error


def header_id_if_given(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> str | UnsetType | None:
    """Return an id that travels in a header, None for '', `UNSET` if it was not given."""
    if if_given(ctx, param, value) is UNSET:
        return UNSET
    try:
        return header_id(value, param=param.opts[0])
    except InvalidRequest as error:
        told = error.message.removeprefix(f"{error.param}: ")
        raise click.BadParameter(told, ctx=ctx, param=param) from error


def name_if_given(ctx: click.Context, param: click.Parameter, value: str) -> str | UnsetType:
    """Return a name that people see, `UNSET` if it was not given."""
    if if_given(ctx, param, value) is UNSET:
        return UNSET
    name = value.strip()
    if not 0 < len(name) <= NAME_CHARS_MAX or not name.isprintable():
        raise click.BadParameter(
            f"a name has 1 to {NAME_CHARS_MAX} characters that can be shown.", ctx=ctx, param=param
        )
    return name


def given(chosen: Struct) -> dict[str, Any]:
    """Return the fields that are set."""
    return {name: value for name, value in asdict(chosen).items() if value is not UNSET}


def collecting(
    into: Callable[..., Struct], options: Mapping[str, Option]
) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Return a decorator that gives a command `options`; it gets their values as `chosen`."""

    def decorated(command: Callable[..., T]) -> Callable[..., T]:
        @wraps(command)
        def collected(*args: Any, **values: Any) -> T:
            chosen = into(**{name: values.pop(name) for name in options})
            return command(*args, chosen=chosen, **values)

        for option in reversed(list(options.values())):
            collected = option(collected)
        return collected

    return decorated


def names_option(
    flag: str, field: str, *, help: str, callback: Callable[..., Any] = labels_if_given
) -> Option:
    """Return an option that may be given several times."""
    return click.option(flag, field, multiple=True, callback=callback, help=help)


def limit_option(
    flag: str, field: str, *, help: str, type: click.ParamType[int | None] | None = None
) -> Option:
    """Return an option for a limit that may be taken away again."""
    told = f"{help} '' or none for no limit."
    return click.option(flag, field, type=type or Amount(), callback=if_given, help=told)


account_options = collecting(
    AccountChanges,
    {
        "priority": click.option(
            "--priority",
            type=click.IntRange(-PRIORITY_MAX, PRIORITY_MAX),
            callback=if_given,
            help="Accounts of a higher one are used first; 0 by default.",
        ),
        "concurrency_max": click.option(
            "--concurrency-max",
            type=click.IntRange(1, CONCURRENCY_MAX),
            callback=if_given,
            help="Calls at a time; 32 by default.",
        ),
        "groups": names_option(
            "--group", "groups", help="A group that it belongs to; a key may be bound to groups."
        ),
        "tags": names_option(
            "--tag", "tags", help="A word of yours for it; a key may ask for tags."
        ),
        "pause_at": click.option(
            "--pause-at",
            type=Share(),
            callback=if_given,
            help="Share of a limit at which it is paused until the reset, such as 0.9 or 90%.",
        ),
        "models": names_option(
            "--model",
            "models",
            help="A model that it may serve; all if none is given.",
            callback=models_if_given,
        ),
        "model_map": names_option(
            "--map-model",
            "model_map",
            help="A model that it has under another name: NAME=ITS_NAME.",
            callback=map_if_given,
        ),
        "organization": click.option(
            "--organization",
            callback=header_id_if_given,
            help="The platform's organization, where its key is for several.",
        ),
        "project": click.option(
            "--project", callback=header_id_if_given, help="The same for its project."
        ),
    },
)

key_options = collecting(
    KeyChanges,
    {
        "models": names_option(
            "--model",
            "models",
            help="A model that it may ask for; all if none is given.",
            callback=models_if_given,
        ),
        "groups": names_option(
            "--group", "groups", help="A group whose accounts may serve it; all if none is given."
        ),
        "tags": names_option("--tag", "tags", help="A tag that an account must have to serve it."),
        "expires_at": click.option(
            "--expires",
            "expires_at",
            type=Moment(),
            callback=if_given,
            help="A day or time (UTC) such as 2030-12-31, or never.",
        ),
        "requests_per_minute": limit_option(
            "--requests-per-minute", "requests_per_minute", help="Calls in a minute."
        ),
        "tokens_per_minute": limit_option(
            "--tokens-per-minute", "tokens_per_minute", help="Tokens in a minute, in and out."
        ),
        "concurrency_max": limit_option(
            "--concurrency", "concurrency_max", help="Calls at a time."
        ),
        "day_nusd": limit_option(
            "--day-budget", "day_nusd", type=Money(), help="What its calls may cost in a day (UTC)."
        ),
        "month_nusd": limit_option(
            "--month-budget", "month_nusd", type=Money(), help="And in a month (UTC)."
        ),
        "endpoints": names_option(
            "--endpoint",
            "endpoints",
            help=f"An endpoint that it may use ({', '.join(ENDPOINTS)}); all if none is given.",
            callback=checked_if_given(endpoints),
        ),
        "networks": names_option(
            "--network",
            "networks",
            help="A network that it may be used from, such as 10.0.0.0/8; any if none is given.",
            callback=checked_if_given(networks),
        ),
    },
)
