"""Starts the processes of docker-compose.yml by hand, and says when all of them were ready.

    python -m loadtests.stack

Postgres, Redis, the gateway and Prometheus run with the commands and the environment that the file
gives them; what only a container has (its address, its folders) is put in its place. Postgres makes
its cluster first, as in a new volume. Grafana is left out where it is not installed.
"""

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import yaml  # type: ignore[import-untyped]  # has no types of its own

from tests.e2e.programs import clean_environment, free_port, until
from tests.servers import PostgresServer, RedisServer

ROOT: Final = Path(__file__).parent.parent
SECRETS: Final = {
    "POSTGRES_PASSWORD": "of-the-stack-alone",
    "CODEX_SECRET_KEY": "0" * 64,
    "GRAFANA_PASSWORD": "of-the-stack-alone",
}
"""What `.env` is to be filled with."""
READY_S_MAX: Final = 30.0
PATIENCE_S: Final = 120.0
STOP_S: Final = 20.0
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::[-?]([^}]*))?\}")
Service = Mapping[str, Any]


def services() -> dict[str, Service]:
    """Return the services of the compose file, with `.env` put in."""
    text = (ROOT / "docker-compose.yml").read_text("utf-8")

    def value(found: re.Match[str]) -> str:
        return SECRETS.get(found[1], found[2] or "")

    read: dict[str, dict[str, Service]] = yaml.safe_load(_VARIABLE.sub(value, text))
    return read["services"]


class ComposedRedis(RedisServer):
    """Redis with the options of the compose file."""

    def __init__(self, folder: Path, service: Service) -> None:
        super().__init__(folder)
        self._options = service["command"][1:]

    def command(self) -> Sequence[str]:
        """Return the program and its arguments."""
        return [*super().command(), *self._options]


async def create(postgres: PostgresServer, name: str) -> None:
    """Make the database that the container would make at its first start."""
    connection = await asyncpg.connect(postgres.url())
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()


def gateway_environment(service: Service, data: Path, ports: Mapping[str, int]) -> dict[str, str]:
    """Return the environment that the container would have, at addresses of this machine."""
    here = {
        "CODEX_BIND": "127.0.0.1",
        "CODEX_PORT": str(ports["codex2api"]),
        "CODEX_DATA_DIR": str(data),
        "DATABASE_HOST": "127.0.0.1",
        "DATABASE_PORT": str(ports["postgres"]),
        "REDIS_ADDR": f"127.0.0.1:{ports['redis']}",
        # Nothing outside this machine is asked.
        "UPSTREAM_BASE_URL": "http://127.0.0.1:9/backend-api",
        "OAUTH_ISSUER": "http://127.0.0.1:9",
    }
    return clean_environment(**{**service["environment"], **here})


def prometheus_command(service: Service, folder: Path, ports: Mapping[str, int]) -> list[str]:
    """Return the command that the container would run, on a copy of its configuration."""
    configuration = folder / "configuration"
    shutil.copytree(ROOT / "observability" / "prometheus", configuration)
    file = configuration / "prometheus.yml"
    there = yaml.safe_load(file.read_text("utf-8"))
    for job in there["scrape_configs"]:
        if job.pop("dns_sd_configs", None):
            job["static_configs"] = [{"targets": [f"127.0.0.1:{ports['codex2api']}"]}]
    file.write_text(yaml.safe_dump(there), "utf-8")
    places = {"/etc/prometheus": str(configuration), "=/prometheus": f"={folder / 'data'}"}
    arguments = []
    for argument in service["command"]:
        for container, here in places.items():
            argument = argument.replace(container, here)  # noqa: PLW2901 - the same, moved
        arguments.append(argument)
    listen = f"--web.listen-address=127.0.0.1:{ports['prometheus']}"
    return [shutil.which("prometheus") or "prometheus", *arguments, listen]


@contextmanager
def process(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> Iterator[None]:
    """Run a program for the block; what it says goes to a file."""
    with (folder / "output.log").open("wb") as log:
        started = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    try:
        yield
    finally:
        # Unlike SIGTERM, it makes nobody wait for load balancers.
        started.send_signal(2)
        try:
            started.wait(STOP_S)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def answers(url: str) -> Callable[[], bool]:
    """Return what tells whether an address says 200."""

    def ask() -> bool:
        try:
            return httpx.get(url, trust_env=False, timeout=5).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    return ask


def run(folder: Path) -> dict[str, float]:
    """Start everything; return when each was ready, in seconds from the beginning."""
    composed = services()
    places = {name: folder / name for name in ("postgres", "redis", "codex2api", "prometheus")}
    for place in places.values():
        place.mkdir()
    began, found = time.monotonic(), {}

    def note(name: str) -> None:
        found[name] = time.monotonic() - began

    with ExitStack() as stack:
        postgres = PostgresServer(places["postgres"])
        redis = ComposedRedis(places["redis"], composed["redis"])
        ports = {
            "postgres": postgres.port,
            "redis": redis.port,
            "codex2api": free_port(),
            "prometheus": free_port(),
        }
        if shutil.which("prometheus"):
            command = prometheus_command(composed["prometheus"], places["prometheus"], ports)
            stack.enter_context(process(command, places["prometheus"], os.environ))
        for name, server in (("redis", redis), ("postgres", postgres)):
            stack.callback(server.stop)
            server.start()
            note(name)
        wanted = composed["postgres"]["environment"]
        asyncio.run(create(postgres, wanted["POSTGRES_DB"]))
        environment = gateway_environment(composed["codex2api"], folder / "data", ports)
        serve = [sys.executable, "-m", "app", "serve"]
        stack.enter_context(process(serve, places["codex2api"], environment))
        log = places["codex2api"] / "output.log"
        gateway = f"http://127.0.0.1:{ports['codex2api']}/ready"
        until(answers(gateway), f"the gateway is ready, see {log}", within_s=PATIENCE_S)
        note("codex2api")
        if shutil.which("prometheus"):
            prometheus = f"http://127.0.0.1:{ports['prometheus']}/-/ready"
            until(answers(prometheus), "Prometheus is ready", within_s=PATIENCE_S)
            note("prometheus")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 if it took too long."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.stack", description=__doc__)
    parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="codex2api-stack-") as folder:
        Path(folder).chmod(0o755)
        found = run(Path(folder))
    for name, seconds in found.items():
        print(f"{name:12} ready after {seconds:5.1f} s")
    last = max(found.values())
    print(f"all of them after {last:.1f} s, at most {READY_S_MAX:g} s")
    return 1 if last > READY_S_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
