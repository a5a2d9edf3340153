"""An account with an API key, as its operator describes it: judged field by field.

The command line and the admin API call this; what comes out is for the store. Whether the key is
good is for the upstream to say, see `app.ports.ModelSource`.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from app.accounts.claims import TOKEN_CHARS_MAX
from app.accounts.new_account import NAME_CHARS_MAX
from app.domain import egress
from app.domain.account import AccountKind, Secret
from app.domain.enrolment import Enrolment, header_id, model_map, models
from app.errors import InvalidRequest

KINDS = (AccountKind.OPENAI, AccountKind.COMPATIBLE)


def api_account(  # noqa: PLR0913 - keyword-only, one argument a field
    *,
    kind: AccountKind,
    name: str = "",
    api_key: Secret | None = None,
    base_url: str | None = None,
    served: Sequence[str] = (),
    named: Mapping[str, str] | None = None,
    organization: str | None = None,
    project: str | None = None,
) -> Enrolment:
    """Return the account; what else it is (priority, groups ...) is left at its default.

    Args:
        kind: One of `KINDS`.
        name: What people call it; by default its upstream's host.
        api_key: Its key; a compatible server may do without.
        base_url: Its address, up to and with `/v1`; the platform's own by default.
        served: The models that it may serve; empty to ask the upstream which it has.
        named: Models that it has under another name: the pool's to its own.
        organization: The platform's organization, where the key is for several.
        project: The same for its project.

    Raises:
        InvalidRequest: A field can't be taken; `param` names it.
    """
    if kind not in KINDS:
        raise InvalidRequest("kind: expected openai or compatible.", param="kind")
    address = egress.base_url(base_url) if base_url and base_url.strip() else None
    if kind is AccountKind.COMPATIBLE and address is None:
        raise InvalidRequest("base_url: a compatible server has to have one.", param="base_url")
    if kind is AccountKind.OPENAI and not api_key:
        raise InvalidRequest("api_key: the platform asks for one.", param="api_key")
    called = name.strip() or urlsplit(address or "").hostname or "OpenAI platform"
    if len(called) > NAME_CHARS_MAX or not called.isprintable():
        raise InvalidRequest(
            f"name: expected up to {NAME_CHARS_MAX} characters that can be shown.", param="name"
        )
    return Enrolment(
        name=called,
        kind=kind,
        access_token=_key(api_key),
        base_url=address,
        models=models(served, param="models"),
        model_map=model_map(named or {}, param="model_map"),
        organization=header_id(organization, param="organization"),
        project=header_id(project, param="project"),
    )


def _key(api_key: Secret | None) -> Secret | None:
    key = api_key.reveal().strip() if api_key else ""
    if not key:
        return None
    if len(key) > TOKEN_CHARS_MAX or not (key.isascii() and key.isprintable()) or " " in key:
        raise InvalidRequest("api_key: it has characters that no key has.", param="api_key")
    return Secret(key)
