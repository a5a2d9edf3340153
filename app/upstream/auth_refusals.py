"""What a refusal of the authorization server means: for good, or only for now. Pure.

The server names its reason at `error.code`, in `error` itself or at the top as `code`. Only
a reason that it stated in JSON kills a refresh token: a rate limit, a server's fault, a
proxy's page or a challenge never does. The text that travels on is cut and cleaned.
"""

from collections.abc import Mapping

import msgspec

from app.domain.account import Secret
from app.ports import RenewalRefused

_MESSAGE_CHARS_MAX = 200
_CODE_CHARS_MAX = 64

PERMANENT_CODES = frozenset(
    {
        "refresh_token_expired",
        "refresh_token_reused",
        "refresh_token_invalidated",
        "invalid_grant",
        "invalid_client",
        "unauthorized_client",
        "access_denied",
        "token_invalidated",
        "token_expired",
        "app_session_terminated",
        "account_session_expired",
        "account_deactivated",
        "account_suspended",
        "account_deleted",
    }
)
_PERMANENT_TEXT = "session has ended"


def refusal(
    status: int, body: bytes, *, secret: Secret, retry_after_s: float | None = None
) -> RenewalRefused:
    """Return the exception for a reply other than 2xx; `secret` is struck from its text.

    `retry_after_s` is what the reply's headers asked for; a refusal for good has no use for it.
    """
    answer = decoded(body)
    if answer is None:
        return RenewalRefused(
            f"http_{status}", "no JSON in the answer", permanent=False, retry_after_s=retry_after_s
        )
    code = _clean(_code(answer), _CODE_CHARS_MAX, secret)
    message = _clean(_message(answer), _MESSAGE_CHARS_MAX, secret)
    permanent = _permanent(status, code, message)
    return RenewalRefused(
        code or f"http_{status}",
        message or f"status {status}",
        permanent=permanent,
        retry_after_s=None if permanent else retry_after_s,
    )


def decoded(body: bytes) -> Mapping[str, object] | None:
    """Return the JSON object that `body` is, or None if it is none."""
    try:
        found = msgspec.json.decode(body)
    # msgspec answers JSON that nests too deeply with RecursionError.
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _permanent(status: int, code: str, message: str) -> bool:
    match status:
        case 401:
            return True
        case 429:
            return False
        case _ if 400 <= status < 500:
            return code in PERMANENT_CODES or _PERMANENT_TEXT in message.lower()
        case _:
            return False


def _code(answer: Mapping[str, object]) -> str:
    match answer:
        case {"error": {"code": str(code)}} | {"error": str(code)} | {"code": str(code)}:
            return code
        case _:
            return ""


def _message(answer: Mapping[str, object]) -> str:
    match answer:
        case {"error": {"message": str(message)}}:
            return message
        case {"error_description": str(message)} | {"message": str(message)}:
            return message
        case _:
            return ""


def _clean(text: str, chars_max: int, secret: Secret) -> str:
    hidden = text.replace(secret.reveal(), "***") if secret else text
    return "".join(mark if mark.isprintable() else " " for mark in hidden[:chars_max])
