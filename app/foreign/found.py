"""What another product's database holds: what can be taken, and what can't, with the reason.

Rows are named by their table and their key there, so that an operator finds them. No reason holds a
secret. Nothing is read or stored here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct, field

from app.accounts.new_account import Unusable, printable
from app.domain.account import Secret
from app.domain.caller import Allowance
from app.domain.enrolment import Enrolment, KeyDigest
from app.errors import InvalidRequest, StateError


class BadValue(ValueError):
    """A value of a row can't be taken; says which, what it is and what was expected."""


class WrongSecret(StateError):
    """The key that was given does not open the other product's tokens."""


class Remark(Struct, frozen=True):
    """Something of a row that was not taken; `taken` says that the rest of the row was."""

    row: str
    name: str
    reason: str
    taken: bool


class FoundAccount(Struct, frozen=True):
    """An account, and the row that it stands in."""

    row: str
    new: Enrolment


class FoundKey(Struct, frozen=True, kw_only=True):
    """A caller's key, or its digest; None where the other product keeps one of another form."""

    row: str
    name: str
    key: Secret | KeyDigest | None = None
    enabled: bool = True
    expires_at: float | None = None
    models: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    allowance: Allowance = Allowance()


class Found(Struct):
    """Everything that was found; filled by one reader of one product."""

    accounts: list[FoundAccount] = field(default_factory=list)
    keys: list[FoundKey] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    def refuse(self, row: str, name: str, reason: str) -> None:
        """Note that a row can't be taken."""
        self.remarks.append(Remark(row, printable(name), reason, taken=False))

    def note(self, row: str, name: str, reason: str) -> None:
        """Note that something of a row has no counterpart here."""
        self.remarks.append(Remark(row, printable(name), reason, taken=True))

    @contextmanager
    def judging(self, row: str, name: str) -> Iterator[None]:
        """Note what is wrong with the row that the block maps, and go on with the next."""
        try:
            yield
        except (BadValue, Unusable) as error:
            self.refuse(row, name, str(error))
        except InvalidRequest as error:
            self.refuse(row, name, error.message)
