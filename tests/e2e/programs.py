"""The two programs of an end-to-end test, each a process of its own: simulator and gateway.

Both are started on ports of their own and told to stop by SIGTERM. What they print goes to files,
which a failing test shows. The simulator is the judge: what it wrote down since the last `mark` is
what the gateway did to it.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
API_KEY = "sk-c2a-e2e-key-of-the-tests"
OTHER_API_KEY = "sk-c2a-e2e-key-of-somebody-else"
MODEL = "gpt-5.5"
STOP_S = 20.0
START_S = 120.0
"""Far more than a start takes: a gateway that will never be ready ends, and that is seen."""
DEADLINE_S = 15.0
_PORTS = iter(random.Random(os.getpid()).sample(range(18_000, 32_000), 4_000))


def free_port() -> int:
    """Return a port that nobody listens at, below those that outgoing connections take."""
    for port in _PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def until(
    look: Callable[[], T | None], what: str | Callable[[], str], *, within_s: float = DEADLINE_S
) -> T:
    """Return what `look` finds; it is asked again and again, for `within_s` seconds at most.

    `what` is told if that was in vain; a function is asked then.
    """
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() >= deadline:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"in vain for {within_s:.0f} s: {told}")
        time.sleep(0.01)


def clean_environment(**more: str) -> dict[str, str]:
    """Return an environment that configures nothing but what is given."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")
    inherited = {name: os.environ[name] for name in kept if name in os.environ}
    return {**inherited, "PYTHONPATH": str(ROOT), **more}


class Program:
    """A process whose output goes to a file. `stop` it."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def spawn(self, *arguments: str, env: dict[str, str], stdout: int | None = None) -> None:
        """Start `python arguments...` in the log's own folder, where there is no `.env`."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.log.parent,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=stdout or log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        """Which process it is."""
        assert self.process is not None
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, *, within_s: float = STOP_S) -> int:
        """Return the exit status once the process has ended by itself."""
        assert self.process is not None
        return self.process.wait(within_s)

    def stop(self) -> None:
        """End the process: politely, and if that is in vain by force."""
        if self.process is None:
            return
        if self.process.stdout is not None:
            self.process.stdout.close()
        if self.process.poll() is None:
            # Unlike SIGTERM, it does not make the gateway wait for load balancers first.
            self.signal(signal.SIGINT)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Simulator(Program):
    """The upstream, and its control API."""

    def __init__(
        self, folder: Path, *, accounts: int = 2, ledger: Path | None = None, **knobs: Any
    ) -> None:
        super().__init__(folder / "simulator.log")
        self.spawn(
            "-m",
            "loadtests.simulator",
            *("--profile", "fast", "--control", "--accounts", str(accounts)),
            *("--knobs", json.dumps(knobs)),
            *(("--ledger", str(ledger)) if ledger else ()),
            env=clean_environment(),
            stdout=subprocess.PIPE,
        )
        assert self.process is not None
        assert self.process.stdout is not None
        self.addresses: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.client = httpx.Client(base_url=self.addresses["control_url"], timeout=DEADLINE_S)
        self._records = 0
        self._violations = 0

    def stop(self) -> None:
        """End the process and the connection to it."""
        self.client.close()
        super().stop()

    def see(self, what: str) -> Any:
        """Return a view of the control API: state, ledger, violations, accounts, ..."""
        return self.client.get(what).raise_for_status().json()

    def control(self, **fields: Any) -> None:
        """Turn knobs: base, accounts, rules, account_state, ..."""
        answer = self.client.post("control", json=fields)
        assert answer.is_success, answer.text

    def step(self) -> None:
        """Let the one stream that is `stepwise` send its next event."""
        until(
            lambda: self.client.post("step").raise_for_status().json()["streams"],
            "a stream that waits for its next step",
        )

    def mark(self) -> None:
        """Forget what was written down so far."""
        self._records = len(self.see("ledger"))
        self._violations = len(self.see("violations"))

    @property
    def violations(self) -> list[dict[str, Any]]:
        """What must not happen and did, since the mark."""
        return self.see("violations")[self._violations :]

    @property
    def records(self) -> list[dict[str, Any]]:
        """The calls of models that are over, since the mark."""
        records = self.see("ledger")[self._records :]
        return [
            record
            for record in records
            if record["path"].endswith("/responses") and not _is_socket(record)
        ]

    def quiet(self) -> None:
        """Wait until every request is over and written down."""
        until(lambda: self.see("state")["in_flight"] == 0, "no request is in flight upstream")

    def wait_for_records(self, count: int) -> list[dict[str, Any]]:
        """Return the records since the mark once there are `count`; more are a failure."""
        found = until(
            lambda: records if len(records := self.records) >= count else None,
            f"{count} records in the simulator's ledger",
        )
        assert len(found) == count, found
        return found


