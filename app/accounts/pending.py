"""Logins in progress, in the memory of one process."""

from app.domain.account import Secret
from app.domain.login import LOGINS_MAX, Claim


class MemoryLogins:
    """Keeps them for as long as the process runs; satisfies `PendingLogins`."""

    def __init__(self) -> None:
        self._logins: dict[str, tuple[float, float, Secret]] = {}
        """When each expires, when it is due, and what it is."""

    async def put(self, id: str, login: Secret, *, expires_at: float, due_at: float) -> None:
        """Keep a login; it replaces one of the same id, and the oldest give way."""
        self._logins.pop(id, None)
        while len(self._logins) >= LOGINS_MAX:
            del self._logins[next(iter(self._logins))]
        self._logins[id] = (expires_at, due_at, login)

    async def take(self, id: str, *, now: float) -> Secret | None:
        """Return a login that has not expired, and forget it."""
        expires_at, _, login = self._logins.pop(id, (0.0, 0.0, None))
        return login if expires_at > now else None

    async def claim(self, id: str, *, now: float, until: float) -> Claim | None:
        """Return a login that is due, and let nobody else have it before `until`."""
        expires_at, due_at, login = self._logins.get(id, (0.0, 0.0, None))
        if login is None or expires_at <= now:
            self._logins.pop(id, None)
            return None
        if due_at > now:
            return Claim(None)
        self._logins[id] = (expires_at, until, login)
        return Claim(login)
