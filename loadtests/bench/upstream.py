"""The simulator as the upstream of a bench: started on the loader's core, told what to answer.

All knobs of the pace are set for all requests at once, through the control API, before a
measurement; no request carries any. `events_per_s` 0 with `burst` is a whole reply in one write.
"""

import os
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import orjson

from loadtests.bench.figures import UpstreamKind
from loadtests.bench.processes import Program
from loadtests.simulator.tls import CertificateFiles, make_certificates

ACCOUNTS: Final = 100
"""At 32 calls at a time for each, enough for 3,200 streams."""
NO_DELAY: Final = {"headers_delay_ms": 0, "ttft_ms": 0, "tokens_per_s": 0}


class Pace(msgspec.Struct, frozen=True):
    """What the simulator answers to every request."""

    deltas: int
    events_per_s: float = 0.0
    burst: bool = False
    timestamps: bool = True


class Upstream:
    """One running simulator."""

    def __init__(
        self, kind: UpstreamKind, program: Program, port: int, files: CertificateFiles | None
    ) -> None:
        self.kind = kind
        self.program = program
        self.port = port
        self.files = files
        scheme = "https" if files else "http"
        self.url = f"{scheme}://127.0.0.1:{port}"
        context = ssl.create_default_context(cafile=files.authority) if files else True
        self._client = httpx.Client(
            base_url=f"{self.url}/__sim/", trust_env=False, verify=context, timeout=30
        )

    @property
    def authority(self) -> str | None:
        """The CA file to trust, where the upstream speaks TLS."""
        return self.files.authority if self.files else None

    def accounts(self) -> list[dict[str, str]]:
        """The accounts with their credentials, as they are imported."""
        found: list[dict[str, str]] = self._get("accounts")
        return found

    def in_flight(self) -> int:
        """Requests that the simulator is answering now."""
        found: int = self._get("state")["in_flight"]
        return found

    def answer(self, pace: Pace) -> None:
        """Answer every request like this from now on."""
        base = {**NO_DELAY, **msgspec.to_builtins(pace)}
        self._client.post("control", content=orjson.dumps({"base": base})).raise_for_status()

    def close(self) -> None:
        """Close the control connection."""
        self._client.close()

    def _get(self, name: str) -> Any:
        return orjson.loads(self._client.get(name).raise_for_status().content)


@contextmanager
def running(
    kind: UpstreamKind, folder: Path, *, core: int, accounts: int = ACCOUNTS
) -> Iterator[Upstream]:
    """Start a simulator on that core; it ends with the block."""
    command = [sys.executable, "-m", "loadtests.simulator", "--profile", "fast", "--control"]
    command += ["--accounts", str(accounts)]
    files = make_certificates(folder / "tls") if kind == "tls" else None
    if files:
        command += ["--tls-cert", files.certificate, "--tls-key", files.key]
    log = folder / "simulator.log"
    with Program("the simulator", command, core=core, log=log, env=os.environ) as program:
        upstream = Upstream(kind, program, _port(program), files)
        try:
            yield upstream
        finally:
            upstream.close()


def _port(program: Program) -> int:
    while b"\n" not in (said := program.log.read_bytes()):
        program.wait_a_little()
        time.sleep(0.02)
    port: int = orjson.loads(said.split(b"\n", 1)[0])["port"]
    return port
