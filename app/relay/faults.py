"""What a fault shows of an account, by its kind: keys have errors that Codex accounts don't. Pure.

A key whose money is spent, or that nobody pays for, opens nothing until its operator acts, so it is
taken out; a Codex account's limit ends by itself. And what a server does not serve it says in words
of its own, which a mixed pool must not take for the caller's fault.
"""

import re
from typing import Final

from app.domain.account import AccountKind
from app.domain.outcome import Outcome, Unauthorized, Unsuited
from app.relay.diagnosis import Fault, diagnose

_UNPAID: Final = frozenset(
    {
        "account_deactivated",
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_balance",
        "insufficient_quota",
    }
)
_NO_MODEL: Final = re.compile(
    r"\bmodel\b.{0,200}?\b(?:not found|does not exist|not exist|is not available|not supported)\b"
    r"|\bunknown model\b|\bno such model\b",
    re.IGNORECASE | re.DOTALL,
)
_WORDS_MAX: Final = 512


def shown_by(fault: Fault, *, kind: AccountKind, model: str, now: float) -> Outcome:
    """Return what `fault` shows of an account of this kind; see `diagnose`."""
    if kind is not AccountKind.CODEX:
        if fault.status == 402 or not _UNPAID.isdisjoint({fault.code, fault.type}):
            return Unauthorized(dead=True, reason=fault.code or fault.type or "unpaid")
        words = f"{fault.code or ''} {fault.message}"[:_WORDS_MAX]
        if fault.status in (400, 404) and _NO_MODEL.search(words):
            return Unsuited(model, fault.message or "The model is not available.")
    return diagnose(fault, model=model, now=now)
