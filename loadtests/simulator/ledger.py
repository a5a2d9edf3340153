"""The simulator's own account of what happened: a record per request, and the violations.

Tests join it with what callers saw and with what the gateway booked. Records are kept in memory
up to a bound and, if wanted, appended to a JSONL file that is flushed at least every 50 ms.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict, deque
from pathlib import Path
from typing import IO, Any

import msgspec

from loadtests.simulator.config import Config

FLUSH_S = 0.05
VIOLATIONS_MAX = 10_000
SESSIONS_MAX = 100_000
_ENCODER = msgspec.json.Encoder()


class Record(msgspec.Struct, kw_only=True):
    """One request or one turn on a socket. Times are monotonic nanoseconds."""

    id: str
    path: str
    transport: str = "http"
    account: str | None = None
    model: str | None = None
    tenant: str | None = None
    nonce: str | None = None
    session: str | None = None
    client_request_id: str | None = None
    request_bytes: int = 0
    request_sha256: str | None = None
    fault: str | None = None
    status: int = 0
    response_id: str | None = None
    terminal: str | None = None
    tokens: dict[str, Any] | None = None
    events: int = 0
    body_bytes: int = 0
    body_sha256: str | None = None
    client_disconnected: bool = False
    client_disconnected_at_ns: int | None = None
    began_ns: int = 0
    first_write_ns: int | None = None
    last_write_ns: int | None = None
    ended_ns: int = 0
    in_flight: int = 0
    in_flight_max: int = 0
    generation: int | None = None


class Violation(msgspec.Struct, kw_only=True):
    """Something a gateway must never do, or a request that breaks the backend's rules."""

    kind: str
    request: str
    account: str | None
    detail: str
    at_ns: int


class Ledger:
    """Records and violations of one simulator. `close` must be called when it has a file."""

    def __init__(self, config: Config) -> None:
        self.records: deque[Record] = deque(maxlen=config.records_max)
        self.violations: deque[Violation] = deque(maxlen=VIOLATIONS_MAX)
        self._tenants: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._file: IO[bytes] | None = None
        if config.ledger:
            self._file = Path(config.ledger).open("ab")  # noqa: SIM115  (`close` closes it)
        self._prefix = f"sim-{config.instance}-" if config.instance else "sim-"
        self._flush_due = False
        self._number = 0

    def next_id(self) -> str:
        """A request id, counted from the last reset."""
        self._number += 1
        return f"{self._prefix}{self._number:06d}"

    def reset(self) -> None:
        """Forget all records and violations; the file keeps what it has."""
        self.records.clear()
        self.violations.clear()
        self._tenants.clear()

    def add(self, record: Record) -> None:
        """Keep a finished record."""
        record.ended_ns = time.monotonic_ns()
        self.records.append(record)
        if self._file is None:
            return
        self._file.write(_ENCODER.encode(record) + b"\n")
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    def violate(self, kind: str, request: str, account: str | None, detail: str) -> None:
        """Note a violation."""
        at_ns = time.monotonic_ns()
        found = Violation(kind=kind, request=request, account=account, detail=detail, at_ns=at_ns)
        self.violations.append(found)

    def claim_session(self, record: Record, sessions: set[str]) -> None:
        """Check that no two tenants ever use one session id on the same account."""
        if record.tenant is None or record.account is None:
            return
        for session in sessions:
            key = (record.account, session)
            owner = self._tenants.setdefault(key, record.tenant)
            if owner != record.tenant:
                text = f"session {session!r} of tenant {owner!r} used by {record.tenant!r}"
                self.violate("cross_tenant_session", record.id, record.account, text)
        while len(self._tenants) > SESSIONS_MAX:
            self._tenants.popitem(last=False)

    def close(self) -> None:
        """Write out and close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _flush(self) -> None:
        self._flush_due = False
        if self._file is not None:
            self._file.flush()


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()
