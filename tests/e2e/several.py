"""A gateway of two workers on a real Postgres and a real Redis."""

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.e2e.programs import START_S, Gateway, Simulator, enrol, until
from tests.servers import PostgresServer, RedisServer

WORKERS = 2
TOTAL = ("_total", "_bucket", "_count", "_sum")
_DATABASES = count(1)


class Several(Gateway):
    """A gateway of several workers."""

    simulator: Simulator

    @property
    def pids(self) -> set[int]:
        """The processes of its workers."""
        assert self.process is not None
        pid = self.process.pid
        return {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    @property
    def places(self) -> set[str]:
        """The names of the workers that take part in the metrics, by program."""
        found = (Path(self.environment["CODEX_DATA_DIR"]) / "run" / "metrics").glob("*/*/lock")
        return {f"{path.parent.parent.name}/{path.parent.name}" for path in found}

    def begin(self) -> None:
        """Start, and wait until every worker serves."""
        self.start()
        until(lambda: len(self.places) == WORKERS, "all workers take part", within_s=START_S)

    def statuses(self) -> set[int]:
        """Ask all workers whether they are ready: as many times as nobody is left out."""
        return {self.client.get("/ready").status_code for _ in range(20)}

    def totals(self) -> dict[str, float]:
        """Return what may only ever grow; as whichever worker is asked says it."""
        samples = self.metrics().items()
        return {name: value for name, value in samples if name.partition("{")[0].endswith(TOTAL)}


def running(
    folder: Path,
    postgres: PostgresServer,
    redis_server: RedisServer,
    *,
    accounts: int,
    environment: Mapping[str, str] = MappingProxyType({}),
    **knobs: Any,
) -> Iterator[Several]:
    """Yield a gateway with its simulator, whose accounts it has; both end with the generator."""
    simulator = Simulator(folder, accounts=accounts, **knobs)
    gateway = Several(
        folder,
        simulator,
        CODEX_WORKERS=str(WORKERS),
        DATABASE_DRIVER="postgres",
        DATABASE_URL=postgres.database(),
        CODEX_SECRET_KEY="of-the-tests-and-of-nobody-else-0123",
        CACHE_DRIVER="redis",
        REDIS_ADDR=f"127.0.0.1:{redis_server.port}",
        REDIS_DB=str(next(_DATABASES)),
        CODEX_DRAIN_TIMEOUT="60",
        **environment,
    )
    gateway.simulator = simulator
    try:
        enrol(gateway, simulator)
        gateway.begin()
        yield gateway
    finally:
        gateway.stop()
        simulator.stop()
