"""Real servers for tests: a Postgres and a Redis of their own, on free ports, without root.

The programs come from the system (PATH, or where Debian puts Postgres). A server can be killed,
frozen and started again on the same port, which is what the tests of outages do. Nothing in here
touches a server that it did not start.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import redis

START_S = 30.0
POSTGRES_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def program(name: str) -> str | None:
    """Return where a server program is, or None."""
    folders = [os.environ.get("PATH", ""), *map(str, POSTGRES_FOLDERS), "/opt/homebrew/bin"]
    return shutil.which(name, path=os.pathsep.join(folders))


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A child process that listens on a port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """Return the program and its arguments."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Tell whether it answers."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **_unprivileged(self.folder),
            )
        ends_at = time.monotonic() + START_S
        while not self.ready():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < ends_at, self.log()
            time.sleep(0.05)

    def log(self) -> str:
        """Return what it said last."""
        return (self.folder / "server.log").read_text("utf-8", "replace")[-4_000:]

    def kill(self) -> None:
        """End it as a crash would."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Stop it where it is: it accepts connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it for good."""
        self.thaw()
        self.kill()

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, number)


class RedisServer(Server):
    """A Redis that keeps nothing on disk."""

    @property
    def url(self) -> str:
        """What `REDIS_ADDR` takes."""
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        """Return the program and its arguments."""
        return [
            program("redis-server") or "redis-server",
            *("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
            *("--dir", str(self.folder), "--daemonize", "no"),
        ]

    def ready(self) -> bool:
        """Tell whether it answers."""
        try:
            with redis.Redis(port=self.port, socket_timeout=1.0) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class PostgresServer(Server):
    """A Postgres cluster of its own; `database` makes an empty database in it."""

    USER = "codex2api"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._databases = 0

    def command(self) -> Sequence[str]:
        """Return the program and its arguments."""
        return [
            program("postgres") or "postgres",
            *("-D", str(self.folder / "data"), "-p", str(self.port), "-h", "127.0.0.1"),
            *("-k", "", "-c", "fsync=off", "-c", "max_connections=60"),
        ]

    def start(self) -> None:
        """Make the cluster, if there is none yet, and start it."""
        if not (self.folder / "data").exists():
            subprocess.run(
                [program("initdb") or "initdb", "-D", str(self.folder / "data"), "-U", self.USER,
                 "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"],
                check=True, stdout=subprocess.DEVNULL, cwd=self.folder,
                **_unprivileged(self.folder),
            )  # fmt: skip
        super().start()

    def _signal(self, number: signal.Signals) -> None:
        # Its backends are processes of their own: they freeze and die with it.
        if self.process is None or self.process.poll() is not None:
            return
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = [int(pid) for pid in children.read_text().split()] if children.exists() else []
        for pid in (self.process.pid, *pids):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def ready(self) -> bool:
        """Tell whether it answers."""
        try:
            asyncio.run(self._execute("SELECT 1"))
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    def url(self, database: str = "postgres") -> str:
        """What `DATABASE_URL` takes."""
        return f"postgresql://{self.USER}@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """Make an empty database and return its URL. Not from within an event loop."""
        self._databases += 1
        name = f"test_{os.getpid()}_{self._databases}"
        asyncio.run(self._execute(f'CREATE DATABASE "{name}"'))
        return self.url(name)

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url(), timeout=5.0)
        try:
            await connection.execute(statement)
        finally:
            await connection.close(timeout=5.0)


@contextmanager
def shared_home(folder: Path) -> Iterator[dict[str, str]]:
    """Start a Postgres and a Redis below a folder, for a gateway that shares what it knows.

    Yields the settings of such a gateway, with an empty database. Both end with the block. Not from
    within an event loop.
    """
    with ExitStack() as stack:
        postgres, redis_server = PostgresServer(folder / "postgres"), RedisServer(folder / "redis")
        for server in (postgres, redis_server):
            server.folder.mkdir()
            stack.callback(server.stop)
            server.start()
        yield {
            "DATABASE_DRIVER": "postgres",
            "DATABASE_URL": postgres.database(),
            "CODEX_SECRET_KEY": "0" * 64,
            "CACHE_DRIVER": "redis",
            "REDIS_ADDR": redis_server.url,
        }


def _unprivileged(folder: Path) -> dict[str, Any]:
    """Return how to start a server that refuses to run as root."""
    if os.getuid() != 0:
        return {}
    shutil.chown(folder, "nobody")
    for parent in folder.parents:
        if (
            parent.stat().st_uid == 0
            and parent.stat().st_mode & 0o005 != 0o005
            and len(parent.parts) > 2
        ):
            parent.chmod(parent.stat().st_mode | 0o011)
    return {"user": "nobody", "group": folder.group()}
