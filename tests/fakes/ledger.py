"""A ledger in memory that keeps the promises of the real one, and can be away or refuse rows."""

from collections.abc import Sequence

from app.domain.ledger import AttemptRow, RequestRow
from app.errors import StateError
from app.ports import RowRefused


class FakeLedger:
    """Satisfies `Ledger`."""

    def __init__(self) -> None:
        self.attempts: dict[tuple[str, int], AttemptRow] = {}
        self.requests: dict[str, RequestRow] = {}
        self.known: dict[str, int] = {}
        self.taken = 0
        """Rows that were offered and taken, doubles included."""
        self.away = 0
        """So many calls in a row find the database away; -1 for all of them."""
        self.deaf = 0
        """So many takings are committed, but the answer is lost."""
        self.refusing: set[str] = set()
        """The uids of rows that are refused for what they are."""

    async def positions(self, segments: Sequence[str]) -> dict[str, int]:
        """Return how far each of these segments has been taken."""
        self._be_there()
        return {name: self.known[name] for name in segments if name in self.known}

    async def take(
        self,
        attempts: Sequence[AttemptRow],
        requests: Sequence[RequestRow],
        *,
        segment: str,
        offset: int,
    ) -> None:
        """Take rows, unless the segment had been read that far."""
        self._be_there()
        if self.known.get(segment, 0) < offset:
            await self.check(attempts, requests)
            self.attempts |= {(row.uid, row.number): row for row in attempts}
            self.requests |= {row.uid: row for row in requests}
            self.taken += len(attempts) + len(requests)
            self.known[segment] = offset
        if self.deaf:
            self.deaf -= 1
            raise StateError("The answer was lost.")

    async def check(self, attempts: Sequence[AttemptRow], requests: Sequence[RequestRow]) -> None:
        """Try rows without a trace."""
        for row in (*attempts, *requests):
            if row.uid in self.refusing:
                raise RowRefused(f"{row.uid} is no good")

    async def forget(self, segments: Sequence[str]) -> None:
        """Forget the places of segments."""
        self._be_there()
        for name in segments:
            self.known.pop(name, None)

    def _be_there(self) -> None:
        if self.away:
            self.away -= 1
            raise StateError("The database is away.")
