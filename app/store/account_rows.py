"""Between rows and accounts: who is the same account, what is sealed where, how a row reads.

Nothing in here runs a statement.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import Row, Select, select

from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.domain.enrolment import Enrolment, StoredAccount
from app.errors import InvalidRequest
from app.store.keyring import Keyring, Place, SealBroken
from app.store.tables import accounts, credentials

_names = msgspec.json.Decoder(tuple[str, ...])
_map = msgspec.json.Decoder(dict[str, str])


def names_column(names: tuple[str, ...]) -> str:
    """Return what a column holds of a list of names."""
    return msgspec.json.encode(names).decode()


def names(column: str) -> tuple[str, ...]:
    """Return the names that `names_column` wrote."""
    return _names.decode(column)


def map_column(names: Mapping[str, str]) -> str:
    """Return what a column holds of a mapping of names."""
    return msgspec.json.encode(names, order="sorted").decode()


def identity(new: Enrolment) -> str:
    """Return what tells two accounts apart.

    A Codex account is its pair of user and workspace, any other its key and address. Where
    the tokens do not tell, the token itself stands for the account until `identify` is called.
    Tokens are random and long, so their plain digest gives nothing away.

    Raises:
        InvalidRequest: There is no token at all.
    """
    if new.kind is AccountKind.CODEX and new.chatgpt_user_id and new.chatgpt_account_id:
        return codex_identity(new.chatgpt_user_id, new.chatgpt_account_id)
    token = None if new.kind is AccountKind.CODEX else new.access_token
    token = token or new.refresh_token or new.access_token
    if not token and not (new.kind is AccountKind.COMPATIBLE and new.base_url):
        raise InvalidRequest(f"The account {new.name!r} has no token and no API key.")
    told = token.reveal() if token else ""
    digest = sha256(f"{new.base_url or ''}\n{told}".encode()).hexdigest()
    return f"{new.kind.value}-token:{digest}"


def codex_identity(chatgpt_user_id: str, chatgpt_account_id: str) -> str:
    """Return the identity of a Codex account whose tokens told both ids."""
    return f"codex:{chatgpt_user_id}:{chatgpt_account_id}"


def sealed_tokens(
    keyring: Keyring, account_id: str, tokens: Mapping[str, Secret | None], *, generation: int
) -> dict[str, bytes | None]:
    """Return the columns of `credentials` that hold `tokens`, sealed for `generation`."""
    return {
        column: None
        if token is None
        else keyring.seal(token, token_place(account_id, column, generation))
        for column, token in tokens.items()
    }


def token_place(account_id: str, column: str, generation: int) -> Place:
    """Return where a token of an account belongs."""
    return Place("credentials", account_id, column, generation)


def proxy_place(account_id: str) -> Place:
    """Return where an account's proxy URL belongs."""
    return Place("accounts", account_id, "proxy_url")


def selection() -> Select[Any]:
    """Return the query whose rows `stored` reads."""
    return select(accounts, credentials).join_from(accounts, credentials)


def stored(row: Row[Any], keyring: Keyring) -> StoredAccount:
    """Return the account of a row; one whose secrets do not open is disabled and says so."""
    proxy_url: Secret | None = None
    access_token = Secret("")
    try:
        access_token = keyring.open(
            row.access_token, token_place(row.id, "access_token", row.generation)
        )
        if row.proxy_url is not None:
            proxy_url = keyring.open(row.proxy_url, proxy_place(row.id))
        damaged = False
    except SealBroken:
        damaged = True
    credential = Credential(
        access_token=access_token,
        generation=row.generation,
        expires_at=row.expires_at,
        renewable=row.refresh_token is not None and not row.dead and not damaged,
        refused=_refusal(row),
    )
    return StoredAccount(
        account=_account(row, credential, proxy_url, damaged=damaged),
        created_at=row.created_at,
        renewed_at=row.renewed_at,
        chatgpt_user_id=row.chatgpt_user_id,
        refused_code=row.refused_code,
        dead=row.dead,
        damaged=damaged,
        version=row.version,
    )


def _refusal(row: Row[Any]) -> str | None:
    """Return why a key opens nothing any more, None if it may or if it is no key."""
    if not row.dead or row.kind == AccountKind.CODEX:
        return None
    return row.refused_code or "refused"


def _account(
    row: Row[Any], credential: Credential, proxy_url: Secret | None, *, damaged: bool
) -> Account:
    return Account(
        id=AccountId(row.id),
        name=row.name,
        kind=AccountKind(row.kind),
        credential=credential,
        base_url=row.base_url,
        chatgpt_account_id=row.chatgpt_account_id,
        email=row.email,
        plan=row.plan,
        fedramp=row.fedramp,
        proxy_url=proxy_url,
        enabled=row.enabled and not damaged,
        priority=row.priority,
        concurrency_max=row.concurrency_max,
        models=names(row.models),
        model_map=_map.decode(row.model_map),
        organization=row.organization,
        project=row.project,
        groups=names(row.groups),
        tags=names(row.tags),
        pause_at=row.pause_at,
    )
