"""What several nouns of the admin API have in common: forms of fields, and pages."""

from typing import Annotated, Final

from msgspec import Meta, UnsetType

from app.domain.account import Secret
from app.domain.enrolment import CONCURRENCY_MAX, PRIORITY_MAX
from app.environment import url
from app.errors import InvalidRequest

LIST_MAX: Final = 1_000

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Label = Annotated[str, Meta(min_length=1, max_length=64)]
Model = Annotated[str, Meta(min_length=1, max_length=128)]
Labels = Annotated[tuple[Label, ...], Meta(max_length=32)]
Models = Annotated[tuple[Model, ...], Meta(max_length=LIST_MAX)]
ModelMap = Annotated[dict[Model, Model], Meta(max_length=LIST_MAX)]
HeaderId = Annotated[str, Meta(min_length=1, max_length=128)]
Priority = Annotated[int, Meta(ge=-PRIORITY_MAX, le=PRIORITY_MAX)]
Concurrency = Annotated[int, Meta(ge=1, le=CONCURRENCY_MAX)]
Share = Annotated[float, Meta(gt=0, le=1)]
Version = Annotated[int, Meta(ge=0)]
Url = Annotated[str, Meta(min_length=1, max_length=2_048)]
PasswordText = Annotated[str, Meta(min_length=1, max_length=1_024)]
Token = Annotated[str, Meta(min_length=1, max_length=65_536)]

_proxy = url("http", "https", "socks5")


def proxy(text: str | UnsetType | None) -> Secret | UnsetType | None:
    """Return a proxy's address, which may hold a password.

    Raises:
        InvalidRequest: It is no http, https or socks5 URL.
    """
    if not isinstance(text, str):
        return text
    try:
        return Secret(_proxy(text))
    except ValueError:
        raise InvalidRequest(
            "Expected an http://, https:// or socks5:// URL.", param="proxy_url"
        ) from None


def shown_name(text: str | UnsetType) -> str | UnsetType:
    """Return a name that people see, trimmed.

    Raises:
        InvalidRequest: It is blank, or has characters that can't be shown.
    """
    if isinstance(text, UnsetType):
        return text
    name = text.strip()
    if not name or not name.isprintable():
        raise InvalidRequest("Expected 1 to 128 characters that can be shown.", param="name")
    return name
