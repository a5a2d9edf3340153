"""`/api/admin/accounts`: the upstream identities, their state, and what is done to them.

Tokens and keys come in and never go out; a proxy's address likewise, as it may hold a password.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Final

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency as Given
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream
from msgspec import UNSET, UnsetType, structs

from app.accounts.api_accounts import api_account
from app.accounts.exporting import SealedAccounts
from app.accounts.importing import DATA_BYTES_MAX
from app.admin.access import Access
from app.admin.audit import Auditor
from app.admin.desk import AccountDesk, Action, Imported, NoSuchAccount, Progress, Tried
from app.admin.roster import AccountQuery, AccountRow, Roster, Sort, Status
from app.admin.rows import AccountRows, ReportRows, RequestRows
from app.domain.account import AccountId, Secret
from app.domain.admin import Actor
from app.domain.enrolment import AccountChanges, Enrolment
from app.domain.report import Dimension
from app.edge.admin.account_bodies import (
    AccountDetail,
    AccountEdit,
    AccountPage,
    Added,
    Bulk,
    Export,
    NewByAccessToken,
    NewByApiKey,
    NewByRefreshToken,
)
from app.edge.admin.bodies import proxy
from app.edge.admin.gate import UNREPEATED
from app.errors import InvalidRequest

FILE_BYTES_MAX: Final = DATA_BYTES_MAX + (1 << 20)
ATTEMPTS_SHOWN: Final = 20
LINES: Final = "application/x-ndjson"


class AccountsController(Controller):
    """Accounts."""

    path = "/accounts"
    tags = ("accounts",)

    @get("/")
    async def list_accounts(  # noqa: PLR0913 - one argument a query parameter
        self,
        *,
        roster: Given[Roster],
        reports: Given[ReportRows],
        q: FromQuery[str] = "",
        status: FromQuery[list[Status] | None] = None,
        kind: FromQuery[list[str] | None] = None,
        plan: FromQuery[list[str] | None] = None,
        group: FromQuery[list[str] | None] = None,
        tag: FromQuery[list[str] | None] = None,
        sort: FromQuery[Sort] = Sort.NAME,
        descending: FromQuery[bool] = False,
        offset: Annotated[int, QueryParameter(ge=0)] = 0,
        limit: Annotated[int, QueryParameter(ge=1, le=500)] = 50,
        today_since: Annotated[
            float | None,
            QueryParameter(
                ge=0, le=1e11, description="Epoch seconds at which the viewer's day began."
            ),
        ] = None,
    ) -> AccountPage:
        """List accounts: any of the groups, all of the tags; state is of this moment."""
        wanted = AccountQuery(
            text=q,
            status=tuple(status or ()),
            kind=tuple(kind or ()),
            plan=tuple(plan or ()),
            group=tuple(group or ()),
            tag=tuple(tag or ()),
            sort=sort,
            descending=descending,
        )
        found = await roster.page(wanted, offset=offset, limit=limit)
        today: dict[str, int] = {}
        if today_since is not None:
            ids = [row.id for row in found.rows]
            sums = await reports.since(Dimension.ACCOUNT, ids, start=today_since)
            today = {name: each.usage.total for name, each in sums.items()}
        return AccountPage(found.rows, found.total, offset, limit, found.statuses, today)

    @post("/")
    async def add_by_refresh_tokens(
        self,
        data: JSONBody[NewByRefreshToken],
        desk: Given[AccountDesk],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> Imported:
        """Add an account for each refresh token."""
        chosen = AccountChanges(proxy_url=proxy(data.proxy_url or UNSET))
        added = await desk.add_lines(data.refresh_token, name=data.name.strip(), chosen=chosen)
        await audit.note(actor, "accounts_added", after=_counts(added))
        return added

    @post("/at")
    async def add_by_access_token(
        self,
        data: JSONBody[NewByAccessToken],
        desk: Given[AccountDesk],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> Added:
        """Add an account by an access token."""
        new = Enrolment(
            name=data.name.strip(),
            access_token=Secret(data.access_token.strip()),
            refresh_token=Secret(data.refresh_token.strip()) if data.refresh_token else None,
            proxy_url=_secret(proxy(data.proxy_url)),
        )
        return await _add(new, desk, audit, actor)

    @post("/openai")
    async def add_by_api_key(
        self,
        data: JSONBody[NewByApiKey],
        desk: Given[AccountDesk],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> Added:
        """Add an account by an API key."""
        new = api_account(
            kind=data.kind,
            name=data.name,
            api_key=Secret(data.api_key) if data.api_key else None,
            base_url=data.base_url,
            served=data.models,
            named=data.model_map,
            organization=data.organization,
            project=data.project,
        )
        own = structs.replace(new, proxy_url=_secret(proxy(data.proxy_url)))
        return await _add(own, desk, audit, actor)

    @post("/import", request_max_body_size=FILE_BYTES_MAX, opt={UNREPEATED: True})
    async def import_file(
        self,
        data: Annotated[dict[str, UploadFile], Body(media_type=RequestEncodingType.MULTI_PART)],
        desk: Given[AccountDesk],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> Imported:
        """Add all accounts of a file (field `file`); what can't be read is told by its place."""
        file = data.get("file")
        if not isinstance(file, UploadFile):
            raise InvalidRequest("Expected a file in the field 'file'.", param="file")
        name = (file.filename or "upload")[:128]
        added = await desk.import_file(await file.read(), name=name, chosen=AccountChanges())
        await audit.note(actor, "accounts_imported", name, after=_counts(added))
        return added

    @post("/bulk", status_code=200, opt={UNREPEATED: True}, media_type=LINES)
    async def bulk(
        self,
        data: JSONBody[Bulk],
        desk: Given[AccountDesk],
        roster: Given[Roster],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> Stream:
        """Do the same to many accounts; each line of the answer is a `Progress`.

        Whoever closes the connection ends it; what was done stays done.
        """
        changes = data.changes.changes() if data.changes else AccountChanges()
        if (data.action is Action.CHANGE) != (data.changes is not None):
            raise InvalidRequest("'changes' goes with the action 'change'.", param="changes")
        if bool(data.ids) == (data.filter is not None):
            raise InvalidRequest("Expected either 'ids' or 'filter'.", param="ids")
        ids = [AccountId(each) for each in dict.fromkeys(data.ids)]
        if data.filter is not None:
            ids = await roster.matching(data.filter)
        told = {"count": len(ids), "changes": data.changes.told() if data.changes else None}
        await audit.note(actor, f"accounts_bulk_{data.action.value}", after=told)
        return Stream(_lines(desk.bulk(data.action, ids, changes)), media_type=LINES)

    @post("/export", status_code=200, opt={UNREPEATED: True})
    async def export(
        self,
        *,
        data: JSONBody[Export],
        desk: Given[AccountDesk],
        roster: Given[Roster],
        access: Given[Access],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> SealedAccounts:
        """Return accounts with all their tokens, sealed with a passphrase.

        `codex2api accounts import FILE --passphrase` reads the answer.
        """
        await access.prove(Secret(data.password), address=actor.ip)
        ids = [AccountId(each) for each in dict.fromkeys(data.ids)] or roster.ids()
        await audit.note(actor, "accounts_exported", after={"count": len(ids), "ids": ids[:100]})
        return await desk.export(ids, Secret(data.passphrase))

    @get("/{account_id:str}")
    async def account(
        self,
        account_id: FromPath[str],
        roster: Given[Roster],
        account_rows: Given[AccountRows],
        requests: Given[RequestRows],
    ) -> AccountDetail:
        """Return an account with its events and latest attempts."""
        row = _row(roster, account_id)
        events = list(await account_rows.events(row.id))
        tried = await requests.attempts(account_id, limit=ATTEMPTS_SHOWN)
        return AccountDetail(row, events, tried)

    @patch("/{account_id:str}")
    async def change(
        self,
        account_id: FromPath[str],
        data: JSONBody[AccountEdit],
        desk: Given[AccountDesk],
        roster: Given[Roster],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> AccountRow:
        """Change an account; 409 `stale_edit` if somebody else did since `version`."""
        before = _row(roster, account_id)
        told = data.told()
        await desk.edit(AccountId(account_id), data.changes(), version=data.version)
        was = {name: getattr(before, name, None) for name in told if name != "proxy_url"}
        await audit.note(actor, "account_changed", account_id, before=was, after=told)
        return _row(roster, account_id)

    @delete("/{account_id:str}", status_code=204)
    async def remove(
        self,
        account_id: FromPath[str],
        desk: Given[AccountDesk],
        roster: Given[Roster],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> None:
        """Delete an account with its credential; what it served stays in the books."""
        before = _row(roster, account_id)
        await desk.delete(before.id)
        told = {"name": before.name, "email": before.email, "kind": before.kind}
        await audit.note(actor, "account_deleted", account_id, before=told)

    @post("/{account_id:str}/refresh", status_code=200)
    async def refresh(
        self,
        account_id: FromPath[str],
        desk: Given[AccountDesk],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> Tried:
        """Renew an account's credential now."""
        tried = await desk.refresh(AccountId(account_id))
        await audit.note(actor, "account_refreshed", account_id, after=tried.detail)
        return tried

    @post("/{account_id:str}/test", status_code=200)
    async def test(self, account_id: FromPath[str], desk: Given[AccountDesk]) -> Tried:
        """Ask an account's upstream whether it lets it in; costs no quota."""
        return await desk.test(AccountId(account_id))

    @post("/{account_id:str}/reset", status_code=200)
    async def reset(
        self,
        account_id: FromPath[str],
        desk: Given[AccountDesk],
        roster: Given[Roster],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> AccountRow:
        """Forget every rest of an account: the next call may try it."""
        await desk.reset(AccountId(account_id))
        await audit.note(actor, "account_reset", account_id)
        return _row(roster, account_id)


async def _add(new: Enrolment, desk: AccountDesk, audit: Auditor, actor: Actor) -> Added:
    added = await desk.add(new)
    account = added.account
    await audit.note(actor, "account_added", account.id, after={"name": account.name})
    return Added(account.id, account.name, added.created, added.credential_kept)


def _row(roster: Roster, account_id: str) -> AccountRow:
    row = roster.row(AccountId(account_id))
    if row is None:
        raise NoSuchAccount(f"There is no account {account_id[:64]}.", param="id")
    return row


def _counts(added: Imported) -> dict[str, int]:
    return {
        "created": added.created,
        "replaced": added.replaced,
        "kept": added.kept,
        "faults": len(added.faults),
    }


def _secret(value: Secret | UnsetType | None) -> Secret | None:
    return value if isinstance(value, Secret) else None


async def _lines(progress: AsyncGenerator[Progress, None]) -> AsyncIterator[bytes]:
    async with aclosing(progress):
        async for each in progress:
            yield msgspec.json.encode(each) + b"\n"
