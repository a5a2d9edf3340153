"""What a request may take before it is answered, and what is written down of it afterwards.

    open ──▶ enter ──▶ reserve ──▶ (the call) ──▶ close

The limits are kept in `app.allowance`, the accounts in `app.usage`; this brings both together for
the data plane, with the time that they need.
"""

from typing import Final

from app.allowance.book import AllowanceBook, Ticket
from app.domain.call import Call
from app.domain.caller import Caller
from app.edge.company import Headers
from app.errors import StateError
from app.ports import Clock
from app.usage.accountant import Accountant, Ended

RETRY_S: Final = 5.0
"""A disk that is full is not made empty sooner."""


class Till:
    """One worker's; nothing in here waits."""

    def __init__(self, *, book: AllowanceBook, accountant: Accountant, clock: Clock) -> None:
        self._book = book
        self._accountant = accountant
        self._clock = clock

    def open(self) -> str:
        """Return the name under which a request is written down; `close` it exactly once.

        Raises:
            StateError: Nothing can be written down now, so nothing may be begun.
        """
        if not self._accountant.healthy:
            raise StateError(
                "The gateway can't write down what calls use; see to the disk of its data"
                " directory.",
                retry_after_s=RETRY_S,
            )
        return self._accountant.uid()

    def admit(self, caller: Caller) -> None:
        """Let the caller connect, if it could make a request now; nothing is taken by it.

        Raises:
            TooManyRequests: It has none left in this minute, or too many under way.
        """
        clock = self._clock
        self._book.admit(caller, now=clock.now(), monotonic=clock.monotonic())

    def enter(self, caller: Caller) -> Ticket:
        """Let one more request of the caller begin.

        Raises:
            TooManyRequests: It has none left in this minute, or too many under way.
        """
        clock = self._clock
        return self._book.enter(caller, now=clock.now(), monotonic=clock.monotonic())

    def reserve(self, ticket: Ticket, call: Call, output_tokens_max: int | None) -> None:
        """Set aside what the call may take; free of cost for a key without limits.

        Raises:
            TooManyRequests: The key's tokens of this minute or its money do not reach that far.
        """
        if ticket.allowance.unlimited:
            return
        bill, clock = self._accountant.reserve(call, output_tokens_max), self._clock
        self._book.reserve(
            ticket,
            tokens=bill.tokens,
            cost_nusd=bill.cost_nusd,
            now=clock.now(),
            monotonic=clock.monotonic(),
        )

    def headers(self, caller: Caller) -> Headers:
        """Return what an answer tells its caller of the limits; nothing if there are none."""
        return self._book.headers(caller, monotonic=self._clock.monotonic())

    def close(self, ticket: Ticket | None, ended: Ended) -> None:
        """Write down that a request is over, and settle what it took; no ticket, no settling."""
        bill = self._accountant.answered(ended)
        if ticket is not None:
            now = self._clock.now()
            self._book.settle(ticket, tokens=bill.tokens, cost_nusd=bill.cost_nusd, now=now)
