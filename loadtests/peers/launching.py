"""How each peer is started in front of the simulator, and what it is asked.

Each has one core, logs no call, and has a hundred accounts, keys or deployments to choose from,
as far as it chooses at all. What a peer does not do for a call (check a key, count tokens, keep
the count) is said in `DOES`, and stands beside its figures.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

import httpx
import msgspec
import orjson

from loadtests.bench import gateway, nginx
from loadtests.bench.figures import ProgramName
from loadtests.bench.gateway import CHAT_MODEL, KEY
from loadtests.bench.lanes import MODEL, Lane, asking, by_chat, forwarded, through_gateway
from loadtests.bench.processes import Program, free_port
from loadtests.bench.upstream import ACCOUNTS, Upstream
from loadtests.peers.installing import Installed

START_S: Final = 120.0
CHOICES: Final = ACCOUNTS
"""How many accounts, keys or deployments a peer chooses from."""
DOES: Final[dict[ProgramName, str]] = {
    "nginx": "passes bytes on; one upstream, no key",
    "haproxy": "passes bytes on; one upstream, no key",
    "gateway": "checks a key, chooses among 100, counts tokens and money, keeps it in SQLite",
    "litellm": "checks the master key, chooses among 100, counts tokens, keeps nothing",
    "portkey": "takes the upstream and its key from the caller's headers, keeps nothing",
    "codex-lb": "chooses among 100, counts tokens, keeps it in SQLite; no key is checked",
}
_HAPROXY: Final = """\
global
    nbthread 1
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    option http-no-delay
    http-reuse always
listen bench
    bind 127.0.0.1:{port}
    server simulator 127.0.0.1:{upstream}
