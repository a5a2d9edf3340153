"""What a refused handshake means."""

import pytest

from app.upstream.sockets.handshake import Refused, judge, pause_s

LIMIT = b'{"error":{"type":"usage_limit_reached","message":"m"}}'
FULL = [
    ("x-codex-primary-used-percent", "100"),
    ("x-codex-primary-window-minutes", "300"),
    ("x-codex-primary-reset-after-seconds", "60"),
]
PAGE = b"<html>Just a moment</html>"
NAMED = b'{"error":{"code":"token_expired","message":"m"}}'


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (426, [], NAMED, Refused.NO_SOCKETS),
        (429, [], LIMIT, Refused.ANSWER),
        (429, FULL, b"", Refused.ANSWER),
        (429, [], b"", Refused.THROTTLED),
        (429, [], b'{"error":{"code":"rate_limit_exceeded"}}', Refused.THROTTLED),
        (401, [], NAMED, Refused.ANSWER),
        (401, [], b"", Refused.ANSWER),
        (401, [], PAGE, Refused.FAILED),
        (402, [], NAMED, Refused.ANSWER),
        (402, [], b'{"detail":{"code":"deactivated_workspace"}}', Refused.ANSWER),
        (403, [], NAMED, Refused.ANSWER),
        (403, [], PAGE, Refused.FAILED),
        (403, [], b"", Refused.FAILED),
        (404, [], NAMED, Refused.FAILED),
        (405, [], b"", Refused.FAILED),
        (500, [], b"", Refused.FAILED),
        (502, [], PAGE, Refused.FAILED),
        (503, [], b'{"error":{"code":"server_is_overloaded"}}', Refused.ANSWER),
        (503, [], b"", Refused.FAILED),
        (200, [], b"", Refused.FAILED),
        (307, [], b"", Refused.FAILED),
    ],
)
def test_only_what_the_upstream_itself_says_is_an_answer(status, headers, body, expected):
    """Everything else is about sockets, and HTTP will tell."""
    assert judge(status, headers, body, now=0.0) is expected


def test_a_throttle_says_for_how_long():
    """If it says so at all."""
    assert pause_s([("retry-after", "7")], now=0.0) == 7.0
    assert pause_s([], now=0.0) is None
