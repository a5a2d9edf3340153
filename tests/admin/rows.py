"""Rows in memory, for services of administration; `app.admin.rows` has what they are."""

from msgspec import structs

from app.domain.account import Secret
from app.domain.admin import AuditEntry, Password, Session


class AdminRows:
    """The administrator's rows."""

    def __init__(self) -> None:
        self.stored: Password | None = None
        self.factors: dict[bool, Secret | None] = {}
        self.known: dict[str, Session] = {}
        self.steps: set[int] = set()
        self.seen = 0

    async def password(self) -> Password | None:
        """Return the password."""
        return self.stored

    async def first_password(self, hash: str, *, at: float) -> bool:
        """Store it once."""
        if self.stored is not None:
            return False
        self.stored = Password(hash, at)
        return True

    async def set_password(self, hash: str, *, at: float) -> None:
        """Replace it."""
        self.stored = Password(hash, at)
        self.known.clear()

    async def take_step(self, step: int) -> bool:
        """Take a step once."""
        if step in self.steps:
            return False
        self.steps.add(step)
        return True

    async def second_factor(self, *, pending: bool = False) -> Secret | None:
        """Return the factor."""
        return self.factors.get(pending)

    async def set_second_factor(self, secret: Secret | None, *, pending: bool = False) -> None:
        """Replace it."""
        self.factors[pending] = secret

    async def add_session(self, session: Session, *, expired_before: tuple[float, float]) -> None:
        """Store a session."""
        del expired_before
        self.known[session.digest] = session

    async def session(self, digest: str) -> Session | None:
        """Return one."""
        return self.known.get(digest)

    async def sessions(self) -> list[Session]:
        """Return all."""
        return list(self.known.values())

    async def see_session(self, digest: str, *, at: float) -> None:
        """Note its use."""
        self.seen += 1
        self.known[digest] = structs.replace(self.known[digest], seen_at=at)

    async def end_session(self, digest: str) -> bool:
        """End one."""
        return self.known.pop(digest, None) is not None


class AuditRows:
    """The audit log."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    async def note(self, entry: AuditEntry) -> None:
        """Add an entry."""
        self.entries.append(entry)

    async def page(
        self, *, before: int | None = None, limit: int = 50, action: str | None = None
    ) -> list[AuditEntry]:
        """Return entries."""
        del before, action
        return self.entries[::-1][:limit]
