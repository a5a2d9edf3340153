"""An authorization server whose refresh tokens work once, and that remembers who came when."""

from collections.abc import Callable

from app.domain.account import Secret
from app.ports import RenewalRefused, Tokens
from tests.fakes.clock import FakeClock

LIFETIME_S = 864_000.0


class FakeAuthServer:
    """Satisfies `AuthServer`. A refresh token is `rt-<account>-<number>`."""

    def __init__(self, clock: FakeClock, *, latency_s: float = 0.5) -> None:
        self._clock = clock
        self.latency_s = latency_s
        self.lifetime_s: float | None = LIFETIME_S
        self.access_token: Callable[[str, int], str] = lambda account, n: f"at-{account}-{n}"
        self.valid: dict[str, int] = {}
        """Which number of an account's refresh token has not been spent."""
        self.seen: list[tuple[float, str]] = []
        """When each exchange came and which token it brought."""
        self.proxies: list[Secret | None] = []
        self.before: list[Exception] = []
        """Raised, one a call, instead of spending the token."""
        self.after: list[Exception] = []
        """Raised, one a call, once the token is spent."""
        self.now_in = self.most_in = 0

    def current(self, account: str) -> str:
        """Return the account's refresh token that works now."""
        return f"rt-{account}-{self.valid.setdefault(account, 0)}"

    async def renew(self, refresh_token: Secret, *, proxy_url: Secret | None) -> Tokens:
        """Rotate the token, after a while."""
        token = refresh_token.reveal()
        self.seen.append((self._clock.now(), token))
        self.proxies.append(proxy_url)
        self.now_in += 1
        self.most_in = max(self.most_in, self.now_in)
        try:
            if self.before:
                raise self.before.pop(0)
            account, number = self._spend(token)
            await self._clock.sleep(self.latency_s)
            if self.after:
                raise self.after.pop(0)
        finally:
            self.now_in -= 1
        lifetime_s = self.lifetime_s
        return Tokens(
            access_token=Secret(self.access_token(account, number)),
            refresh_token=Secret(self.current(account)),
            id_token=None,
            expires_at=None if lifetime_s is None else self._clock.now() + lifetime_s,
        )

    def _spend(self, token: str) -> tuple[str, int]:
        account = token.removeprefix("rt-").rpartition("-")[0]
        if token != self.current(account):
            raise RenewalRefused("refresh_token_reused", "spent", permanent=True)
        self.valid[account] += 1
        return account, self.valid[account]
