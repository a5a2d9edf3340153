"""Tests of app.admin.throttle."""

from app.admin.throttle import (
    ADDRESSES_MAX,
    FORGOTTEN_S,
    FREE,
    FREE_IN_ALL,
    WAIT_IN_ALL_MAX_S,
    WAIT_MAX_S,
    Throttle,
)


def test_the_wait_grows_with_each_failure_and_ends():
    """1, 2, 4 ... up to five minutes; nobody is locked out for good."""
    throttle, now, waits = Throttle(), 0.0, []
    for _ in range(FREE + 12):
        throttle.failed("192.0.2.1", now=now)
        waits.append(throttle.wait_s("192.0.2.1", now=now))
        now += waits[-1]
    assert waits[:FREE] == [0.0] * FREE
    assert waits[FREE : FREE + 4] == [1.0, 2.0, 4.0, 8.0]
    assert max(waits) == waits[-1] == WAIT_MAX_S
    assert throttle.wait_s("192.0.2.1", now=now) == 0.0


def test_a_success_and_an_hour_make_it_as_at_first():
    """People mistype."""
    throttle = Throttle()
    for _ in range(FREE + 3):
        throttle.failed("a", now=0.0)
        throttle.failed("b", now=0.0)
    throttle.succeeded("a")
    assert throttle.wait_s("a", now=0.0) == 0.0
    throttle.failed("b", now=FORGOTTEN_S + 1)
    assert throttle.wait_s("b", now=FORGOTTEN_S + 1) == 0.0


def test_many_addresses_are_slowed_together_but_not_a_friend():
    """Who has logged in before is not kept out by others' guesses."""
    throttle = Throttle()
    throttle.succeeded("198.51.100.1")
    for number in range(FREE_IN_ALL + 10):
        throttle.failed(f"192.0.2.{number}", now=0.0)
    assert throttle.wait_s("203.0.113.1", now=0.0) == WAIT_IN_ALL_MAX_S
    assert throttle.wait_s("198.51.100.1", now=0.0) == 0.0


def test_a_network_of_ipv6_counts_as_one_address():
    """A customer has as many addresses as there are grains of sand."""
    throttle = Throttle()
    for number in range(FREE + 1):
        throttle.failed(f"2001:db8::{number}", now=0.0)
    assert throttle.wait_s("2001:db8::ffff", now=0.0) == 1.0
    assert throttle.wait_s("2001:db8:0:1::1", now=0.0) == 0.0


def test_what_is_remembered_is_bounded():
    """However many addresses there are."""
    throttle = Throttle()
    for number in range(ADDRESSES_MAX + 5):
        throttle.failed(str(number), now=0.0)
    assert len(throttle._by_address) == ADDRESSES_MAX
