"""What of a call belongs to one account, and so which account may be shown it.

Encrypted items and a turn's state can only be read by the account that made them. What is known to
be another account's is never sent: reasoning is left out for that attempt, and so is the turn's
state. What nobody is known to own (after a restart, or when it was forgotten) may go anywhere, and
who takes it owns it from then on. A compaction can't be left out: its owner takes the call, or
nobody does.
"""

from typing import Final

from msgspec import structs

from app.dialects.responses.encrypted import fingerprint, without
from app.domain.account import AccountId
from app.domain.call import Call
from app.errors import CapacityError, ContextUnavailable
from app.pool.pool import AccountPool

TURN_STATE: Final = "x-codex-turn-state"

_GONE: Final = (
    "This conversation was compacted by an account that is not available here any more, and no "
    "other account can read it. Start a new conversation, or send it uncompacted."
)
_RESTING: Final = (
    "This conversation was compacted by an account that is at its limit, and no other account can "
    "read it. Try again after its reset, or send the conversation uncompacted."
)
_UNREADABLE: Final = (
    "This conversation was compacted by an account that could not be found again. Start a new "
    "conversation, or send it uncompacted."
)
_TORN: Final = (
    "Parts of this conversation were compacted by different accounts, and none of them can read "
    "all of it. Start a new conversation, or send it uncompacted."
)


def bound_to(call: Call, pool: AccountPool, *, now: float) -> AccountId | None:
    """Return the one account that may take the call, None if any may.

    Raises:
        ContextUnavailable: No account can read all of it.
    """
    owners = {pool.owner(key, now=now) for key in call.bound_keys} - {None}
    if len(owners) > 1:
        raise ContextUnavailable(_TORN)
    return owners.pop() if owners else None


def addressed(
    call: Call, account_id: AccountId, pool: AccountPool, *, now: float
) -> tuple[Call, tuple[str, ...]]:
    """Return the call as this account may be shown it, and the keys of what nobody owns yet."""
    unowned: tuple[str, ...] = ()
    if call.owner_keys:
        owners = {key: pool.owner(key, now=now) for key in call.owner_keys}
        unowned = tuple(key for key, owner in owners.items() if owner is None)
        foreign = {key for key, owner in owners.items() if owner not in (None, account_id)}
        if foreign:
            start = len(call.caller_id) + 1
            names = {key[start:] for key in foreign}
            body = without(call.body, names)
            # What is left out may be what the delta leans on.
            call = structs.replace(call, body=body, previous_response_id=None, delta=None)
    for name, value in call.headers:
        if name == TURN_STATE:
            owner = pool.owner(item_key(call, fingerprint(value)), now=now)
            if owner != account_id:
                kept = tuple(pair for pair in call.headers if pair[0] != TURN_STATE)
                call = structs.replace(call, headers=kept)
            break
    return call, unowned


def unsealed(call: Call) -> Call | None:
    """Return the call without its reasoning, which nobody could read; None if it has none.

    Raises:
        ContextUnavailable: What could not be read is a compaction.
    """
    body = without(call.body)
    if body is not call.body:
        return structs.replace(
            call, body=body, owner_keys=call.bound_keys, previous_response_id=None, delta=None
        )
    if call.bound_keys:
        raise ContextUnavailable(_UNREADABLE)
    return None


def unavailable(error: CapacityError) -> ContextUnavailable:
    """Return how a call is told that the only account that may take it can't."""
    if error.retry_after_s is None:
        return ContextUnavailable(_GONE)
    return ContextUnavailable(
        _RESTING, retry_after_s=error.retry_after_s, resets_at=error.resets_at
    )


def item_key(call: Call, name: str) -> str:
    """Return the key of one of the caller's items in the pool's table."""
    return f"{call.caller_id}:{name}"
