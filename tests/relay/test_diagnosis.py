"""One case for each error that the upstream is documented or was seen to send."""

from base64 import b64encode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.responses.events import failure_of
from app.domain.outcome import (
    Broken,
    Misread,
    Outcome,
    Overloaded,
    RateLimited,
    Refused,
    Unauthorized,
    Unreachable,
    Unsuited,
)
from app.domain.quota import RESET_SLACK_S
from app.relay.diagnosis import UNPAID_REST_S, Fault, diagnose, read
from app.wire.quota import quota

NOW = 1_000_000.0
HTML = [("content-type", "text/html; charset=UTF-8")]
RENEW = Unauthorized(dead=False, reason="unauthorized")


def nested(**error) -> bytes:
    """Return the usual body."""
    return msgspec.json.encode({"error": error})


def burst(after_s: float | None = None) -> RateLimited:
    """Return a limit of the model for a short while."""
    return RateLimited(None if after_s is None else NOW + after_s, model="m", burst=True)


def dead(reason: str) -> Unauthorized:
    """Return a refusal for good."""
    return Unauthorized(dead=True, reason=reason)


TPM = (
    "Rate limit reached for m on tokens per min (TPM): Limit 30000, Used 22999, Requested 12528."
    " Please try again in {}. Visit https://platform.openai.com/account/rate-limits to learn more."
)
UNSUITED = "The 'm' model is not supported when using Codex with a ChatGPT account."
CAPACITY = "Selected model is at capacity. Please try a different model."
WINDOWS = [
    ("x-codex-primary-used-percent", "100"),
    ("x-codex-primary-window-minutes", "300"),
    ("x-codex-primary-reset-after-seconds", "70"),
    ("x-codex-secondary-used-percent", "30"),
    ("x-codex-secondary-window-minutes", "10080"),
    ("x-codex-secondary-reset-after-seconds", "9000"),
]
FAMILY = [
    ("x-codex-active-limit", "codex_bengalfox"),
    ("x-codex-primary-used-percent", "20"),
    ("x-codex-primary-window-minutes", "300"),
    ("x-codex-primary-reset-after-seconds", "70"),
    ("x-codex-bengalfox-primary-used-percent", "100"),
    ("x-codex-bengalfox-primary-window-minutes", "10080"),
    ("x-codex-bengalfox-primary-reset-after-seconds", "500"),
]
NO_CREDITS = [("x-codex-rate-limit-reached-type", "workspace_member_credits_depleted")]
NGINX = b"<html><head><title>503 Service Temporarily Unavailable</title></head></html>"
JUST_A_MOMENT = b"<!DOCTYPE html><title>Just a moment...</title>"
ERROR_HEADER = ("x-error-json", b64encode(nested(code="token_expired")).decode())

