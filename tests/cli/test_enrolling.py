"""Tests of app.cli.enrolling."""

import signal

import pytest

from app.cli.enrolling import uninterrupted


def test_an_exchange_is_not_interrupted() -> None:
    """Ctrl-C is not heard meanwhile, and heard again after, even after an error."""
    before = signal.getsignal(signal.SIGINT)

    def break_off() -> None:
        with uninterrupted():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert signal.getsignal(signal.SIGINT) is before
