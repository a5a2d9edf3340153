"""Tests of app.domain.enrolment."""

import pytest

from app.domain.enrolment import (
    LABEL_CHARS_MAX,
    LABELS_MAX,
    LIMIT_MAX,
    endpoints,
    labels,
    limit,
    networks,
)
from app.errors import InvalidRequest


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        ([], ()),
        (["b", "a"], ("a", "b")),
        (["a", " a ", "a\t"], ("a",)),
        (["Team A", "team a"], ("Team A", "team a")),
        (["ü/ö:1.5"], ("ü/ö:1.5",)),
        (["x" * LABEL_CHARS_MAX], ("x" * LABEL_CHARS_MAX,)),
        ([str(n) for n in range(LABELS_MAX)] * 2, tuple(sorted(map(str, range(LABELS_MAX))))),
    ],
)
def test_names_have_one_form(names, kept) -> None:
    """Two accounts in the same groups have equal values, however they were typed."""
    assert labels(names, param="groups") == kept


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["a", ""], "groups: a name must not be empty"),
        ([" \t"], "must not be empty"),
        (["x" * (LABEL_CHARS_MAX + 1)], "longer than 64 characters"),
        (["a,b"], "'a,b' has a comma"),
        (["a\nb"], "can't be shown"),
        (["a\u202eb"], "can't be shown"),
        ([str(n) for n in range(LABELS_MAX + 1)], "33 names, at most 32"),
    ],
)
def test_a_name_of_a_wrong_form_is_refused(names, told) -> None:
    """The message says what is wrong, `param` where."""
    with pytest.raises(InvalidRequest, match=told) as caught:
        labels(names, param="groups")
    assert caught.value.param == "groups"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([], ()),
        (["192.0.2.7"], ("192.0.2.7/32",)),
        ([" 10.1.2.3/8 ", "10.0.0.0/8"], ("10.0.0.0/8",)),
        (["2001:db8::1/32", "10.0.0.0/8"], ("10.0.0.0/8", "2001:db8::/32")),
    ],
)
def test_networks_have_one_form(given, kept) -> None:
    """The bits beyond the mask say nothing."""
    assert networks(given, param="networks") == kept


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["example.org"], "'example.org' is no address"),
        ([""], "'' is no address"),
        (["10.0.0.0/33"], "is no address"),
        ([f"10.0.0.{n}" for n in range(33)], "33 networks, at most 32"),
    ],
)
def test_what_is_no_network_is_told(given, told) -> None:
    """With the field that it stands in."""
    with pytest.raises(InvalidRequest, match=told) as refused:
        networks(given, param="networks")
    assert refused.value.param == "networks"


def test_endpoints_are_those_that_there_are() -> None:
    """Each once, in order."""
    assert endpoints(["responses", " chat", "chat"], param="p") == ("chat", "responses")
    with pytest.raises(InvalidRequest, match="'telepathy' is none of chat, "):
        endpoints(["chat", "telepathy"], param="p")


@pytest.mark.parametrize(
    ("value", "param", "good"),
    [
        (None, "tokens_per_minute", True),
        (1, "tokens_per_minute", True),
        (0, "tokens_per_minute", False),
        (-1, "day_nusd", False),
        (0, "day_nusd", True),
        (0, "month_nusd", True),
        (LIMIT_MAX, "month_nusd", True),
        (LIMIT_MAX + 1, "month_nusd", False),
    ],
)
def test_a_limit_is_neither_negative_nor_absurd(value, param, good) -> None:
    """A budget may be nothing at all; no calls a minute would be a key that is disabled."""
    if good:
        assert limit(value, param=param) == value
        return
    with pytest.raises(InvalidRequest, match=param):
        limit(value, param=param)
