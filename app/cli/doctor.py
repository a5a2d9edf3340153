"""`codex2api doctor`: is this machine ready to serve, and if not, what to do.

Every check looks and changes nothing: no key is made, no table is touched, no credential leaves.
"""

import asyncio
import os
import resource
import socket
import sys
from enum import StrEnum

import click
from msgspec import Struct

from app.cli.command import answer, json_option
from app.clock import SystemClock
from app.environment import SettingsError
from app.errors import StateError
from app.settings import Driver, Settings
from app.shared import inspection as redis
from app.store.inspection import inspect
from app.store.store import database_name
from app.upstream.probing import Probe, reach

_SPARE_DESCRIPTORS = 256
_SKEW_S_MAX = 60


class Verdict(StrEnum):
    """How a check went."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Check(Struct, frozen=True):
    """One finding; `remedy` says what to do if it is not fine."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


@click.command()
@click.option("--offline", is_flag=True, help="Leave out what needs the network.")
@json_option
@click.pass_context
def doctor(ctx: click.Context, *, offline: bool, as_json: bool) -> None:
    """Check this machine and the settings; status 1 if something must be done first."""
    try:
        checks = asyncio.run(_examine(Settings.from_env(), offline=offline))
    except SettingsError as error:
        checks = [
            Check(
                "settings", Verdict.FAIL, f"{fault.name} is {fault.value}", f"Set {fault.expected}"
            )
            for fault in error.faults
        ]
    lines = []
    for check in checks:
        lines.append(f"{check.verdict.value:4}  {check.name}: {check.found}")
        if check.remedy:
            lines.append(f"      -> {check.remedy}")
    answer(checks, as_json=as_json, lines=lines)
    if any(check.verdict is Verdict.FAIL for check in checks):
        ctx.exit(1)


async def _examine(settings: Settings, *, offline: bool) -> list[Check]:
    checks = [
        _settings(settings),
        _python(),
        _descriptors(settings),
        _data_dir(settings),
        *await _database(settings),
        *await _redis(settings),
        _port(settings),
    ]
    if not offline:
        checks += await _network(settings)
    return checks


def _settings(settings: Settings) -> Check:
    warnings = settings.warnings()
    if warnings:
        return Check("settings", Verdict.WARN, "they are good, but", " ".join(warnings))
    return Check("settings", Verdict.OK, "every variable is good")


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Check("python", Verdict.OK, version)


def _descriptors(settings: Settings) -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A call holds two: the caller's connection and the upstream's.
    wanted = 2 * settings.limits.streams_max + _SPARE_DESCRIPTORS
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return Check("descriptors", Verdict.OK, f"{soft} files may be open")
    return Check(
        "descriptors",
        Verdict.WARN,
        f"{soft} files may be open, {wanted} are needed for {settings.limits.streams_max} streams",
        f"Raise it with `ulimit -n {wanted}` (at most {hard} here), or LimitNOFILE in systemd.",
    )


def _data_dir(settings: Settings) -> Check:
    # Where the rows are not in Postgres, and the journal of what was used in any case.
    sqlite = settings.database_driver is Driver.SQLITE
    path = settings.sqlite_path.parent if sqlite else settings.data_dir
    if not path.exists():
        return Check("data directory", Verdict.OK, f"{path} will be made at the first start")
    if not os.access(path, os.W_OK | os.X_OK):
        return Check(
            "data directory",
            Verdict.FAIL,
            f"{path} is not writable for this user",
            "Give it to the user that runs the gateway, or set CODEX_DATA_DIR to another.",
        )
    if path.stat().st_mode & 0o007:
        return Check(
            "data directory",
            Verdict.WARN,
            f"{path} is open to every user of this machine",
            f"Close it with `chmod 700 {path}`; the files in it are private by themselves.",
        )
    return Check("data directory", Verdict.OK, f"{path} is writable")


async def _database(settings: Settings) -> list[Check]:
    try:
        found = await inspect(settings)
    except StateError as error:
        return [Check("database", Verdict.FAIL, "it can't be used", error.message)]
    name = database_name(settings)
    if not found.exists:
        return [Check("database", Verdict.OK, f"{name} will be made at the first start")]
    if not found.schema_current:
        return [
            Check(
                "database",
                Verdict.WARN,
                "its tables are of an older version",
                "Nothing: the next start brings them up to date. Make a backup first.",
            )
        ]
    if found.damaged:
        return [
            Check(
                "database",
                Verdict.FAIL,
                f"{found.damaged} of {found.accounts} accounts have a secret that does not open",
                "`codex2api accounts list` shows which; add those again.",
            )
        ]
    fine = f"{name} has {found.accounts} accounts, and the key opens them"
    return [Check("database", Verdict.OK, fine)]


async def _redis(settings: Settings) -> list[Check]:
    if settings.cache_driver is not Driver.REDIS:
        return []
    found = await redis.inspect(settings)
    if not found.trouble:
        fine = f"{found.place} answers, version {found.version}"
        return [Check("redis", Verdict.OK, fine)]
    return [Check("redis", Verdict.FAIL, f"{found.place}: {found.trouble}", found.remedy)]


def _port(settings: Settings) -> Check:
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    where = f"{settings.bind}:{settings.port}"
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind, settings.port))
        except OSError as error:
            return Check(
                "port",
                Verdict.WARN,
                f"{where} can't be listened on: {error.strerror}",
                "Fine if the gateway is running; else end the other program or set CODEX_PORT.",
            )
    return Check("port", Verdict.OK, f"{where} is free")


async def _network(settings: Settings) -> list[Check]:
    before = SystemClock().now()
    upstream, issuer = await asyncio.gather(
        reach(settings, settings.upstream_base_url), reach(settings, settings.oauth_issuer)
    )
    after = SystemClock().now()
    return [
        _reached("upstream", settings.upstream_base_url, upstream),
        _reached("issuer", settings.oauth_issuer, issuer),
        _clock(upstream.server_time or issuer.server_time, before=before, after=after),
    ]


def _reached(name: str, url: str, probe: Probe) -> Check:
    # Any answer will do: without a credential there is nothing to be had at these addresses.
    if probe.status is not None:
        return Check(name, Verdict.OK, f"{url} answers ({probe.status})")
    return Check(
        name,
        Verdict.FAIL,
        f"{url} can't be reached ({probe.reason})",
        "Check the network, DNS and UPSTREAM_PROXY_URL; SSL_CERT_FILE adds a private CA.",
    )


def _clock(server_time: float | None, *, before: float, after: float) -> Check:
    if server_time is None:
        return Check("clock", Verdict.WARN, "nobody could be asked for the time", "See above.")
    skew_s = max(server_time - after, before - server_time, 0)
    if skew_s <= _SKEW_S_MAX:
        return Check("clock", Verdict.OK, "it agrees with the upstream's")
    return Check(
        "clock",
        Verdict.FAIL,
        f"it is {skew_s:.0f} s off the upstream's",
        "Set it by NTP: renewals and resets depend on it.",
    )
