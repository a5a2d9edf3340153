"""What is remembered of the ways that did not work."""

from app.domain.account import AccountId
from app.upstream.sockets.detours import (
    ACCOUNTS_MAX,
    FAILED_FIRST_S,
    FAILED_MAX_S,
    MESSAGE_BYTES_MAX,
    NO_SOCKETS_S,
    SAMPLE_BYTES_MIN,
    SIZE_TTL_S,
    THROTTLED_S,
    Detours,
)

A, B = AccountId("a"), AccountId("b")


def test_each_failure_in_a_row_doubles_the_time():
    """Up to ten minutes; a success ends it."""
    detours, now = Detours(), 0.0
    for waited_s in (30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0):
        detours.failed(A, now)
        assert detours.avoid(A, now + waited_s - 1)
        now += waited_s
        assert not detours.avoid(A, now)
    detours.worked(A)
    detours.failed(A, now)
    assert not detours.avoid(A, now + FAILED_FIRST_S)
    assert not detours.avoid(B, now)


def test_an_account_without_sockets_is_not_asked_for_an_hour():
    """426 is no failure."""
    detours = Detours()
    detours.no_sockets(A, 0.0)
    assert detours.avoid(A, NO_SOCKETS_S - 1)
    assert not detours.avoid(A, NO_SOCKETS_S)


def test_a_throttle_holds_for_every_account():
    """Handshakes are counted by where they come from."""
    detours = Detours()
    detours.throttled(None, 0.0)
    assert detours.avoid(B, THROTTLED_S - 1)
    assert not detours.avoid(B, THROTTLED_S)
    detours.throttled(5.0, 100.0)
    assert not detours.avoid(B, 105.0)
    detours.throttled(1e9, 200.0)
    assert not detours.avoid(B, 200.0 + FAILED_MAX_S)


def test_the_size_that_was_too_big_is_learnt_and_forgotten():
    """With a margin; what is small was not refused for its size."""
    detours = Detours()
    detours.too_large(SAMPLE_BYTES_MIN - 1, 0.0)
    assert detours.size_max(0.0) == MESSAGE_BYTES_MAX
    detours.too_large(1_000_000, 0.0)
    assert detours.size_max(1.0) == 950_000
    detours.too_large(2_000_000, 1.0)
    assert detours.size_max(1.0) == 950_000
    assert detours.size_max(1.0 + SIZE_TTL_S) == MESSAGE_BYTES_MAX


def test_what_is_remembered_is_bounded_and_forgotten():
    """By number and by time."""
    detours = Detours()
    for number in range(ACCOUNTS_MAX + 5):
        detours.failed(AccountId(str(number)), 0.0)
    assert len(detours) == ACCOUNTS_MAX
    detours.forget(FAILED_FIRST_S)
    assert len(detours) == ACCOUNTS_MAX
    detours.forget(FAILED_FIRST_S + FAILED_MAX_S)
    assert len(detours) == 0
