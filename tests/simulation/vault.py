"""A simulated store that processes share: compare and set, outages, and lost acknowledgements.

It keeps what `app.store` keeps of credentials, by the same rules. Every question travels to it and
its answer back; a process can die, and the store can go away, on either way.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct, structs

from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.domain.enrolment import Identity
from app.errors import StateError
from app.ports import RenewalEvent, RenewalKind, Tokens
from app.store.credentials import INTENT_LIFE_S
from tests.simulation.loop import SimulationLoop
from tests.simulation.overseer import Overseer

if TYPE_CHECKING:
    from tests.simulation.process import Process

T = TypeVar("T")


class Intent(Struct, frozen=True):
    """Who said that it would spend the token of which generation."""

    generation: int
    at: float
    by: str


class Row(Struct):
    """What is stored of an account."""

    account: Account
    refresh_token: str | None
    dead: bool = False
    refused_code: str | None = None
    intent: Intent | None = None

    @property
    def generation(self) -> int:
        """How often its credential was replaced."""
        return self.account.credential.generation


class VaultFaults(Struct, frozen=True):
    """How often what goes wrong: shares of all questions."""

    refused: float = 0.0
    """Nothing is done."""
    unacknowledged: float = 0.0
    """It is done, and the process hears that it was not."""
    slow: float = 0.0


class Vault:
    """The store itself; `link` is what a process has of it."""

    def __init__(
        self, *, loop: SimulationLoop, overseer: Overseer, rng: Random, faults: VaultFaults
    ) -> None:
        self.loop = loop
        self.overseer = overseer
        self.rng = rng
        self.faults = faults
        self.rows: dict[AccountId, Row] = {}
        self.events: list[tuple[AccountId, RenewalEvent]] = []
        self.revision = 0
        self.away_until = 0.0
        """Until when nobody gets through, by the loop's time."""
        self.works: Callable[[AccountId], str | None] = lambda _: None
        """Tells which refresh token of an account works in truth."""

    def link(self, process: "Process") -> "VaultLink":
        """Return the port of a process."""
        return VaultLink(self, process)

    def enrol(self, account_id: AccountId, tokens: Tokens, *, concurrency_max: int) -> None:
        """Store a new account."""
        account = Account(
            id=account_id,
            name=account_id,
            kind=AccountKind.CODEX,
            credential=Credential(Secret("")),
            concurrency_max=concurrency_max,
            groups=(account_id,),
        )
        self.rows[account_id] = Row(account, None)
        self._write(self.rows[account_id], tokens)

    def log_in(self, account_id: AccountId, tokens: Tokens) -> None:
        """Store what somebody got who logged in anew."""
        self._write(self.rows[account_id], tokens)

    def intend(self, account_id: AccountId, generation: int, at: float, by: str) -> bool:
        """Note an intent, unless another process has one or the token is not current."""
        row = self.rows[account_id]
        if row.dead or row.generation != generation:
            return False
        found = row.intent
        if (
            found is not None
            and found.generation == generation
            and found.by != by
            and at - INTENT_LIFE_S < found.at <= at + INTENT_LIFE_S
        ):
            return False
        row.intent = Intent(generation, at, by)
        return True

    def renewed(
        self, account_id: AccountId, tokens: Tokens, generation: int, event: RenewalEvent
    ) -> Account | None:
        """Store the next generation, if `generation` is current."""
        row = self.rows[account_id]
        if not self.is_current(row, generation):
            return None
        works = self.works(account_id)
        assert tokens.refresh_token is not None
        if works == row.refresh_token and works != tokens.refresh_token.reveal():
            self.overseer.accuse("I5", f"the store forgets the newer token of {account_id}")
        if row.refresh_token is not None:
            self.overseer.stored(row.refresh_token)
        self._write(row, tokens)
        self.events.append((account_id, event))
        return row.account

    def is_current(self, row: Row, generation: int) -> bool:
        """Compare, before it is set."""
        return row.generation == generation

    def refused(
        self, account_id: AccountId, generation: int, *, code: str, permanent: bool
    ) -> bool:
        """Record that the token of `generation` was not spent, and whether it is dead."""
        row = self.rows[account_id]
        if row.generation != generation:
            return False
        row.intent = None
        row.refused_code = code
        if permanent:
            row.dead = True
            credential = structs.replace(row.account.credential, renewable=False)
            row.account = structs.replace(row.account, credential=credential)
            self.revision += 1
        return True

    def is_dead(self, token: str) -> bool:
        """Tell whether it is recorded that this refresh token is good for nothing."""
        return any(row.dead and row.refresh_token == token for row in self.rows.values())

    def travel_s(self) -> float:
        """Draw how long a message takes."""
        chance = self.rng.random()
        if chance < 0.6:
            return 0.0
        return 3.0 * self.rng.random() if chance < 0.6 + self.faults.slow else 0.05 * chance

    def _write(self, row: Row, tokens: Tokens) -> None:
        assert tokens.access_token is not None
        assert tokens.refresh_token is not None
        credential = Credential(
            tokens.access_token,
            generation=row.generation + 1,
            expires_at=tokens.expires_at,
            renewable=True,
        )
        row.account = structs.replace(row.account, credential=credential)
        row.refresh_token = tokens.refresh_token.reveal()
        row.dead = False
        row.intent = None
        self.revision += 1


