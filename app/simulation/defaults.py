"""What an account of each plan may spend where nobody said: assumptions, and named as such.

The upstream publishes no amounts and changes them without notice. The figures keep the proportions
between the plans and the lengths of their windows; whoever knows better writes `windows` into the
plan of the simulation.
"""

from typing import Final

from app.simulation.plan import Accounts, Window

_HOURS_5: Final = 300
_WEEK: Final = 10_080
_MONTH: Final = 43_200
_MILLION: Final = 1_000_000

_PAID: Final = (
    Window(minutes=_HOURS_5, tokens=10 * _MILLION),
    Window(minutes=_WEEK, tokens=70 * _MILLION),
)
_PRO: Final = (
    Window(minutes=_HOURS_5, tokens=60 * _MILLION),
    Window(minutes=_WEEK, tokens=420 * _MILLION),
)
_FREE: Final = (Window(minutes=_MONTH, tokens=5 * _MILLION),)

_PLANS: Final = {
    "free": _FREE,
    "k12": _FREE,
    "go": (
        Window(minutes=_HOURS_5, tokens=3 * _MILLION),
        Window(minutes=_WEEK, tokens=20 * _MILLION),
    ),
    "plus": _PAID,
    "team": _PAID,
    "business": _PAID,
    "edu": _PAID,
    "prolite": (
        Window(minutes=_HOURS_5, tokens=30 * _MILLION),
        Window(minutes=_WEEK, tokens=210 * _MILLION),
    ),
    "pro": _PRO,
    "enterprise": _PRO,
}


def windows(batch: Accounts) -> tuple[Window, ...]:
    """Return the quota windows of these accounts: their own, or those assumed for their plan."""
    return _PLANS.get(batch.plan or "", _PAID) if batch.windows is None else batch.windows


def assumed(batches: tuple[Accounts, ...]) -> tuple[str, ...]:
    """Return the plans of which amounts were assumed, for the report to say so."""
    return tuple(sorted({batch.plan or "unknown" for batch in batches if batch.windows is None}))
