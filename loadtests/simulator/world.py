"""The state of one simulator, as its handlers share it."""

from typing import Any

import msgspec

from loadtests.simulator import manifest
from loadtests.simulator.accounts import Account, Accounts, Clock
from loadtests.simulator.cache import PromptCache
from loadtests.simulator.config import Config, Knobs
from loadtests.simulator.errors import Facts
from loadtests.simulator.exchange import Exchange
from loadtests.simulator.gauges import Gauges
from loadtests.simulator.knobs import KnobBook, Scope, from_headers
from loadtests.simulator.ledger import Ledger, Record
from loadtests.simulator.pacing import Wheel
from loadtests.simulator.tokens import Mint


class World:
    """Everything that outlives a request. Owned by `server.Simulator`."""

    def __init__(self, config: Config, wheel: Wheel) -> None:
        self.config = config
        self.wheel = wheel
        self.clock = Clock()
        self.mint = Mint(config.seed)
        self.accounts = Accounts(config.specs(), self.mint, self.clock)
        self.book = KnobBook(config.knobs, config.seed)
        self.ledger = Ledger(config)
        self.gauges = Gauges()
        self.cache = PromptCache()
        self.models = manifest.models()
        self.models_etag = manifest.etag(manifest.body(self.models))
        self._responses = 0
        self.codes: dict[str, dict[str, str]] = {}
        self.devices: dict[str, dict[str, Any]] = {}
        self.handshakes: list[float] = []
        self.api_keys: dict[str, Account] = {}
        self._apply_account_knobs()

    def reset(self) -> None:
        """Back to the start, with the connections that are open."""
        self.clock.skew_s = 0.0
        self.accounts.reset()
        self.book.reset()
        self.ledger.reset()
        self.gauges.reset()
        self.cache.clear()
        self.codes.clear()
        self.devices.clear()
        self.handshakes.clear()
        self.api_keys.clear()
        self._apply_account_knobs()

    def next_response_key(self) -> str:
        """What the ids of the next response and its items are made of."""
        self._responses += 1
        return f"{self.config.seed:04x}{self.config.instance:04x}{self._responses:010x}"

    def knobs(
        self,
        exchange: Exchange,
        account: Account | None = None,
        model: str | None = None,
        prompt: str = "",
    ) -> Knobs:
        """The knobs of a request. Raises BadKnobs when an override is wrong."""
        scope = Scope(
            account=account.id if account else None,
            model=model,
            path=exchange.request.path,
            in_flight=account.in_flight if account else self.gauges.in_flight,
            rpm=account.rpm() if account and len(account.recent) else 0.0,
        )
        directive = self.book.from_prompt(prompt, scope.account) if "[[sim" in prompt else {}
        return self.book.resolve(scope, from_headers(exchange.request.headers), directive)

    def record(self, exchange: Exchange, body: bytes = b"") -> Record:
        """A fresh record of the request."""
        headers = exchange.request.headers
        return Record(
            id=exchange.id,
            path=exchange.request.path,
            session=headers.get("session-id") or headers.get("session_id"),
            client_request_id=headers.get("x-request-id") or headers.get("x-client-request-id"),
            request_bytes=len(body),
        )

    def facts(self, account: Account | None, model: str, knobs: Knobs) -> Facts:
        """What error texts mention about this request."""
        now = self.clock.now()
        full = account.exhausted(now) if account else None
        resets_at = full.reset_at if full else now + knobs.resets_in_s
        return Facts(model, account.plan if account else "free", now, resets_at)

    def state(self) -> dict[str, Any]:
        """All gauges and the accounts' figures, for `GET /__sim/state`."""
        accounts = {}
        now = self.clock.now()
        for account in [*self.accounts.by_id.values(), *self.api_keys.values()]:
            accounts[account.id] = {
                "requests": account.requests,
                "in_flight": account.in_flight,
                "in_flight_max": account.in_flight_max,
                "refreshes": account.refreshes,
                "refreshing_max": account.refreshing_max,
                "generation": account.generation,
                "refresh_token": self.accounts.refresh_token(account),
                "statuses": {str(status): n for status, n in account.statuses.items()},
                "windows": [msgspec.to_builtins(window) for window in account.windows(now)],
            }
        return {
            **self.gauges.snapshot(),
            "records": len(self.ledger.records),
            "violations": len(self.ledger.violations),
            "clock_skew_s": self.clock.skew_s,
            "accounts": accounts,
        }

    def _apply_account_knobs(self) -> None:
        for account in self.accounts.by_id.values():
            if account.spec.knobs:
                self.book.set_account(account.id, account.spec.knobs)
