"""The gateway as operators run it: SQLite, accounts imported, one key, `codex2api serve`.

`prepare` makes its data directory and imports the accounts by the command line; `running` starts
it and says how long it took until `/ready` said yes.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import msgspec
import orjson

from app.settings import VARIABLES
from loadtests.bench.processes import ROOT, Program, ProgramFailed, free_port
from loadtests.bench.upstream import Upstream

KEY: Final = "sk-bench-0123456789abcdef"
CHAT_MODEL: Final = "qwen3"
"""A model that only the chat-only server has."""
SERVERS_MAX: Final = 100
COMMAND: Final = [os.environ.get("BENCH_PYTHON") or sys.executable, "-m", "app"]
"""`BENCH_PYTHON` is an interpreter that has the image's packages and no others."""


class Gateway(msgspec.Struct, frozen=True):
    """A gateway that is ready."""

    program: Program
    port: int
    ready_s: float
    """From the start of the process to the first 200 of `/ready`."""

    def metrics(self) -> dict[str, float]:
        """The samples of `/metrics`, by name with labels; empty where there are none."""
        return read_metrics(self.port)


def prepare(upstream: Upstream, folder: Path, **settings: str) -> dict[str, str]:
    """Make a data directory with the upstream's accounts; return the gateway's environment.

    `settings` are further environment variables, or others in the place of the bench's own.
    """
    data = folder / "data"
    data.mkdir()
    empty = folder / "empty.env"
    empty.touch()
    environment = _environment(upstream, data, empty) | settings
    accounts = folder / "accounts.json"
    codex = upstream.accounts()
    servers = [_server(upstream, number) for number in range(min(len(codex), SERVERS_MAX))]
    accounts.write_bytes(orjson.dumps([*codex, *servers]))
    arguments = [*COMMAND, "accounts", "import", str(accounts), "--json"]
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, check=False)
    accounts.unlink()
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise ProgramFailed(f"`codex2api accounts import` ended with {done.returncode}: {said}")
    return environment


def _server(upstream: Upstream, number: int) -> dict[str, object]:
    """One of as many chat-only servers as there are Codex accounts; they differ in their keys."""
    return {
        "type": "compatible",
        "name": f"server {number}",
        "base_url": f"{upstream.url}/compatible/v1",
        "api_key": f"key-{number}",
        "models": [CHAT_MODEL],
    }


@contextmanager
def running(
    environment: Mapping[str, str],
    folder: Path,
    *,
    core: int,
    command: Sequence[str] = tuple(COMMAND),
) -> Iterator[Gateway]:
    """Start a gateway on that core; yield it once it is ready. It ends with the block.

    `command` runs the program, which is told to serve.
    """
    port = free_port()
    environment = {**environment, "CODEX_PORT": str(port)}
    arguments = [*command, "serve"]
    log = folder / "gateway.log"
    with Program("the gateway", arguments, core=core, log=log, env=environment) as program:
        while not _ready(port):
            program.wait_a_little()
        yield Gateway(program, port, time.monotonic() - program.began)


def read_metrics(port: int) -> dict[str, float]:
    """The samples of a gateway's `/metrics`; empty where there are none."""
    reply = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=10)
    if reply.status_code != httpx.codes.OK:
        return {}
    lines = (line for line in reply.text.splitlines() if line and not line.startswith("#"))
    pairs = (line.rpartition(" ") for line in lines)
    return {name: float(value) for name, _, value in pairs}


def _ready(port: int) -> bool:
    try:
        reply = httpx.get(f"http://127.0.0.1:{port}/ready", trust_env=False, timeout=2)
    except httpx.TransportError:
        return False
    return reply.status_code == httpx.codes.OK


def _environment(upstream: Upstream, data: Path, empty: Path) -> dict[str, str]:
    """This process's environment without any setting of the gateway, and then the bench's own."""
    settings = {variable.name for variable in VARIABLES}
    settings |= {f"{name}_FILE" for name in settings}
    kept = {name: value for name, value in os.environ.items() if name not in settings}
    trust = {"SSL_CERT_FILE": upstream.authority} if upstream.authority else {}
    return (
        kept
        | trust
        | {
            "ADMIN_SECRET": "bench-admin-password",
            "CODEX_API_KEYS": KEY,
            "CODEX_DATA_DIR": str(data),
            "CODEX_DRAIN_TIMEOUT": "2",
            "CODEX_ENV_FILE": str(empty),
            "DATABASE_DRIVER": "sqlite",
            "LOG_LEVEL": "warning",
            "OAUTH_ISSUER": upstream.url,
            "UPSTREAM_BASE_URL": f"{upstream.url}/backend-api",
        }
    )
