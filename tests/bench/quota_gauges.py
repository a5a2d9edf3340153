"""What the pool's bookkeeping of quota windows costs a call. Run by hand.

PYTHONPATH=. .venv/bin/python tests/bench/quota_gauges.py
"""

import timeit

from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.domain.quota import MAIN_FAMILY, Credits, QuotaView, QuotaWindow
from app.pool.quota import headroom, hear, spend
from app.pool.state import AccountState

NOW = 1_784_900_000.0
ROUNDS = 50_000
VIEW = QuotaView(
    windows=(
        QuotaWindow(MAIN_FAMILY, 300, 0.42, NOW + 9_000),
        QuotaWindow(MAIN_FAMILY, 10_080, 0.17, NOW + 90_000),
    ),
    active_family=MAIN_FAMILY,
    plan="plus",
    credits=Credits(available=False),
)


def main() -> None:
    """Print microseconds a call of each, the best of five."""
    account = Account(AccountId("a"), "a", AccountKind.CODEX, Credential(Secret("at")))
    state = AccountState(account)
    works = {
        "hear": lambda: hear(state, VIEW, pause_at=1.0, now=NOW),
        "headroom": lambda: headroom(state, family=MAIN_FAMILY, now=NOW),
        "spend": lambda: spend(state, 100, family=MAIN_FAMILY, now=NOW),
    }
    for name, work in works.items():
        cost_us = min(timeit.repeat(work, repeat=5, number=ROUNDS)) / ROUNDS * 1e6
        print(f"{name:9} {cost_us:5.2f} us")


if __name__ == "__main__":
    main()
