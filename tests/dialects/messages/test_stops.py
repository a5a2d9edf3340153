"""Text ends where a stop sequence begins."""

import pytest

from app.dialects.messages.stops import Stops


def fed(stops, *pieces):
    """Return what is said of pieces of text."""
    said = [stops.feed(b'"%b"' % piece.encode()) for piece in pieces]
    return "".join(one.decode()[1:-1] for one in said if one)


@pytest.mark.parametrize(
    ("pieces", "said", "rest"),
    [
        (["hello"], "hello", b""),
        (["a END b", "more"], "a ", b""),
        (["a E", "N", "D b"], "a ", b""),
        (["a EN", "other"], "a ENother", b""),
        (["a EN"], "a ", b'"EN"'),
        (["x#y END"], "x", b""),
        (["END"], "", b""),
    ],
)
def test_what_is_said(pieces, said, rest):
    """The first sequence counts; what may become one waits until it is known."""
    stops = Stops(("END", "#"))
    assert fed(stops, *pieces) == said
    assert stops.rest() == rest
    assert (stops.hit is not None) == ("END" in "".join(pieces) or "#" in "".join(pieces))
    assert stops.rest() == b""


def test_what_is_no_string_passes():
    """A lone surrogate is no text that could be looked at."""
    assert Stops(("END",)).feed(b'"\\ud800"') == b'"\\ud800"'
