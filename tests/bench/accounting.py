"""What it costs to account for a call, its limits included. Run by hand.

PYTHONPATH=. .venv/bin/python tests/bench/accounting.py
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import structs

from app.allowance.book import AllowanceBook
from app.domain.call import Call, Dialect
from app.domain.caller import Allowance, Caller, KeyId
from app.domain.outcome import Succeeded
from app.domain.usage import Heard, Usage
from app.usage.accountant import Accountant, Ended
from app.usage.journal import Journal, JournalLimits
from tests.fakes.accounts import account

ROUNDS = 5
CALLS = 10_000
USAGE = Usage(input=1_200, cached=1_024, output=420, reasoning=128)
DONE = Succeeded(0.4, USAGE)
ACCOUNT = account("acct-1")
LIMITS = Allowance(10**9, 10**12, 10**6, 10**15, 10**15)


class Clock:
    """The real one."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


def call_of(accountant: Accountant, *, stream: bool) -> Call:
    """Return a call as the edge makes it; that is no cost of accounting."""
    return Call(
        id="req_0123456789abcdef01234567",
        caller_id=KeyId("0123456789"),
        dialect=Dialect.RESPONSES,
        model="gpt-5.5",
        body=b"x" * 4_000,
        uid=accountant.uid(),
        asked_model="gpt-5.5",
        stream=stream,
    )


def account_for(accountant: Accountant, call: Call, ended: Ended) -> None:
    """Tell of one call, from its lease to its end."""
    accountant.leased(call, "balanced", 0.0)
    accountant.began(call, ACCOUNT)
    accountant.attempt(call, ACCOUNT, DONE, Heard(USAGE, "default", 400, 1_600))
    accountant.answered(ended)


def accounting_us(*, stream: bool) -> float:
    """Return the CPU time of a call's accounts, in microseconds."""
    with TemporaryDirectory() as folder:
        limits = JournalLimits(segment_bytes=64 << 20)
        journal = Journal(Path(folder), incarnation="0" * 16, limits=limits)
        journal.open()
        accountant = Accountant(journal, incarnation="0" * 16, clock=Clock())
        calls = [call_of(accountant, stream=stream) for _ in range(CALLS)]
        ends = [
            Ended(
                call.uid, time.time(), call.id, call.caller_id, call.dialect, call, 200, "ok",
                0.41 if stream else None, 9.0,
            )
            for call in calls
        ]  # fmt: skip
        started = time.process_time()
        for call, ended in zip(calls, ends, strict=True):
            account_for(accountant, call, ended)
        spent = time.process_time() - started
        assert journal.healthy
        journal.close()
    return spent / CALLS * 1e6


def limits_us(allowance: Allowance) -> float:
    """Return the CPU time of a call's limits, in microseconds."""
    book, caller = AllowanceBook(), Caller(KeyId("k"), "k", allowance=allowance)
    started = time.process_time()
    for _ in range(CALLS):
        now, monotonic = time.time(), time.monotonic()
        ticket = book.enter(caller, now=now, monotonic=monotonic)
        book.reserve(ticket, tokens=5_000, cost_nusd=10**6, now=now, monotonic=monotonic)
        book.headers(caller, monotonic=monotonic)
        book.settle(ticket, tokens=1_620, cost_nusd=10**6, now=now)
    return (time.process_time() - started) / CALLS * 1e6


def main() -> None:
    """Print a line for each kind of call."""
    lines = {
        "accounts of a call that streams": lambda: accounting_us(stream=True),
        "accounts of one that does not": lambda: accounting_us(stream=False),
        "limits of a key without any": lambda: limits_us(structs.replace(LIMITS, **_NONE)),
        "limits of a key with all of them": lambda: limits_us(LIMITS),
    }
    for name, cost_us in lines.items():
        print(f"{name:34} {min(cost_us() for _ in range(ROUNDS)):6.2f} us")


_NONE = dict.fromkeys(Allowance.__struct_fields__)

if __name__ == "__main__":
    main()
