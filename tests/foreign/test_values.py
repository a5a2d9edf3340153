"""Tests of app.foreign.values."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from app.domain.enrolment import KeyDigest
from app.foreign.found import BadValue
from app.foreign.values import (
    NAMES_MAX,
    count,
    flag,
    key_digest,
    mapping,
    moment,
    money,
    names,
    number,
    numbers,
    spent,
    text,
)


@pytest.mark.parametrize(("value", "meant"), [(" a ", "a"), (None, ""), (5, "")])
def test_a_text_is_trimmed(value: object, meant: str) -> None:
    """What is none is empty."""
    assert text(value) == meant


@pytest.mark.parametrize(
    ("value", "meant"),
    [(None, True), (0, False), (1, True), (False, False), ("t", True), ("false", False)],
)
def test_a_flag_may_be_a_number_or_a_word(value: object, *, meant: bool) -> None:
    """Nothing is the default."""
    assert flag(value, default=True) is meant


@pytest.mark.parametrize("value", ["x", float("nan"), float("inf"), True, [1]])
def test_what_is_no_number_is_refused(value: object) -> None:
    """The field and the value are named."""
    with pytest.raises(BadValue, match=r"rpm is .*, which is no number"):
        number(value, "rpm")


@pytest.mark.parametrize(("value", "meant"), [(None, None), ("", None), (0, 0), (60.0, 60)])
def test_a_limit_is_a_whole_number(value: object, meant: int | None) -> None:
    """Or none at all."""
    assert count(value, "rpm") == meant


@pytest.mark.parametrize("value", [-1, 0.5, 10**15])
def test_an_impossible_limit_is_refused(value: object) -> None:
    """A limit that is misread would be no limit."""
    with pytest.raises(BadValue, match=r"rpm is .*: expected a whole number from 0 to"):
        count(value, "rpm")


@pytest.mark.parametrize(
    ("value", "units", "meant"),
    [(None, 1, None), (0, 1, 0), (0.1, 1, 100_000_000), ("12.5", 1, 12_500_000_000),
     (2_500_000, 1_000_000, 2_500_000_000)],
)  # fmt: skip
def test_money_is_exact(value: object, units: int, meant: int | None) -> None:
    """In whole nano-dollars."""
    assert money(value, "max_budget", units_a_dollar=units) == meant


@pytest.mark.parametrize(
    ("value", "units", "told"),
    [(-5.0, 1, "max_budget is -5.0: expected 0 to 1000000"),
     (1e9, 1, "max_budget is 1000000000.0: expected 0 to 1000000"),
     (-1, 1_000_000, r"expected 0 to 1000000000000 \(there are 1000000 to the dollar\)")],
)  # fmt: skip
def test_an_absurd_budget_is_refused(value: object, units: int, told: str) -> None:
    """Negative ones and those that stand for something else."""
    with pytest.raises(BadValue, match=told):
        money(value, "max_budget", units_a_dollar=units)


def test_what_was_spent_has_no_bound() -> None:
    """And is never less than nothing."""
    assert (spent(None, "s"), spent(-1, "s"), spent(2e6, "s")) == (0, 0, 2_000_000 * 10**9)


MOMENT = 4_102_444_800.0


@pytest.mark.parametrize(
    "value",
    [MOMENT, MOMENT * 1000, int(MOMENT), "2100-01-01 00:00:00", "2100-01-01T00:00:00Z",
     "2100-01-01 01:00:00.123456789+01:00", "2100-01-01 00:00:00.5 +0000 UTC",
     datetime(2100, 1, 1, tzinfo=UTC), datetime(2100, 1, 1),  # noqa: DTZ001 - as drivers give it
     datetime(2100, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))],
)  # fmt: skip
def test_a_moment_has_many_forms(value: object) -> None:
    """Without a zone it is one of UTC."""
    found = moment(value, "expires")
    assert found is not None
    assert abs(found - MOMENT) < 1


@pytest.mark.parametrize("value", [None, "", "0001-01-01 00:00:00+00:00"])
def test_no_moment_is_none(value: object) -> None:
    """Go writes the year 1 for it."""
    assert moment(value, "expires") is None


@pytest.mark.parametrize("value", ["soon", True, -1, 1e15, [1]])
def test_what_is_no_moment_is_refused(value: object) -> None:
    """An end that can't be read must not become none."""
    with pytest.raises(BadValue, match=r"expires is .*, which is no point in time"):
        moment(value, "expires")


@pytest.mark.parametrize(
    ("value", "meant"),
    [(None, ()), ("", ()), ("[]", ()), ('["a", "b", "a"]', ("a", "b")), (["a "], ("a",)),
     ('{a,"b c"}', ("a", "b c")), ("{}", ())],
)  # fmt: skip
def test_a_list_of_names_has_many_forms(value: object, meant: tuple[str, ...]) -> None:
    """An array, JSON, or Postgres' braces; each name once."""
    assert names(value, "models") == meant


@pytest.mark.parametrize(
    ("value", "told"),
    [("a", "models is no JSON"), (5, "models is no JSON"),
     ('{"a": 1}', "models is no list of names"),
     ("[1]", "models is no list of names"), (["x" * 129], "which is no name"),
     (["a\n b"], "which is no name"), ([str(n) for n in range(NAMES_MAX + 1)], "at most 1000")],
)  # fmt: skip
def test_what_is_no_list_of_names_is_refused(value: object, told: str) -> None:
    """A list that is misread would allow everything."""
    with pytest.raises(BadValue, match=told):
        names(value, "models")


@pytest.mark.parametrize(("value", "meant"), [(None, ()), ("[1, 2]", (1, 2)), ([3], (3,))])
def test_a_list_of_ids(value: object, meant: tuple[int, ...]) -> None:
    """In JSON or decoded."""
    assert numbers(value, "ids") == meant


def test_what_is_no_list_of_ids_is_refused() -> None:
    """Words are none."""
    with pytest.raises(BadValue, match="ids is no list of ids"):
        numbers('["a"]', "ids")


@pytest.mark.parametrize(("value", "meant"), [(None, {}), ('{"a": 1}', {"a": 1}), ({}, {})])
def test_an_object(value: object, meant: dict[str, object]) -> None:
    """In JSON or decoded."""
    assert mapping(value, "limits") == meant


def test_what_is_no_object_is_refused() -> None:
    """A list is none."""
    with pytest.raises(BadValue, match="limits is no JSON object"):
        mapping("[1]", "limits")


def test_a_digest_is_64_digits() -> None:
    """Anything else is none that we could compare with."""
    assert key_digest("0f" * 32) == KeyDigest(bytes([15]) * 32)
    for other in ("0f" * 31, "x" * 64, "", None, 5):
        assert key_digest(other) is None
