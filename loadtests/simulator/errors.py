"""The error replies of the backend, word for word, by name.

`named(fault, ...)` is what the `fault` knob chooses from; the validation rules build theirs with
`detail` and `problem`. Nothing here decides when an error is due.
"""

import base64
from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from loadtests.simulator.config import Knobs

JSON = "application/json"
HTML = "text/html; charset=UTF-8"
SSE = "text/event-stream; charset=utf-8"
CHALLENGE = (
    b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>"
    b'<div id="challenge-error-text">Enable JavaScript and cookies to continue</div>'
    b"<script>window._cf_chl_opt={cvId:'3'};</script></body></html>"
)
CAPACITY = "Selected model is at capacity. Please try a different model."
OVERLOADED = "Our servers are currently overloaded. Please try again later."
LIMIT_REACHED = "The usage limit has been reached"


class Refusal(msgspec.Struct, frozen=True):
    """A complete error reply."""

    status: int
    body: bytes
    headers: list[tuple[str, str]] = []
    content_type: str = JSON


class Facts(msgspec.Struct, frozen=True):
    """What error texts mention."""

    model: str
    plan: str
    now: float
    resets_at: float


def detail(status: int, text: str | dict[str, Any]) -> Refusal:
    """The backend's own error form: `{"detail": ...}`."""
    return Refusal(status, orjson.dumps({"detail": text}))


def problem(
    status: int,
    message: str,
    *,
    code: str | None = None,
    kind: str | None = "invalid_request_error",
    param: str | None = None,
) -> Refusal:
    """The API's error form: `{"error": {...}}`."""
    fields = {"message": message, "type": kind, "code": code, "param": param}
    return Refusal(status, orjson.dumps({"error": fields}))


def unauthorized(code: str, message: str) -> Refusal:
    """A 401 in the backend's form, with its two diagnostic headers."""
    body = {
        "error": {"message": message, "type": None, "code": code, "param": None},
        "status": 401,
    }
    hint = base64.b64encode(orjson.dumps({"error": {"code": code}})).decode()
    headers = [("x-openai-authorization-error", code), ("x-error-json", hint)]
    return Refusal(401, orjson.dumps(body), headers)


def usage_limit(facts: Facts, *, at: bool = True, after: bool = True) -> Refusal:
    """The account-wide 429, with or without its two reset fields."""
    fields: dict[str, Any] = {
        "type": "usage_limit_reached",
        "message": LIMIT_REACHED,
        "plan_type": facts.plan,
    }
    if at:
        fields["resets_at"] = int(facts.resets_at)
    if after:
        fields["resets_in_seconds"] = max(0, int(facts.resets_at - facts.now))
    return Refusal(429, orjson.dumps({"error": fields}))


def rate_limit_text(model: str, delay: str = "1.2s") -> str:
    """The sentence of a burst limit, with the delay that clients parse."""
    return (
        f"Rate limit reached for {model} on tokens per min (TPM): Limit 30000, Used 22999, "
        f"Requested 12528. Please try again in {delay}. "
        "Visit https://platform.openai.com/account/rate-limits to learn more."
    )


def named(fault: str, facts: Facts, knobs: Knobs) -> Refusal:
    """The reply of a named fault, with the `body`, `retry_after` and `content_type` knobs applied.

    Raises:
        KeyError: there is no fault of that name; the argument lists the known ones.
    """
    maker = FAULTS.get(fault)
    if maker is None:
        raise KeyError(f"unknown fault {fault!r}; known: {', '.join(sorted(FAULTS))}")
    return adjusted(maker(facts), knobs)


def adjusted(refusal: Refusal, knobs: Knobs) -> Refusal:
    """The reply with what the knobs say about its body and headers."""
    body = refusal.body
    if knobs.body is not None:
        body = knobs.body.encode() if isinstance(knobs.body, str) else orjson.dumps(knobs.body)
    headers = list(refusal.headers)
    if knobs.retry_after is not None:
        headers = [(name, value) for name, value in headers if name != "retry-after"]
        headers.append(("retry-after", knobs.retry_after))
    if refusal.status in {301, 302, 303, 307, 308}:
        headers.append(("location", knobs.location))
    content_type = knobs.content_type or refusal.content_type
    return Refusal(knobs.status or refusal.status, body, headers, content_type)


def _burst(facts: Facts) -> Refusal:
    limited = problem(
        429, rate_limit_text(facts.model), code="rate_limit_exceeded", kind="rate_limit_error"
    )
    return Refusal(429, limited.body, [("retry-after", "2")])


def _challenge(_: Facts) -> Refusal:
    return Refusal(403, CHALLENGE, [("cf-mitigated", "challenge"), ("server", "cloudflare")], HTML)


def _gateway_page(status: int) -> Callable[[Facts], Refusal]:
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1>cloudflare</body>"
    return lambda _: Refusal(status, page.encode(), [("server", "cloudflare")], HTML)


def _overload(status: int, code: str) -> Callable[[Facts], Refusal]:
    return lambda _: problem(status, OVERLOADED, code=code, kind="service_unavailable_error")


def _dead(code: str, message: str) -> Callable[[Facts], Refusal]:
    return lambda _: unauthorized(code, message)


def _denied(status: int, code: str, message: str) -> Callable[[Facts], Refusal]:
    return lambda _: problem(status, message, code=code)


