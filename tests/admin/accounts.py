"""A roster over states that a test makes."""

from app.admin.rates import Rates
from app.admin.roster import Roster
from app.domain.account import Account
from app.domain.enrolment import StoredAccount
from app.pool.state import AccountState
from tests.fakes.accounts import account
from tests.fakes.clock import FakeClock


class Accounts:
    """What a roster reads."""

    def __init__(self, *names: str) -> None:
        self.clock, self.rates = FakeClock(), Rates()
        self.stored: dict = {}
        self.states: dict = {}
        for name in names:
            self.put(account(name))
        self.roster = Roster(
            stored=lambda: self.stored, state=self.states.get, rates=self.rates, clock=self.clock
        )

    def put(self, one: Account, **more) -> AccountState:
        """Store an account and let the pool have it."""
        self.stored[one.id] = StoredAccount(one, len(self.stored), 0.0, **more)
        state = self.states[one.id] = AccountState(one)
        if not one.enabled or more.get("damaged"):
            del self.states[one.id]
        return state
