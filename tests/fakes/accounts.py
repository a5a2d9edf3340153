"""Accounts and calls for tests: the plainest ones, with what a test changes."""

from typing import Any

from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.domain.call import Call, Dialect
from app.domain.caller import KeyId


def account(name: str = "a", *, generation: int = 0, **changes: Any) -> Account:
    """Return an account whose id is its name."""
    fields: dict[str, Any] = {
        "id": AccountId(name),
        "name": name,
        "kind": AccountKind.CODEX,
        "credential": Credential(Secret(f"at-{name}-{generation}"), generation=generation),
    }
    return Account(**(fields | changes))


def call(**changes: Any) -> Call:
    """Return a call."""
    fields: dict[str, Any] = {
        "id": "req-1",
        "caller_id": KeyId("key-1"),
        "dialect": Dialect.RESPONSES,
        "model": "m1",
        "body": b'{"model":"m1","input":"hi"}',
    }
    return Call(**(fields | changes))
