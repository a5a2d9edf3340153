"""What it takes to add an account or change one: values on their way into the store."""

from msgspec import UNSET, Struct, UnsetType

from app.domain.account import Account, AccountKind, Secret


class Enrolment(Struct, frozen=True, kw_only=True):
    """An account as an import or an operator brings it; at least one of the two tokens is there.

    For `AccountKind.OPENAI` the access token is the API key. The ChatGPT ids are None where the
    tokens do not tell; `expires_at` (epoch seconds) likewise.
    """

    name: str
    kind: AccountKind = AccountKind.CODEX
    access_token: Secret | None = None
    refresh_token: Secret | None = None
    id_token: Secret | None = None
    expires_at: float | None = None
    base_url: str | None = None
    chatgpt_account_id: str | None = None
    chatgpt_user_id: str | None = None
    email: str | None = None
    plan: str | None = None
    fedramp: bool = False
    proxy_url: Secret | None = None
    enabled: bool = True
    priority: int = 0
    concurrency_max: int = 32
    models: tuple[str, ...] = ()


class Added(Struct, frozen=True):
    """What became of a `Enrolment`: a new account, or one that was there already.

    `credential_kept` says that the account that was there had the fresher credential.
    """

    account: Account
    created: bool
    credential_kept: bool = False


class AccountChanges(Struct, frozen=True, kw_only=True):
    """What to change of an account; `UNSET` leaves a field as it is."""

    name: str | UnsetType = UNSET
    base_url: str | UnsetType | None = UNSET
    proxy_url: Secret | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    concurrency_max: int | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    plan: str | UnsetType | None = UNSET


class Identity(Struct, frozen=True):
    """Who an account turned out to be once its tokens could be read."""

    chatgpt_user_id: str
    chatgpt_account_id: str
    email: str | None = None
    plan: str | None = None
    fedramp: bool = False


class StoredAccount(Struct, frozen=True):
    """An account with what an operator wants to know of its row besides.

    `damaged` accounts have a secret that does not open; they are listed, but not enabled.
    """

    account: Account
    created_at: float
    renewed_at: float
    chatgpt_user_id: str | None = None
    refused_code: str | None = None
    dead: bool = False
    damaged: bool = False


class AccountEvent(Struct, frozen=True):
    """Something that happened to an account's row, for people."""

    at: float
    kind: str
    detail: str
