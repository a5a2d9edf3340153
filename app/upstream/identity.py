"""How we introduce ourselves to the Codex backend: every header of an attempt, in one place.

The rule is truth. A caller that is a Codex client keeps its own name and version, because it
really is the one that asks; for any other caller the gateway gives its own. No client is ever
imitated, and what belongs to the caller's own login (authorization, cookie, account id,
attestation) never travels: the account's own takes its place.

The path of a call is hot, so what is constant for an account is built once and kept until the
account changes. Accounts with an API key speak another protocol and are not served here.
"""

from collections.abc import Sequence

from app.domain.account import Account, AccountId
from app.wire.codex_client import is_codex_client

Headers = Sequence[tuple[str, str]]

LITE = "x-openai-internal-codex-responses-lite"

ACCOUNTS_KEPT_MAX = 65_536

_NAMES = frozenset({"user-agent", "originator", "version"})
_PASSED_PREFIX = "x-codex-"
_PASSED = frozenset(
    {
        "session-id",
        "session_id",
        "conversation_id",
        "thread-id",
        "x-client-request-id",
        "x-openai-subagent",
        "x-openai-memgen-request",
        "x-openai-internal-codex-residency",
    }
)


class Identity:
    """Builds the headers of attempts. Mutable only in what it remembers of accounts."""

    def __init__(self, *, user_agent: str, originator: str, version: str | None = None) -> None:
        """Take the gateway's own names; without `version` it states none of its own."""
        self._user_agent = ("user-agent", user_agent)
        self._originator = ("originator", originator)
        self._own = [self._user_agent, self._originator]
        if version is not None:
            self._own.append(("version", version))
        self._kept: dict[AccountId, tuple[Account, Headers]] = {}

    def headers(self, account: Account, client: Headers, *, lite: bool) -> list[tuple[str, str]]:
        """Return a new list with all headers of one attempt.

        `client` are the caller's own headers, names in lower case; what may not travel is
        left out here once more. `lite` alone decides on the Lite marker, since it belongs to
        the model that is asked for upstream, not to the one that the caller named.
        """
        kept = self._kept.get(account.id)
        headers = list(kept[1] if kept is not None and kept[0] is account else self._keep(account))
        names: dict[str, tuple[str, str]] = {}
        for pair in client:
            name = pair[0]
            if name in _NAMES:
                names.setdefault(name, pair)
            elif name in _PASSED or name.startswith(_PASSED_PREFIX):
                headers.append(pair)
        headers.extend(self._named(names) if is_codex_client(names.values()) else self._own)
        if lite:
            headers.append((LITE, "true"))
        return headers

    def _named(self, names: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
        """Return a Codex client's own names; ours stand in only where it gave none."""
        found = [
            names.get("user-agent", self._user_agent),
            names.get("originator", self._originator),
        ]
        if "version" in names:
            found.append(names["version"])
        return found

    def _keep(self, account: Account) -> Headers:
        if len(self._kept) >= ACCOUNTS_KEPT_MAX:
            self._kept.clear()
        headers = _constant(account)
        self._kept[account.id] = (account, headers)
        return headers


def _constant(account: Account) -> Headers:
    headers = [("authorization", f"Bearer {account.credential.access_token.reveal()}")]
    if account.chatgpt_account_id:
        headers.append(("chatgpt-account-id", account.chatgpt_account_id))
    if account.fedramp:
        headers.append(("x-openai-fedramp", "true"))
    headers += [("accept", "text/event-stream"), ("content-type", "application/json")]
    return headers
