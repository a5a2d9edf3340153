"""The breaker: when a server is asked, and when it is left alone."""

from app.shared.breaker import Breaker


def test_it_asks_while_there_are_answers() -> None:
    """Closed from the start, and an answer changes nothing."""
    breaker = Breaker()
    assert breaker.closed
    assert breaker.admits(0.0)
    assert not breaker.succeeded()
    assert breaker.admits(0.0)


def test_the_first_failure_opens_it_for_a_moment() -> None:
    """The next one opens it for longer; only the first is news."""
    breaker = Breaker(first_pause_s=0.25, pause_s=1.0)
    assert breaker.failed(10.0)
    assert not breaker.closed
    assert not breaker.admits(10.24)
    assert breaker.admits(10.25)
    assert not breaker.failed(10.45)
    assert not breaker.admits(11.44)
    assert breaker.admits(11.45)


def test_while_it_is_open_one_asks_at_a_time() -> None:
    """A trial that never comes back does not keep it open for ever."""
    breaker = Breaker(first_pause_s=0.25, pause_s=1.0)
    breaker.failed(0.0)
    assert breaker.admits(0.5)
    assert not breaker.admits(0.6)
    assert breaker.admits(1.5)


def test_an_answer_closes_it() -> None:
    """And the next failure has a short pause again."""
    breaker = Breaker(first_pause_s=0.25, pause_s=1.0)
    breaker.failed(0.0)
    breaker.failed(0.5)
    assert breaker.succeeded()
    assert breaker.closed
    assert breaker.admits(0.6)
    assert breaker.failed(0.7)
    assert breaker.admits(0.95)
