"""The simulated accounts: who they are, what they have used, and what of them is in flight.

`Account` is the one mutable owner of an account's quota windows, refresh generation and gauges.
Time comes in as a `Clock` whose wall time can be moved forward to let windows reset. How the
windows look on the wire is `limits`' business.
"""

import time
from collections import deque
from typing import Any

import msgspec

from loadtests.simulator.config import AccountSpec
from loadtests.simulator.tokens import Mint

FAMILY = "codex"
_RECENT_MAX = 200_000
_SHAPES: dict[str, tuple[int, int]] = {
    "standard": (300, 10080),
    "monthly": (43200, 0),
    "weekly_primary": (10080, 300),
    "zero_secondary": (300, 0),
}


class Clock:
    """Wall time that tests can move forward, beside the untouched monotonic time."""

    def __init__(self) -> None:
        self.skew_s = 0.0

    def now(self) -> float:
        """Epoch seconds, with all that was added by `advance`."""
        return time.time() + self.skew_s

    def advance(self, seconds: float) -> None:
        """Move wall time forward (or back, with a negative number)."""
        self.skew_s += seconds


class Window(msgspec.Struct):
    """One quota window; `minutes` identifies it."""

    minutes: int
    used_percent: float
    reset_at: float

    def settle(self, now: float) -> None:
        """Start a new window when this one has run out."""
        span_s = self.minutes * 60
        if now >= self.reset_at and span_s:
            periods = int((now - self.reset_at) // span_s) + 1
            self.reset_at += periods * span_s
            self.used_percent = 0.0


class Account:
    """One account; `spec` is what it was created from."""

    def __init__(self, spec: AccountSpec, clock: Clock) -> None:
        self.spec = spec
        self.id = spec.id
        self.account_id = spec.account_id or spec.id
        self.user_id = spec.user_id or f"user-{spec.id}"
        self.email = spec.email or f"{spec.id}@example.com"
        self.plan = spec.plan
        self.reset_credits = spec.reset_credits
        self.redeemed: dict[str, dict[str, Any]] = {}
        self.deactivated = spec.deactivated
        self.generation = 0
        self.access_floor = 0
        self.family_revoked = False
        self.refreshes = 0
        self.refreshing = 0
        self.refreshing_max = 0
        self.requests = 0
        self.in_flight = 0
        self.in_flight_max = 0
        self.statuses: dict[int, int] = {}
        self.recent: deque[float] = deque(maxlen=_RECENT_MAX)
        now = clock.now()
        first, second = _SHAPES[spec.shape]
        first_s = spec.resets_in_s if spec.resets_in_s is not None else first * 60
        self.primary = Window(first, spec.used_percent, now + first_s)
        self.secondary = (
            Window(second, spec.secondary_used_percent, now + second * 60) if second else None
        )

    def windows(self, now: float) -> list[Window]:
        """The windows as they stand now, primary slot first."""
        found = [self.primary] if self.secondary is None else [self.primary, self.secondary]
        for window in found:
            window.settle(now)
        return found

    def exhausted(self, now: float) -> Window | None:
        """The used-up window that resets last, or None while the account may be used."""
        if self.spec.unlimited_credits or self.spec.has_credits:
            return None
        full = [window for window in self.windows(now) if window.used_percent >= 100]
        return max(full, key=lambda window: window.reset_at, default=None)

    def charge(self, percent: float, now: float) -> None:
        """Add the cost of one completed reply; the longer window takes a tenth of it."""
        windows = self.windows(now)
        shortest = min(window.minutes for window in windows)
        for window in windows:
            window.used_percent += percent if window.minutes == shortest else percent / 10

    def enter(self) -> None:
        """Count a request in; `leave` must follow."""
        self.requests += 1
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        self.recent.append(time.monotonic())

    def leave(self) -> None:
        """Count a request out."""
        self.in_flight -= 1

    def rpm(self) -> float:
        """Requests in the last 60 seconds."""
        since = time.monotonic() - 60
        while self.recent and self.recent[0] < since:
            self.recent.popleft()
        return float(len(self.recent))

    def entitled(self, model: str) -> bool:
        """Whether the account's plan has the model; every manifest model, unless told else."""
        models = self.spec.entitled_models
        return models is None or model in models


class Accounts:
    """All accounts of a simulator, in the order they were added."""

    def __init__(self, specs: list[AccountSpec], mint: Mint, clock: Clock) -> None:
        self._mint = mint
        self._clock = clock
        self._specs = specs
        self.by_id: dict[str, Account] = {}
        self.reset()

    def reset(self) -> None:
        """Back to the accounts of the start, unused."""
        self.by_id = {}
        for spec in self._specs:
            self.add(spec)

    def add(self, spec: AccountSpec) -> Account:
        """Add an account, or put a new one in the place of one with the same id."""
        account = self.by_id[spec.id] = Account(spec, self._clock)
        return account

    def access_token(
        self, account: Account, *, opaque: bool = False, ttl_s: float | None = None
    ) -> str:
        """A currently valid access token of the account."""
        now = self._clock.now()
        expires_at = now + (account.spec.access_ttl_s if ttl_s is None else ttl_s)
        if opaque:
            return self._mint.opaque_access(account.id, account.generation, expires_at)
        return self._mint.jwt(self.claims(account, now, expires_at))

    def id_token(self, account: Account) -> str:
        """An ID token of the account."""
        now = self._clock.now()
        claims = self.claims(account, now, now + 3600)
        return self._mint.jwt({**claims, "aud": ["app_EMoamEEZ73f0CkXaXp7hrann"]})

    def refresh_token(self, account: Account) -> str:
        """The only refresh token of the account that works now."""
        return self._mint.refresh_token(account.id, account.generation)

    def credentials(self, account: Account) -> dict[str, Any]:
        """What somebody needs to import the account."""
        return {
            "id": account.id,
            "email": account.email,
            "plan": account.plan,
            "account_id": account.account_id,
            "user_id": account.user_id,
            "refresh_token": self.refresh_token(account),
            "access_token": self.access_token(account),
            "id_token": self.id_token(account),
        }

    @staticmethod
    def claims(account: Account, issued_at: float, expires_at: float) -> dict[str, Any]:
        """The claims of the account's tokens."""
        return {
            "iss": "https://auth.openai.com",
            "aud": ["https://api.openai.com/v1"],
            "iat": int(issued_at),
            "exp": int(expires_at),
            "email": account.email,
            "email_verified": True,
            "sub": f"auth0|{account.user_id}",
            "sim_account": account.id,
            "sim_generation": account.generation,
            "https://api.openai.com/profile": {"email": account.email, "email_verified": True},
            "https://api.openai.com/auth": {
                "chatgpt_account_id": account.account_id,
                "chatgpt_user_id": account.user_id,
                "user_id": account.user_id,
                "chatgpt_plan_type": account.plan,
                "chatgpt_account_is_fedramp": account.spec.fedramp,
                "chatgpt_compute_residency": "no_constraint",
                "chatgpt_subscription_active_start": "2026-01-01T00:00:00Z",
                "chatgpt_subscription_active_until": "2027-12-01T00:00:00Z",
                "chatgpt_subscription_last_checked": "2026-08-01T00:00:00Z",
                "organizations": [
                    {"id": "org-sim", "is_default": True, "role": "owner", "title": "Personal"}
                ],
                "groups": [],
                "organization_id": "org-sim",
                "project_id": "proj-sim",
            },
        }
