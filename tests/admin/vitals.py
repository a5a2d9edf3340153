"""An overview of parts that a test makes."""

from typing import Any

from app.admin.overview import JournalNumbers, Overview, Vitals, WorkerRow
from app.domain.report import Point, Totals
from app.domain.usage import Usage
from app.errors import StateError
from app.pool.runway import Runway
from tests.admin.accounts import Accounts


class Parts:
    """What an overview asks; change the values as you like."""

    def __init__(self, *names: str) -> None:
        self.accounts = Accounts(*names)
        self.values: dict[str, Any] = {
            "in_flight": 1, "streams": 2, "queue_depth": 3, "loop_lag_s": 0.5, "memory_bytes": 99,
            "cpu_s": 1.0, "store_up": True, "draining": False, "connections": {"open": 4.0},
            "revision": 7,
        }  # fmt: skip
        self.runway: Runway | None = Runway(60.0, 90.0, float("inf"), "5h")
        self.asked = 0
        self.away = False
        givers: dict[str, Any] = {name: self._giver(name) for name in self.values}
        vitals = Vitals(
            journal=lambda: JournalNumbers(0, 0.0, healthy=True, lost=0, refused=0),
            runway=lambda _now: self.runway,
            **givers,
        )
        self.overview = Overview(
            vitals=vitals,
            roster=self.accounts.roster,
            rates=self.accounts.rates,
            reports=self,  # type: ignore[arg-type]  # one method of it is asked
            clock=self.accounts.clock,
            worker=WorkerRow("1", "host", 1, "inc", 0.0, 1),
            places=("db", "memory"),
        )

    async def series(self, *_args: object) -> list[Point]:
        """Return the sums of today."""
        self.asked += 1
        if self.away:
            raise StateError("away")
        return [
            Point(0, Totals(requests=5, errors=1, usage=Usage(10, 0, 0, 20, 0), cost_nusd=10**9))
        ]

    def _giver(self, name: str) -> Any:
        return lambda: self.values[name]
