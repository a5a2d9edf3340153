"""Tells all who want to know what happens on the path of a call, one after the other.

A refused credential is told to the renewer as well: the call itself may have been on its last
attempt, or its caller may have left, and nobody else would ask for a new one.
"""

from collections.abc import Callable

from app.domain.account import Account, AccountId
from app.domain.call import Call
from app.domain.outcome import Outcome, Unauthorized
from app.domain.usage import Heard
from app.ports import Observer


class Observers:
    """Satisfies `app.ports.Observer`; the first is told first.

    `ended` is told how each attempt went; `renew` is given an account whose credential of a
    generation was refused. Neither may wait.
    """

    def __init__(
        self,
        first: Observer,
        second: Observer,
        *,
        renew: Callable[[AccountId, int], None],
        ended: Callable[[Account, Outcome], None] = lambda _account, _outcome: None,
    ) -> None:
        self._ended = ended
        self._first = first
        self._second = second
        self._renew = renew

    def leased(self, call: Call, reason: str, waited_s: float) -> None:
        """A lease was found."""
        self._first.leased(call, reason, waited_s)
        self._second.leased(call, reason, waited_s)

    def refused(self, call: Call, code: str, waited_s: float) -> None:
        """No lease was found."""
        self._first.refused(call, code, waited_s)
        self._second.refused(call, code, waited_s)

    def began(self, call: Call, account: Account) -> None:
        """The first content of an attempt's reply has come."""
        self._first.began(call, account)
        self._second.began(call, account)

    def attempt(self, call: Call, account: Account, outcome: Outcome, heard: Heard | None) -> None:
        """An attempt is over."""
        self._first.attempt(call, account, outcome, heard)
        self._second.attempt(call, account, outcome, heard)
        self._ended(account, outcome)
        if isinstance(outcome, Unauthorized) and not outcome.dead:
            self._renew(account.id, account.credential.generation)