"""
_QUIET_CODEX_LB: Final = (
    "import logging, sys; logging.disable(logging.INFO); from app.cli import main; sys.exit(main())"
)
"""Its log has no level of its own: all below a warning is left out from outside."""


class _Slow(Program):
    """A program that may take its time to start."""

    start_s = START_S


class Started(msgspec.Struct, frozen=True):
    """A peer that answers."""

    program: Program
    lanes: tuple[Lane, ...]
    ready_s: float


class Launcher(Protocol):
    """Starts one kind of peer."""

    def __call__(
        self, installed: Installed, upstream: Upstream, folder: Path, core: int
    ) -> AbstractContextManager[Started]:
        """Yield the peer once it answers; it ends with the block."""


class Gateways:
    """Starts this gateway, each time on the same data."""

    def __init__(self, upstream: Upstream, folder: Path) -> None:
        self._environment = gateway.prepare(upstream, folder)

    @contextmanager
    def __call__(
        self, installed: Installed, upstream: Upstream, folder: Path, core: int
    ) -> Iterator[Started]:
        """Yield the gateway, asked in both dialects and of both kinds of upstream."""
        del installed
        with gateway.running(self._environment, folder, core=core) as ready:
            passed = through_gateway(ready, upstream.kind)
            wanted = [lane for lane in passed if lane.work in {"responses", "chat"}]
            chat = [lane for lane in by_chat(ready, upstream.kind) if lane.work == "chat by chat"]
            yield Started(ready.program, (*wanted, *chat), ready.ready_s)


@contextmanager
def nginx_before(
    installed: Installed, upstream: Upstream, folder: Path, core: int
) -> Iterator[Started]:
    """Yield nginx, one worker."""
    del installed
    with nginx.running(upstream, folder, core=core) as (program, port):
        yield _forwarding(program, port, upstream)


@contextmanager
def haproxy_before(
    installed: Installed, upstream: Upstream, folder: Path, core: int
) -> Iterator[Started]:
    """Yield HAProxy, one thread."""
    port = free_port()
    file = folder / "haproxy.cfg"
    file.write_text(_HAPROXY.format(port=port, upstream=upstream.port), "utf-8")
    command = [*installed.command, "-db", "-f", str(file)]
    with Program("haproxy", command, core=core, log=folder / "log", env=os.environ) as program:
        program.wait_until_listening(port)
        yield _forwarding(program, port, upstream)


@contextmanager
def litellm_before(
    installed: Installed, upstream: Upstream, folder: Path, core: int
) -> Iterator[Started]:
    """Yield LiteLLM's proxy, one worker, with as many deployments as others have accounts."""
    deployments = [
        {
            "model_name": CHAT_MODEL,
            "litellm_params": {
                "model": f"openai/{CHAT_MODEL}",
                "api_base": f"{upstream.url}/compatible/v1",
                "api_key": f"key-{number}",
            },
        }
        for number in range(CHOICES)
    ]
    file = folder / "litellm.yaml"  # JSON is YAML too
    file.write_bytes(
        orjson.dumps({"model_list": deployments, "general_settings": {"master_key": KEY}})
    )
    port = free_port()
    command = [*installed.command, "--config", str(file), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    environment = {**os.environ, "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    headers = {"authorization": f"Bearer {KEY}"}
    lane = asking("litellm", "chat by chat", upstream.kind, port, headers)
    with _Slow("litellm", command, core=core, log=folder / "log", env=environment) as program:
        yield await_answer(program, port, "/health/readiness", (lane,))


@contextmanager
def portkey_before(
    installed: Installed, upstream: Upstream, folder: Path, core: int
) -> Iterator[Started]:
    """Yield Portkey's gateway; the caller's headers name the upstream, which is its own way."""
    port = free_port()
    command = [*installed.command, f"--port={port}", "--headless"]
    environment = {**os.environ, "NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"}
    headers = {
        "authorization": "Bearer key-0",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"{upstream.url}/compatible/v1",
    }
    lane = asking("portkey", "chat by chat", upstream.kind, port, headers)
    with _Slow("portkey", command, core=core, log=folder / "log", env=environment) as program:
        yield await_answer(program, port, "/", (lane,))


@contextmanager
def codex_lb_before(
    installed: Installed, upstream: Upstream, folder: Path, core: int
) -> Iterator[Started]:
    """Yield codex-lb with the simulator's accounts, on a new database."""
    port = free_port()
    command = [*installed.command, "-P", "-c", _QUIET_CODEX_LB, "--host", "127.0.0.1"]
    command += ["--port", str(port)]
    lanes = tuple(
        asking("codex-lb", work, upstream.kind, port, {}, model=MODEL)
        for work in ("responses", "chat")
    )
    environment = {**os.environ, **_codex_lb_settings(upstream, folder)}
    with _Slow("codex-lb", command, core=core, log=folder / "log", env=environment) as program:
        started = await_answer(program, port, "/health", lanes)
        _give_accounts(port, upstream.accounts())
        yield started


def _codex_lb_settings(upstream: Upstream, data: Path) -> Mapping[str, str]:
    """Limits that never bind, no work beside the calls, and HTTP upstream, as all others have."""
    settings = {
        "DATA_DIR": str(data),
        "UPSTREAM_BASE_URL": f"{upstream.url}/backend-api",
        "AUTH_BASE_URL": upstream.url,
        "UPSTREAM_STREAM_TRANSPORT": "http",
        "HTTP_RESPONSES_SESSION_BRIDGE_ENABLED": "false",
        "TELEMETRY_ENABLED": "false",
        "USAGE_REFRESH_ENABLED": "false",
        "AUTH_GUARDIAN_ENABLED": "false",
        "PROXY_UNAUTHENTICATED_CLIENT_CIDRS": "127.0.0.1/32",
        "MODEL_REGISTRY_ENABLED": "false",
        "RATE_LIMIT_RESET_CREDITS_REFRESH_ENABLED": "false",
        "HTTP_CONNECTOR_LIMIT": "4000",
        "HTTP_CONNECTOR_LIMIT_PER_HOST": "4000",
        "BULKHEAD_PROXY_LIMIT": "0",
        "PROXY_RESPONSE_CREATE_LIMIT": "0",
        "PROXY_ACCOUNT_RESPONSE_CREATE_LIMIT": "0",
        "PROXY_ACCOUNT_STREAM_LIMIT": "0",
    }
    return {f"CODEX_LB_{name}": value for name, value in settings.items()}


def _give_accounts(port: int, accounts: list[dict[str, str]]) -> None:
    with httpx.Client(trust_env=False, timeout=60) as client:
        for account in accounts:
            names = ("id_token", "access_token", "refresh_token", "account_id")
            tokens = {name: account[name] for name in names}
            # An old one would be renewed first, with each call.
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            file = orjson.dumps({"tokens": tokens, "last_refresh": now})
            url = f"http://127.0.0.1:{port}/api/accounts/import"
            client.post(url, files={"auth_json": ("auth.json", file)}).raise_for_status()


def await_answer(program: Program, port: int, path: str, lanes: tuple[Lane, ...]) -> Started:
    """Wait until the program answers well at that path. Raises ProgramFailed if it never does."""
    while not _answers(port, path):
        program.wait_a_little()
    ready_s = program.age_s()
    lanes = tuple(msgspec.structs.replace(lane, process=program) for lane in lanes)
    return Started(program, lanes, ready_s)


def _answers(port: int, path: str) -> bool:
    try:
        reply = httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=5)
    except httpx.TransportError:
        return False
    return reply.status_code == httpx.codes.OK


def _forwarding(program: Program, port: int, upstream: Upstream) -> Started:
    name: ProgramName = "nginx" if program.name == "nginx" else "haproxy"
    return Started(program, (forwarded(name, port, upstream, program),), program.age_s())


BEFORE: Final[dict[ProgramName, Launcher]] = {
    "nginx": nginx_before,
    "haproxy": haproxy_before,
    "litellm": litellm_before,
    "portkey": portkey_before,
    "codex-lb": codex_lb_before,
}