def server_error(_: Facts) -> Refusal:
    """The plain 500."""
    text = "The server had an error processing your request. Sorry about that!"
    return problem(500, text, kind="server_error")


def model_unsupported(model: str) -> Refusal:
    """The 400 for a model that the plan does not have."""
    return detail(
        400, f"The '{model}' model is not supported when using Codex with a ChatGPT account."
    )


def invalid_encrypted_content() -> Refusal:
    """The 400 for reasoning content of another account, or damaged."""
    return problem(
        400,
        "The encrypted content could not be verified. Reason: Encrypted content could not be "
        "decrypted or parsed.",
        code="invalid_encrypted_content",
    )


def _context_length(_: Facts) -> Refusal:
    text = (
        "Your input exceeds the context window of this model. "
        "Please adjust your input and try again."
    )
    return problem(400, text, code="context_length_exceeded", param="input")


FAULTS: dict[str, Callable[[Facts], Refusal]] = {
    "429_usage_limit": usage_limit,
    "429_usage_limit_at_only": lambda facts: usage_limit(facts, after=False),
    "429_usage_limit_after_only": lambda facts: usage_limit(facts, at=False),
    "429_usage_limit_bare": lambda facts: usage_limit(facts, at=False, after=False),
    "429_usage_not_included": lambda facts: Refusal(
        429,
        orjson.dumps(
            {
                "error": {
                    "type": "usage_not_included",
                    "message": "To use Codex with your ChatGPT plan, upgrade to Plus.",
                    "plan_type": facts.plan,
                }
            }
        ),
    ),
    "429_rate_limit": _burst,
    "429_rate_limit_text": lambda facts: problem(
        429, rate_limit_text(facts.model), code="rate_limit_exceeded", kind="rate_limit_error"
    ),
    "429_rate_limit_bare": lambda _: problem(
        429, "Too many requests", code="rate_limit_exceeded", kind="rate_limit_error"
    ),
    "429_insufficient_quota": lambda _: problem(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        code="insufficient_quota",
        kind="insufficient_quota",
    ),
    "capacity_400": lambda _: detail(400, CAPACITY),
    "capacity_429": lambda _: detail(429, CAPACITY),
    "capacity_503": lambda _: problem(503, CAPACITY, kind="server_error"),
    "401_expired": _dead(
        "token_expired", "Provided authentication token is expired. Please try signing in again."
    ),
    "401_invalidated": _dead(
        "token_invalidated", "Your authentication token has been invalidated."
    ),
    "401_revoked": _dead("token_revoked", "Encountered invalidated oauth token for user."),
    "401_deactivated": _dead("account_deactivated", "Your OpenAI account has been deactivated."),
    "401_session_terminated": _dead(
        "app_session_terminated", "Your session has been terminated. Please sign in again."
    ),
    "401_missing_scope": _dead(
        "missing_scope",
        "You have insufficient permissions for this operation. Missing scopes: "
        "api.responses.write.",
    ),
    "401_unauthorized": lambda _: detail(401, "Unauthorized"),
    "401_invalid_api_key": lambda _: problem(
        401, "Incorrect API key provided.", code="invalid_api_key"
    ),
    "402_deactivated": lambda _: detail(402, {"code": "deactivated_workspace"}),
    "402_payment": lambda _: detail(402, "Payment required"),
    "403_restricted": _denied(403, "codex_access_restricted", "Access to Codex is restricted."),
    "403_cloudflare": _challenge,
    "403_region": _denied(
        403,
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    "403_agent_runtime": _denied(
        403, "biscuit_baker_service_agent_error_status", "The agent runtime has been deleted."
    ),
    "404": lambda _: detail(404, "Not Found"),
    "404_model": lambda facts: problem(
        404,
        f"The model `{facts.model}` does not exist or you do not have access to it.",
        code="model_not_found",
    ),
    "405": lambda _: detail(405, "Method Not Allowed"),
    "413": lambda _: detail(413, "Request Entity Too Large"),
    "426": lambda _: problem(
        426, "This version of Codex is no longer supported. Please upgrade.", code="upgrade"
    ),
    "500": server_error,
    "502_html": _gateway_page(502),
    "503_overloaded": _overload(503, "server_is_overloaded"),
    "503_slow_down": _overload(503, "slow_down"),
    "503_html": lambda _: Refusal(503, CHALLENGE, [("server", "cloudflare")], HTML),
    "504_html": _gateway_page(504),
    "504": lambda _: problem(504, "Gateway timeout", kind="server_error"),
    **{f"{status}_html": _gateway_page(status) for status in range(520, 525)},
    "529": _overload(529, "overloaded_error"),
    "empty_200": lambda _: Refusal(200, b"", content_type=SSE),
    "html_200": lambda _: Refusal(200, CHALLENGE, content_type=HTML),
    "html_sse_200": lambda _: Refusal(200, CHALLENGE, content_type=SSE),
    "json_error_200": lambda facts: Refusal(200, server_error(facts).body),
    "307_redirect": lambda _: Refusal(307, b""),
    "302_redirect": lambda _: Refusal(302, b""),
    "invalid_encrypted_content": lambda _: invalid_encrypted_content(),
    "model_unsupported": lambda facts: model_unsupported(facts.model),
    "context_length": _context_length,
}