class VaultLink:
    """Satisfies `app.ports.CredentialStore` and `app.ports.AccountSource` for one process."""

    def __init__(self, vault: Vault, process: "Process") -> None:
        self._vault = vault
        self._process = process

    async def account(self, account_id: AccountId) -> Account | None:
        """Return one account."""
        return await self._ask(lambda: self._vault.rows[account_id].account)

    async def accounts(self) -> list[Account]:
        """Return all accounts."""
        return await self._ask(lambda: [row.account for row in self._vault.rows.values()])

    async def refresh_token(self, account_id: AccountId) -> tuple[Secret, int] | None:
        """Return the stored token and its generation."""

        def effect() -> tuple[Secret, int] | None:
            row = self._vault.rows[account_id]
            if row.refresh_token is None or row.dead:
                return None
            return Secret(row.refresh_token), row.generation

        return await self._ask(effect)

    async def intend(self, account_id: AccountId, *, generation: int, at: float) -> bool:
        """Note the intent, unless somebody else has one."""
        pid = self._process.pid
        return await self._ask(lambda: self._vault.intend(account_id, generation, at, pid))

    async def renewed(
        self,
        account_id: AccountId,
        tokens: Tokens,
        *,
        generation: int,
        at: float,
        next_at: float | None = None,
    ) -> Account | None:
        """Store the next generation."""
        event = RenewalEvent(RenewalKind.RENEWED, at, None, next_at)
        return await self._ask(lambda: self._vault.renewed(account_id, tokens, generation, event))

    async def refused(
        self, account_id: AccountId, *, generation: int, code: str, permanent: bool, at: float
    ) -> bool:
        """Record the refusal."""
        del at
        return await self._ask(
            lambda: self._vault.refused(account_id, generation, code=code, permanent=permanent)
        )

    async def remember(self, account_id: AccountId, event: RenewalEvent) -> None:
        """Keep the event."""
        await self._ask(lambda: self._vault.events.append((account_id, event)))

    async def forget_events(self, *, at: float) -> int:
        """Keep all."""
        del at
        return 0

    async def identify(self, account_id: AccountId, who: Identity, *, at: float) -> Account | None:
        """Tokens tell nobody's name here."""
        del who, at
        return await self.account(account_id)

    async def _ask(self, effect: Callable[[], T]) -> T:
        vault = self._vault
        await asyncio.sleep(vault.travel_s())
        if not self._process.alive:
            raise asyncio.CancelledError
        chance = vault.rng.random()
        if vault.loop.time() < vault.away_until or chance < vault.faults.refused:
            raise StateError("the store is away")
        answer = effect()
        await asyncio.sleep(vault.travel_s())
        if chance > 1.0 - vault.faults.unacknowledged:
            raise StateError("the store went away")
        return answer
