"""Tests of app.upstream.auth_refusals."""

import orjson
import pytest

from app.domain.account import Secret
from app.upstream.auth_refusals import PERMANENT_CODES, refusal

TOKEN = Secret("rt_s3cr3t")


def refuse(status, body):
    """Return code and permanence of a reply."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    refused = refusal(status, data, secret=TOKEN)
    return refused.code, refused.permanent


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, {"error": {"code": "refresh_token_reused"}}, ("refresh_token_reused", True)),
        (401, {"error": {"code": "something new"}}, ("something new", True)),
        (401, {}, ("http_401", True)),
        (401, b"<html>", ("http_401", False)),
        (401, b"", ("http_401", False)),
        (400, {"error": "invalid_grant"}, ("invalid_grant", True)),
        (400, {"code": "account_deactivated"}, ("account_deactivated", True)),
        (400, {"error": {"code": None}, "code": "token_expired"}, ("token_expired", True)),
        (400, {"error": "invalid_request"}, ("invalid_request", False)),
        (400, {"error": {"message": "Your session has ended."}}, ("http_400", True)),
        (400, {"error": "x", "error_description": "session HAS ended"}, ("x", True)),
        (400, {"error": 7, "message": 8}, ("http_400", False)),
        (400, [], ("http_400", False)),
        (400, b"[" * 5000, ("http_400", False)),
        (403, b"<title>Just a moment...</title>", ("http_403", False)),
        (403, {"error": "access_denied"}, ("access_denied", True)),
        (429, {"error": {"code": "refresh_token_reused"}}, ("refresh_token_reused", False)),
        (500, {"error": "temporary-failure"}, ("temporary-failure", False)),
        (500, {"error": "invalid_grant"}, ("invalid_grant", False)),
        (502, b"Bad Gateway", ("http_502", False)),
        (302, b"", ("http_302", False)),
        (302, {"error": "invalid_grant"}, ("invalid_grant", False)),
    ],
)
def test_only_a_stated_reason_is_for_good(status, body, expected):
    """Rate limits, server faults, proxies and challenges pass."""
    assert refuse(status, body) == expected


@pytest.mark.parametrize("code", sorted(PERMANENT_CODES))
@pytest.mark.parametrize("shape", ["nested", "text", "top"])
def test_every_fatal_code_is_found_in_every_place(code, shape):
    """`error.code`, `error` itself, `code` at the top."""
    body = {"nested": {"error": {"code": code}}, "text": {"error": code}, "top": {"code": code}}
    assert refuse(400, body[shape]) == (code, True)


def test_the_text_is_cut_cleaned_and_without_the_token():
    """It goes into logs and answers."""
    message = f"bad\n{TOKEN.reveal()} " + "x" * 500
    body = {"error": {"code": TOKEN.reveal() * 20, "message": message}}
    refused = refusal(400, orjson.dumps(body), secret=TOKEN)
    assert TOKEN.reveal() not in str(refused)
    assert "\n" not in str(refused)
    assert len(str(refused)) < 300


def test_no_token_means_nothing_to_strike():
    """An empty secret must not spread stars over the text."""
    refused = refusal(400, b'{"error": "x", "error_description": "words"}', secret=Secret(""))
    assert str(refused) == "x: words"


@pytest.mark.parametrize(
    ("status", "body", "kept"),
    [
        (429, b'{"error":"rate_limited"}', True),
        (503, b"<html>", True),
        (400, b'{"error":"invalid_grant"}', False),
    ],
)
def test_a_wish_to_be_left_alone_is_kept_where_there_is_another_try(status, body, kept):
    """For a token that is dead it means nothing."""
    refused = refusal(status, body, secret=TOKEN, retry_after_s=30.0)
    assert refused.retry_after_s == (30.0 if kept else None)
