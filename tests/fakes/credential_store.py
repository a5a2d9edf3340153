"""A store of credentials in memory, with compare and set, that can stall or fail at any step."""

import asyncio

from msgspec import structs

from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.domain.enrolment import Identity
from app.ports import RenewalEvent, RenewalKind, Tokens


def account(
    id: str = "a1",
    *,
    generation: int = 0,
    expires_at: float | None = None,
    renewable: bool = True,
    access_token: str = "at-0",
) -> Account:
    """Return a Codex account that a test can tell from others."""
    credential = Credential(
        access_token=Secret(access_token),
        generation=generation,
        expires_at=expires_at,
        renewable=renewable,
    )
    return Account(id=AccountId(id), name=id, kind=AccountKind.CODEX, credential=credential)


class FakeCredentialStore:
    """Satisfies `CredentialStore` and `AccountSource`."""

    def __init__(self) -> None:
        self.rows: dict[AccountId, Account] = {}
        self.tokens: dict[AccountId, Secret] = {}
        self.intents: dict[AccountId, int] = {}
        self.refusals: list[tuple[AccountId, str, bool]] = []
        self.events: list[tuple[AccountId, RenewalEvent]] = []
        self.people: dict[tuple[str, str], AccountId] = {}
        """Which account belongs to a user in a workspace."""
        self.steps: list[str] = []
        """Every step that was begun, in order."""
        self.gates: dict[str, asyncio.Event] = {}
        """A step that has a gate waits until it is set."""
        self.faults: dict[str, list[Exception]] = {}
        """A step that has faults raises the first and drops it."""

    def put(self, row: Account, refresh_token: str | None = None) -> Account:
        """Store an account as another process would."""
        self.rows[row.id] = row
        if refresh_token is not None:
            self.tokens[row.id] = Secret(refresh_token)
        return row

    async def account(self, account_id: AccountId) -> Account | None:
        """Return one account."""
        await self._step("account")
        return self.rows.get(account_id)

    async def accounts(self) -> list[Account]:
        """Return all accounts."""
        await self._step("accounts")
        return list(self.rows.values())

    async def refresh_token(self, account_id: AccountId) -> tuple[Secret, int] | None:
        """Return the stored token and its generation."""
        await self._step("refresh_token")
        row, token = self.rows.get(account_id), self.tokens.get(account_id)
        return None if row is None or token is None else (token, row.credential.generation)

    async def intend(self, account_id: AccountId, *, generation: int, at: float) -> bool:
        """Note the intent if `generation` is current."""
        del at
        await self._step("intend")
        row = self.rows.get(account_id)
        if row is None or row.credential.generation != generation:
            return False
        self.intents[account_id] = generation
        return True

    async def renewed(
        self,
        account_id: AccountId,
        tokens: Tokens,
        *,
        generation: int,
        at: float,
        next_at: float | None = None,
    ) -> Account | None:
        """Store the next generation if `generation` is current."""
        await self._step("renewed")
        row = self.rows.get(account_id)
        if row is None or row.credential.generation != generation:
            return None
        old = row.credential
        credential = structs.replace(
            old,
            access_token=tokens.access_token or old.access_token,
            expires_at=tokens.expires_at if tokens.access_token else old.expires_at,
            generation=generation + 1,
        )
        if tokens.refresh_token is not None:
            self.tokens[account_id] = tokens.refresh_token
        self.intents.pop(account_id, None)
        event = RenewalEvent(RenewalKind.RENEWED, at, None, next_at)
        self.events.append((account_id, event))
        return self.put(structs.replace(row, credential=credential))

    async def refused(
        self, account_id: AccountId, *, generation: int, code: str, permanent: bool, at: float
    ) -> bool:
        """Record the refusal if `generation` is current; a permanent one takes the token away."""
        del at
        await self._step("refused")
        row = self.rows.get(account_id)
        if row is None or row.credential.generation != generation:
            return False
        self.refusals.append((account_id, code, permanent))
        self.intents.pop(account_id, None)
        if permanent:
            dead = structs.replace(row.credential, renewable=False)
            self.rows[account_id] = structs.replace(row, credential=dead)
            self.tokens.pop(account_id, None)
        return True

    async def remember(self, account_id: AccountId, event: RenewalEvent) -> None:
        """Keep the event."""
        await self._step("remember")
        self.events.append((account_id, event))

    async def forget_events(self, *, at: float) -> int:
        """Keep all."""
        del at
        await self._step("forget_events")
        return 0

    async def identify(self, account_id: AccountId, who: Identity, *, at: float) -> Account | None:
        """Let an account that is known by `who` take the credential over, if there is one."""
        del at
        await self._step("identify")
        row = self.rows.get(account_id)
        if row is None:
            return None
        known = self.people.setdefault((who.chatgpt_user_id, who.chatgpt_account_id), account_id)
        if known == account_id:
            return row
        twin = self.rows[known]
        generation = twin.credential.generation + 1
        del self.rows[account_id]
        self.tokens[known] = self.tokens.pop(account_id)
        credential = structs.replace(row.credential, generation=generation)
        return self.put(structs.replace(twin, credential=credential))

    async def _step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.gates:
            await self.gates[name].wait()
        await asyncio.sleep(0)
        if self.faults.get(name):
            raise self.faults[name].pop(0)
