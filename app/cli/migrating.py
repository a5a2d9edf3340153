"""Takes what was found in another product's database into the store, or says what it would take.

A dry run and a real one tell the same: what is new, what is there already, what can't be taken and
why. An account is known by its identity and a key by its digest, so an import may be run again
after it was interrupted. Of a key its SHA-256 is enough; one of which not even that is known is
made anew, if that is wanted, and is then known by its name.
"""

from collections.abc import Sequence

from msgspec import Struct

from app.accounts.enrolment import whose
from app.accounts.new_account import printable
from app.clock import SystemClock
from app.domain.account import Secret
from app.domain.enrolment import CreatedKey, Enrolment, KeyChanges
from app.foreign.found import Found, FoundAccount, FoundKey, Remark
from app.settings import Settings
from app.store.account_rows import identity
from app.store.copying import Progress
from app.store.known import already_there
from app.store.store import Store

_BATCH = 100
_GUESSED_UNDER = 20


class Tally(Struct):
    """How many rows of a kind could be taken, and how many of them are new."""

    added: int = 0
    there_already: int = 0


class MadeKey(Struct, frozen=True):
    """A key that was made anew; it is shown this once."""

    row: str
    id: str
    name: str
    key: str


class Outcome(Struct):
    """What an import did, or would do."""

    accounts: Tally
    keys: Tally
    to_make: list[FoundKey]
    """Keys that could not be taken over and were not made."""
    made: list[MadeKey]
    remarks: list[Remark]

    @property
    def usable(self) -> bool:
        """Tell whether there was anything that can be taken or made."""
        tallies = (self.accounts, self.keys)
        known = any(each.added or each.there_already for each in tallies)
        return known or bool(self.to_make or self.made)


async def take(
    settings: Settings, found: Found, *, dry_run: bool, make_keys: bool, progress: Progress
) -> Outcome:
    """Store what was found and is not there yet; nothing at all in a dry run.

    Raises:
        StateError: The store can't be used; what was stored before stays stored.
        CallerError: The store is full, or somebody else just stored one of the keys; the same.
    """
    accounts = _each_once(found)
    whole = [key for key in found.keys if key.key is not None]
    clear = [key.key for key in whole if key.key is not None]
    lost = [key for key in found.keys if key.key is None]
    known = await already_there(settings, [each.new for each in accounts], clear)
    wanted = [key for key in lost if key.name not in known.names]
    _warn_of_short_keys(whole, found)
    outcome = Outcome(
        accounts=_tally(len(accounts), len(known.accounts)),
        keys=_tally(len(whole), len(known.keys)),
        to_make=[] if make_keys and not dry_run else wanted,
        made=[],
        remarks=found.remarks,
    )
    if not dry_run:
        fresh = [each for place, each in enumerate(whole) if place not in known.keys]
        made = wanted if make_keys else []
        progress.total(len(accounts) + len(fresh) + len(made))
        async with Store.open(settings, whose=whose) as store:
            new = [each.new for each in accounts]
            outcome.accounts = await _store_accounts(store, new, progress)
            for each in (*fresh, *made):
                stored = await _store_key(store, each)
                if each.key is None:
                    outcome.made.append(_shown_once(each, stored))
                progress.done(1)
    return outcome


def _shown_once(each: FoundKey, stored: CreatedKey) -> MadeKey:
    return MadeKey(each.row, stored.caller.id, stored.caller.name, stored.key.reveal())


def _each_once(found: Found) -> list[FoundAccount]:
    """Return the accounts without those that are the same as another row's."""
    first: dict[str, str] = {}
    kept = []
    for each in found.accounts:
        row = first.setdefault(identity(each.new), each.row)
        if row == each.row:
            kept.append(each)
        else:
            found.refuse(each.row, each.new.name, f"the same account as {row}")
    return kept


def _warn_of_short_keys(whole: Sequence[FoundKey], found: Found) -> None:
    for each in whole:
        if isinstance(each.key, Secret) and len(each.key.reveal()) < _GUESSED_UNDER:
            found.note(each.row, each.name, f"its key has under {_GUESSED_UNDER} characters")


def _tally(count: int, known: int) -> Tally:
    return Tally(added=count - known, there_already=known)


async def _store_accounts(store: Store, new: Sequence[Enrolment], progress: Progress) -> Tally:
    tally = Tally()
    for start in range(0, len(new), _BATCH):
        batch = new[start : start + _BATCH]
        for added in await store.accounts.add_all(batch, at=SystemClock().now()):
            tally.added += added.created
            tally.there_already += not added.created
        progress.done(len(batch))
    return tally


async def _store_key(store: Store, each: FoundKey) -> CreatedKey:
    now = SystemClock().now()
    made = await store.keys.create(
        name=printable(each.name),
        at=now,
        key=each.key,
        # One that is to be disabled is over until it is, so that it never works in between.
        expires_at=each.expires_at if each.enabled else now,
        models=each.models,
        groups=each.groups,
        allowance=each.allowance,
    )
    if not each.enabled:
        changes = KeyChanges(enabled=False, expires_at=each.expires_at)
        await store.keys.change(made.caller.id, changes)
    return made