REPLIES: dict[str, tuple[int, list, bytes, Outcome]] = {
    "plan_limit_with_reset": (
        429, [], nested(type="usage_limit_reached", resets_at=1_775_317_531, resets_in_seconds=5),
        RateLimited(1_775_317_531.0 + RESET_SLACK_S),
    ),
    "plan_limit_with_delay": (
        429, [], nested(type="usage_limit_reached", resets_in_seconds=60), RateLimited(NOW + 60),
    ),
    "plan_limit_with_windows": (
        429, WINDOWS, nested(type="usage_limit_reached"), RateLimited(NOW + 70),
    ),
    "plan_limit_with_two_full_windows": (
        429, [*WINDOWS[:3], ("x-codex-secondary-used-percent", "101"), *WINDOWS[4:]],
        nested(type="usage_limit_reached"), RateLimited(NOW + 9_000),
    ),
    "plan_limit_of_a_model_that_is_metered_apart": (
        429, FAMILY, nested(type="usage_limit_reached"), RateLimited(NOW + 500, model="m"),
    ),
    "plan_limit_of_another_family_whose_windows_nobody_told": (
        429, FAMILY[:1], nested(type="usage_limit_reached", resets_in_seconds=60),
        RateLimited(NOW + 60, model="m"),
    ),
    "plan_limit_under_a_strange_name_with_the_main_window_full": (
        429, [("x-codex-active-limit", "premium"), *WINDOWS], nested(type="usage_limit_reached"),
        RateLimited(NOW + 70),
    ),
    "limit_of_the_workspace": (
        429, [], nested(code="workspace_owner_usage_limit_reached", resets_in_seconds=9),
        RateLimited(NOW + 9),
    ),
    "plan_limit_with_an_empty_purse": (
        429, NO_CREDITS, nested(type="usage_limit_reached"), RateLimited(NOW + UNPAID_REST_S),
    ),
    "empty_purse_in_a_header_alone": (429, NO_CREDITS, b"", RateLimited(NOW + UNPAID_REST_S)),
    "empty_purse_in_a_header_with_a_full_window": (
        429, [*NO_CREDITS, *WINDOWS], b"", RateLimited(NOW + 70),
    ),
    "full_windows_in_headers_alone": (429, WINDOWS, b"", RateLimited(NOW + 70)),
    "full_window_without_a_reset": (
        429, [("x-codex-primary-used-percent", "100")], b"", RateLimited(None),
    ),
    "limit_reached_in_a_header_alone": (
        429, [("x-codex-rate-limit-reached-type", "rate_limit_reached")], b"", RateLimited(None),
    ),
    "windows_with_room_in_headers_alone": (429, WINDOWS[3:], b"", burst()),
    "plan_limit_unnamed": (429, [], nested(type="usage_limit_reached"), RateLimited(None)),
    "plan_limit_with_absurd_reset": (
        429, [], nested(type="usage_limit_reached", resets_at=-1, resets_in_seconds="nan"),
        RateLimited(None),
    ),
    "plan_without_codex": (
        429, [], nested(type="usage_not_included", plan_type="free"), dead("usage_not_included"),
    ),
    "burst_with_delay_in_words": (
        429, [], nested(code="rate_limit_exceeded", message=TPM.format("1.2s")), burst(1.2),
    ),
    "burst_with_retry_after": (
        429, [("retry-after", "7")],
        nested(type="rate_limit_error", message=TPM.format("1.2s")), burst(7),
    ),
    "burst_while_a_window_is_full": (
        429, WINDOWS, nested(code="rate_limit_exceeded", message=TPM.format("28ms")), burst(0.028),
    ),
    "burst_of_a_relays_requests": (
        429, [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1m6s")],
        nested(type="rate_limit_error"), burst(66),
    ),
    "burst_unnamed": (429, [], nested(type="rate_limit_error"), burst()),
    "too_many_requests_without_a_word": (429, [], b"", burst()),
    "capacity_as_detail": (429, [], msgspec.json.encode({"detail": CAPACITY}), burst()),
    "capacity_as_400": (400, [], nested(message=CAPACITY), burst()),
    "capacity_as_503": (503, [], nested(message=CAPACITY, code="slow_down"), burst()),
    "token_expired": (
        401, [], nested(code="token_expired", message="Provided authentication token is expired."),
        Unauthorized(dead=False, reason="token_expired"),
    ),
    "token_expired_in_a_header": (
        401, [ERROR_HEADER], b"", Unauthorized(dead=False, reason="token_expired"),
    ),
    "nonsense_in_that_header": (401, [("x-error-json", "?")], b"", RENEW),
    "token_revoked_in_another_header": (
        401, [("x-openai-authorization-error", "token_revoked")], b"",
        Unauthorized(dead=False, reason="token_revoked"),
    ),
    "a_sentence_in_that_header": (
        401, [("x-openai-authorization-error", "No such token.")], b"", RENEW,
    ),
    "token_invalidated": (
        401, [], nested(code="token_invalidated"),
        Unauthorized(dead=False, reason="token_invalidated"),
    ),
    "page_with_401": (401, HTML, b"", Unreachable("challenge page (401)")),
    "no_words_in_that_header": (401, [("x-error-json", "e30=")], b"", RENEW),
    "unauthorized_as_detail": (401, [("date", "x")], b'{"detail":"Unauthorized"}', RENEW),
    "token_revoked": (
        401, [], nested(code="token_revoked"), Unauthorized(dead=False, reason="token_revoked"),
    ),
    "session_terminated": (
        401, [], nested(code="app_session_terminated"),
        Unauthorized(dead=False, reason="app_session_terminated"),
    ),
    "account_deactivated": (
        401, [], nested(code="account_deactivated"), dead("account_deactivated"),
    ),
    "missing_scope_as_code": (
        401, [], nested(code="missing_scope"), Broken("missing_scope", sent=True),
    ),
    "missing_scope_in_words": (
        401, [], nested(message="Missing scopes: api.responses.write"),
        Broken("Missing scopes: api.responses.write", sent=True),
    ),
    "workspace_deactivated": (
        402, [], b'{"detail":{"code":"deactivated_workspace"}}', dead("deactivated_workspace"),
    ),
    "payment_required": (402, [], b'{"detail":{"message":"pay"}}', RateLimited(NOW + 1_800)),
    "payment_required_without_a_word": (402, [], b"", RateLimited(NOW + UNPAID_REST_S)),
    "billing_not_active": (
        429, [], nested(code="billing_not_active"), RateLimited(NOW + UNPAID_REST_S),
    ),
    "insufficient_quota": (
        429, [], nested(code="insufficient_quota"), RateLimited(NOW + UNPAID_REST_S),
    ),
    "access_restricted": (
        403, [], nested(code="codex_access_restricted"), RateLimited(NOW + UNPAID_REST_S),
    ),
    "forbidden_as_detail": (
        403, [], b'{"detail":"Forbidden"}', RateLimited(NOW + UNPAID_REST_S),
    ),
    "agent_deleted": (
        403, [], nested(
            code="biscuit_baker_service_agent_error_status",
            message="The agent runtime has been deleted.",
        ),
        dead("biscuit_baker_service_agent_error_status"),
    ),
    "agent_deleted_without_a_code": (
        403, [], nested(message="agent runtime has been deleted"), dead("deleted"),
    ),
    "challenge_page": (
        403, HTML, b"<!DOCTYPE html><title>Just a moment...</title>",
        Unreachable("challenge page (403)"),
    ),
    "challenge_page_without_a_type": (
        503, [], b"\n " + JUST_A_MOMENT, Unreachable("challenge page (503)"),
    ),
    "challenge_by_its_header": (
        403, [("cf-mitigated", "challenge")], b"", Unreachable("challenge page (403)"),
    ),
    "page_of_a_front_door_that_is_overloaded": (
        503, HTML, NGINX, Overloaded("upstream answered 503"),
    ),
    "page_with_400": (400, HTML, b"", Unreachable("challenge page (400)")),
    "page_with_404": (404, HTML, b"", Unreachable("challenge page (404)")),
    "proxy_wants_a_password": (407, [], b"", Unreachable("the proxy asks for a password")),
    "challenge_page_with_429": (429, HTML, b"", Unreachable("challenge page (429)")),
    "unsupported_region": (
        403, [], nested(code="unsupported_country_region_territory"),
        Unreachable("unsupported_country_region_territory"),
    ),
    "gone": (404, [], b"", Broken("upstream answered 404", sent=True)),
    "item_gone": (
        404, [], nested(message="Item 'rs_1' not found.", param="input", type="x"),
        Refused(404, code=None, type="x", message="Item 'rs_1' not found.", param="input"),
    ),
    "request_timeout": (408, [], b"", Broken("upstream answered 408", sent=True)),
    "model_gone": (
        404, [], nested(code="model_not_found", message="no m"), Unsuited("m", "no m"),
    ),
    "model_gone_without_words": (
        400, [], nested(code="model_not_found"), Unsuited("m", "The model is not available."),
    ),
    "model_not_supported": (
        400, [], msgspec.json.encode({"detail": UNSUITED}), Unsuited("m", UNSUITED),
    ),
    "wrong_method": (405, [], b"", Broken("upstream answered 405", sent=True)),
    "client_too_old": (426, [], b"", Broken("upstream answered 426", sent=True)),
    "redirect": (302, [], b"", Broken("upstream answered 302", sent=True)),
    "no_content": (204, [], b"", Broken("upstream answered 204", sent=True)),
    "too_large": (
        413, [], b"", Refused(
            413, code=None, type="invalid_request_error",
            message="The upstream refused the request (413).",
        ),
    ),
    "too_large_as_a_page": (
        413, HTML, b"<html>", Refused(
            413, code=None, type="invalid_request_error",
            message="The upstream refused the request (413).",
        ),
    ),
    "lite_form_for_a_model_without_it": (
        400, [], nested(code="unsupported_value", param="model", message="not lite"),
        Refused(
            400, code="unsupported_value", type="invalid_request_error",
            message="not lite", param="model",
        ),
    ),
    "response_that_nobody_keeps": (
        404, [], nested(code="previous_response_not_found", message="gone"),
        Refused(
            404, code="previous_response_not_found", type="invalid_request_error", message="gone",
        ),
    ),
    "encrypted_content": (
        400, [], nested(code="invalid_encrypted_content"),
        Misread(400, nested(code="invalid_encrypted_content")),
    ),
    "context_too_long": (
        400, [], nested(code="context_length_exceeded", message="long", param="input"),
        Refused(
            400, code="context_length_exceeded", type="invalid_request_error",
            message="long", param="input",
        ),
    ),
    "wrong_field": (
        400, [], nested(type="invalid_request_error", message="bad", param="tools[0]", code=None),
        Refused(
            400, code=None, type="invalid_request_error", message="bad", param="tools[0]",
        ),
    ),
    "wrong_field_as_detail": (
        422, [], b'{"detail":"Stream must be set to true"}',
        Refused(
            422, code=None, type="invalid_request_error", message="Stream must be set to true",
        ),
    ),
    "error_as_a_word": (
        400, [], b'{"error":"slow_down"}', Overloaded("slow_down"),
    ),
    "no_json": (
        400, [], b"Bad \xff request", Refused(
            400, code=None, type="invalid_request_error", message="Bad \ufffd request",
        ),
    ),
    "detail_of_another_shape": (
        400, [], b'{"detail":[{"loc":["a"]}]}', Refused(
            400, code=None, type="invalid_request_error",
            message="The upstream refused the request (400).",
        ),
    ),
    "overloaded": (
        503, [], nested(code="server_is_overloaded", message="Busy."), Overloaded("Busy."),
    ),
    "slow_down": (503, [], nested(code="slow_down"), Overloaded("slow_down")),
    "unavailable": (503, [], b"", Overloaded("upstream answered 503")),
    "overloaded_relay": (529, [], b"", Overloaded("upstream answered 529")),
    "server_error": (
        500, [], nested(type="server_error", message="The server had an error"),
        Broken("The server had an error", sent=True),
    ),
    "server_error_without_a_word": (500, [], b"", Broken("upstream answered 500", sent=True)),
    "overloaded_with_500": (
        500, [], nested(type="service_unavailable_error", message="Busy."), Overloaded("Busy."),
    ),
    **{
        f"page_with_{status}": (
            status, HTML, b"<html>", Broken(f"upstream answered {status}", sent=True),
        )
        for status in (502, 504, 520, 521, 522, 523, 524)
    },
}  # fmt: skip


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_shows(name):
    """What the table says."""
    status, headers, body, outcome = REPLIES[name]
    fault = read(status, headers, body, limits=quota(headers, now=NOW))
    assert diagnose(fault, model="m", now=NOW) == outcome


EVENTS: dict[str, tuple[dict, Outcome]] = {
    "overload_nested": (
        {"type": "error", "error": {"code": "server_is_overloaded", "message": "Busy."}},
        Overloaded("Busy."),
    ),
    "slow_down": (
        {"type": "response.failed", "response": {"error": {"code": "slow_down"}}},
        Overloaded("slow_down"),
    ),
    "server_error_flat": (
        {"type": "error", "code": "server_error", "message": "oops"},
        Broken("server_error", sent=True),
    ),
    "failure_without_a_word": ({"type": "response.failed"}, Broken("failed", sent=True)),
    "burst_with_delay_in_words": (
        {
            "type": "response.failed",
            "response": {
                "error": {"code": "rate_limit_exceeded", "message": TPM.format("11.054s")}
            },
        },
        burst(11.054),
    ),
    "burst_with_milliseconds": (
        {"type": "error", "code": "rate_limit_exceeded", "message": TPM.format("28ms")},
        burst(0.028),
    ),
    "plan_limit": (
        {"type": "error", "error": {"type": "usage_limit_reached", "resets_at": 1_775_317_531}},
        RateLimited(1_775_317_531.0 + RESET_SLACK_S),
    ),
    "token_expired": (
        {"type": "error", "error": {"code": "token_expired", "type": "invalid_request_error"}},
        Unauthorized(dead=False, reason="token_expired"),
    ),
    "overload_by_its_type": (
        {"type": "error", "error": {"type": "service_unavailable_error", "message": "Busy."}},
        Overloaded("Busy."),
    ),
    "request_at_fault_without_a_code": (
        {"type": "error", "error": {"type": "invalid_request_error", "message": "bad"}},
        Refused(400, code=None, type="invalid_request_error", message="bad"),
    ),
    "store_of_vectors_that_is_slow": (
        {"type": "response.failed", "response": {"error": {"code": "vector_store_timeout"}}},
        Broken("vector_store_timeout", sent=True),
    ),
    "insufficient_quota": (
        {"type": "error", "error": {"code": "insufficient_quota"}},
        RateLimited(NOW + UNPAID_REST_S),
    ),
    "plan_without_codex": (
        {"type": "response.failed", "response": {"error": {"code": "usage_not_included"}}},
        dead("usage_not_included"),
    ),
    "capacity": (
        {"type": "response.failed", "response": {"error": {"message": CAPACITY}}},
        burst(),
    ),
    "encrypted_content": (
        {"type": "error", "code": "invalid_encrypted_content"},
        Misread(400, b""),
    ),
}


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_within_a_200_shows(name):
    """What the table says."""
    event, outcome = EVENTS[name]
    assert diagnose(of_event(event), model="m", now=NOW) == outcome


@pytest.mark.parametrize("status", [401, 402, 403])
@pytest.mark.parametrize(
    "code", ["account_deactivated", "account_suspended", "account_deleted", "deactivated_workspace"]
)
def test_an_account_that_is_gone_is_dead_whatever_the_status(code, status):
    """Nothing but its owner helps."""
    assert diagnose(read(status, [], nested(code=code)), model="m", now=NOW) == dead(code)


@pytest.mark.parametrize(
    "code",
    [
        "token_expired",
        "token_invalidated",
        "token_revoked",
        "app_session_terminated",
        "invalid_api_key",
    ],
)
def test_a_credential_that_is_refused_may_be_renewed(code):
    """The account is not dead for it, as its refresh token may be good."""
    fault = read(401, [], nested(code=code, type="invalid_request_error"))
    assert diagnose(fault, model="m", now=NOW) == Unauthorized(dead=False, reason=code)


@pytest.mark.parametrize(
    "code",
    [
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "workspace_owner_credits_depleted",
        "workspace_member_credits_depleted",
    ],
)
@pytest.mark.parametrize("status", [402, 403, 429])
def test_an_account_that_nobody_pays_for_rests(code, status):
    """For a while, as nobody says for how long; for as long as somebody says."""
    unnamed = read(status, [], nested(code=code))
    assert diagnose(unnamed, model="m", now=NOW) == RateLimited(NOW + UNPAID_REST_S)
    named = read(status, [], nested(code=code, resets_in_seconds=7))
    assert diagnose(named, model="m", now=NOW) == RateLimited(NOW + 7)


@pytest.mark.parametrize(
    "code",
    [
        "usage_limit_reached",
        "workspace_owner_usage_limit_reached",
        "workspace_member_usage_limit_reached",
    ],
)
def test_a_limit_is_one_whoever_set_it(code):
    """By its code as well as by its type."""
    for error in ({"code": code}, {"type": code}):
        fault = read(429, [], nested(resets_in_seconds=7, **error))
        assert diagnose(fault, model="m", now=NOW) == RateLimited(NOW + 7)


@pytest.mark.parametrize("status", [400, 500, 503, 529])
@pytest.mark.parametrize(
    "code", ["server_is_overloaded", "slow_down", "overloaded_error", "service_unavailable_error"]
)
def test_an_overload_is_no_accounts_fault(code, status):
    """By its code as well as by its type."""
    for error in ({"code": code}, {"type": code}):
        fault = read(status, [], nested(message="Busy.", **error))
        assert diagnose(fault, model="m", now=NOW) == Overloaded("Busy.")


def test_a_limit_within_a_stream_resets_when_the_replys_head_said():
    """The event itself names no time."""
    fault = Fault(None, type="usage_limit_reached", limits=quota(WINDOWS, now=NOW))
    assert diagnose(fault, model="m", now=NOW) == RateLimited(NOW + 70)


@pytest.mark.parametrize(
    "code",
    [
        "context_length_exceeded",
        "invalid_prompt",
        "cyber_policy",
        "bio_policy",
        "content_policy_violation",
        "moderation_blocked",
        "previous_response_not_found",
        "data_residency_mismatch",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "invalid_image_mode",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
    ],
)
def test_what_is_wrong_with_the_request_is_no_accounts_fault(code):
    """It is refused with 400, whatever it came in."""
    event = {"type": "response.failed", "response": {"error": {"code": code, "message": "no"}}}
    expected = Refused(400, code=code, type="invalid_request_error", message="no")
    assert diagnose(of_event(event), model="m", now=NOW) == expected
    body = nested(code=code, message="no")
    assert diagnose(read(500, [], body), model="m", now=NOW) == expected


@given(
    status=st.integers(100, 999),
    body=st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["error", "detail", "code", "message", "type", "resets_at"]),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=8,
        ).map(msgspec.json.encode),
    ),
)
def test_every_reply_shows_something(status, body):
    """No error is so strange that it would become ours."""
    outcome = diagnose(read(status, [], body), model="m", now=NOW)
    assert isinstance(outcome, Outcome)


def of_event(event: dict) -> Fault:
    """Return the fault of an event, as a reply makes it."""
    said = failure_of(msgspec.json.encode(event))
    return Fault(
        said.status,
        code=said.code,
        type=said.type,
        message=said.message,
        param=said.param,
        resets_at=said.resets_at,
        resets_in_s=said.retry_after_s,
    )
