"""What is sent and answered about accounts; a secret is only ever sent."""

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from app.admin.desk import Action
from app.admin.roster import AccountQuery, AccountRow
from app.domain.account import AccountKind
from app.domain.enrolment import AccountChanges, AccountEvent
from app.domain.ledger import AttemptRow
from app.edge.admin.bodies import (
    Concurrency,
    HeaderId,
    Labels,
    ModelMap,
    Models,
    Name,
    PasswordText,
    Priority,
    Share,
    Token,
    Url,
    Version,
    proxy,
    shown_name,
)

BULK_MAX: Final = 50_000

Ids = Annotated[tuple[str, ...], Meta(max_length=BULK_MAX)]


class AccountPage(Struct, frozen=True):
    """Some accounts; `statuses` counts all that there are, whatever was asked for."""

    items: list[AccountRow]
    total: int
    offset: int
    limit: int
    statuses: dict[str, int]
    tokens_today: dict[str, int]
    """By account, since the moment that was given; from the books, over all workers."""


class AccountDetail(Struct, frozen=True):
    """One account, with what has happened to it."""

    account: AccountRow
    events: list[AccountEvent]
    attempts: list[AttemptRow]
    """Its latest attempts, the latest first."""


class AccountEdit(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What to change of an account; what is left out stays as it is."""

    version: Version | None = None
    """That of the account which the change was decided on: another one is refused with 409."""
    name: Name | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    concurrency_max: Concurrency | UnsetType = UNSET
    models: Models | UnsetType = UNSET
    model_map: ModelMap | UnsetType = UNSET
    """Models that it serves under another name: the pool's name to its own."""
    organization: HeaderId | UnsetType | None = UNSET
    project: HeaderId | UnsetType | None = UNSET
    groups: Labels | UnsetType = UNSET
    tags: Labels | UnsetType = UNSET
    pause_at: Share | UnsetType | None = UNSET
    proxy_url: Url | UnsetType | None = UNSET

    def changes(self) -> AccountChanges:
        """Return them as the store takes them."""
        fields = {name: value for name, value in structs.asdict(self).items() if name != "version"}
        fields |= {"proxy_url": proxy(self.proxy_url), "name": shown_name(self.name)}
        return AccountChanges(**fields)

    def told(self) -> dict[str, Any]:
        """Return what is written down of them: no address of a proxy."""
        fields = {n: v for n, v in structs.asdict(self).items() if v is not UNSET}
        return fields | ({"proxy_url": "***"} if fields.get("proxy_url") else {})


class NewByRefreshToken(Struct, forbid_unknown_fields=True):
    """Accounts by refresh tokens, one a line; one alone is exchanged at once."""

    refresh_token: Token
    name: str = ""
    proxy_url: Url | None = None


class NewByAccessToken(Struct, forbid_unknown_fields=True):
    """An account by an access token, which serves until it ends."""

    access_token: Token
    refresh_token: Token | None = None
    name: str = ""
    proxy_url: Url | None = None


class NewByApiKey(Struct, forbid_unknown_fields=True):
    """An account of OpenAI's platform, or of a server like it."""

    name: str = ""
    """By default its upstream's host."""
    api_key: Token | None = None
    base_url: Url | None = None
    """Up to and with `/v1`; the platform's own by default."""
    models: Models = ()
    """Empty to ask the upstream which it has."""
    model_map: ModelMap = {}
    organization: HeaderId | None = None
    project: HeaderId | None = None
    kind: AccountKind = AccountKind.OPENAI
    """`openai` for what speaks Responses, `compatible` for what speaks Chat Completions only."""
    proxy_url: Url | None = None


class Added(Struct, frozen=True):
    """An account that was added, or that was there already."""

    id: str
    name: str
    created: bool
    credential_kept: bool
    """It was there, and its own credential is fresher."""


class Export(Struct, forbid_unknown_fields=True):
    """Accounts that are to leave, and the password once more."""

    password: PasswordText
    passphrase: PasswordText
    """What the file opens with; twelve characters at least."""
    ids: Ids = ()
    """Empty for all accounts."""


class Bulk(Struct, forbid_unknown_fields=True):
    """The same for many accounts: those named, or all that `filter` finds."""

    action: Action
    ids: Ids = ()
    filter: AccountQuery | None = None
    changes: AccountEdit | None = None
    """For the action `change`."""