def _is_socket(record: dict[str, Any]) -> bool:
    """Tell whether a record is that of a whole WebSocket: those of its turns have a number more."""
    return record["transport"] == "ws" and "." not in record["id"]


class Gateway(Program):
    """The gateway as it is run, in front of one simulator."""

    def __init__(
        self,
        folder: Path,
        simulator: Simulator,
        *,
        limits: dict[str, float] | None = None,
        **environment: str,
    ) -> None:
        super().__init__(folder / "gateway.log")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        usual = {
            "CODEX_PORT": str(self.port),
            "CODEX_DATA_DIR": str(folder / "data"),
            "CODEX_API_KEYS": f"{API_KEY},{OTHER_API_KEY}",
            "UPSTREAM_BASE_URL": simulator.addresses["upstream_base_url"],
            "OAUTH_ISSUER": simulator.addresses["oauth_issuer"],
            "LOG_FORMAT": "console",
            "CODEX_DRAIN_TIMEOUT": "5",
            "E2E_LIMITS": json.dumps(limits or {}),
        }
        self.environment = clean_environment(**{**usual, **environment})
        self.client = httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {API_KEY}"},
            timeout=DEADLINE_S,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def start(self) -> None:
        """Run `codex2api serve`, and wait until it is ready."""
        limited = self.environment["E2E_LIMITS"] != "{}"
        what = ("tests.e2e.launch",) if limited else ("app", "serve")
        self.spawn("-m", *what, env=self.environment)
        until(
            self._ready,
            lambda: f"the gateway is ready; it printed:\n{self.printed()}",
            within_s=START_S,
        )

    def stop(self) -> None:
        """End the process and the connection to it."""
        self.client.close()
        super().stop()

    def command(self, *arguments: str) -> dict[str, Any]:
        """Run `codex2api ARGUMENTS --json` on the gateway's data; return its document."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run `codex2api ARGUMENTS` on the gateway's data."""
        return subprocess.run(
            [sys.executable, "-m", "app", *arguments],
            cwd=self.log.parent,
            env=self.environment,
            capture_output=True,
            check=False,
        )

    def printed(self, since: int = 0) -> str:
        """Return what it has written to its log, from an offset in bytes."""
        return self.log.read_bytes()[since:].decode(errors="replace") if self.log.exists() else ""

    def metrics(self) -> dict[str, float]:
        """Return all samples of `/metrics`, by name and labels as they are spelled there."""
        lines = self.client.get("/metrics").raise_for_status().text.splitlines()
        pairs = (line.rpartition(" ") for line in lines if line and line[0] != "#")
        return {name: float(value) for name, _, value in pairs}

    def settled(self) -> None:
        """Wait until no lease is out and no stream is under way: nothing has leaked."""
        idle = {"codex2api_leases": 0.0, 'codex2api_streams_in_flight{transport="sse"}': 0.0}
        until(lambda: idle.items() <= self.metrics().items(), "the gauges are back at 0")

    def _ready(self) -> bool:
        assert self.process is not None
        status = self.process.poll()
        assert status is None, f"the gateway ended with {status}:\n{self.printed()}"
        try:
            return self.client.get("/ready").status_code == 200
        except httpx.TransportError:
            return False


class Pair:
    """A simulator and the gateway in front of it."""

    def __init__(self, simulator: Simulator, gateway: Gateway) -> None:
        self.simulator = simulator
        self.gateway = gateway


def enrol(gateway: Gateway, simulator: Simulator) -> None:
    """Import all accounts of the simulator, as an operator does: from a file."""
    accounts = simulator.see("accounts")
    file = gateway.log.parent / "accounts.json"
    file.write_text(json.dumps(accounts))
    imported = gateway.command("accounts", "import", str(file))
    assert imported["created"] == len(accounts), imported


class Starter:
    """Starts pairs and ends them. The data of equal pairs is made once and copied."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._templates: dict[int, Path] = {}

    def pair(
        self,
        *,
        accounts: int = 2,
        limits: dict[str, float] | None = None,
        knobs: dict[str, Any] | None = None,
        **environment: str,
    ) -> Iterator[Pair]:
        """Yield one running pair; it is stopped when the generator is closed."""
        self._number += 1
        folder = self._folder / f"pair-{self._number}"
        folder.mkdir()
        simulator = Simulator(folder, accounts=accounts, **(knobs or {}))
        gateway = Gateway(folder, simulator, limits=limits, **environment)
        try:
            template = self._templates.get(accounts)
            if template is None:
                enrol(gateway, simulator)
                template = self._templates[accounts] = self._folder / f"data-of-{accounts}"
                shutil.copytree(folder / "data", template)
            else:
                shutil.copytree(template, folder / "data")
            gateway.start()
            yield Pair(simulator, gateway)
        finally:
            gateway.stop()
            simulator.stop()
