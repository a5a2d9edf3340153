"""Depth and width are exact, wherever brackets, quotes and backslashes stand."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import InvalidRequest
from app.wire import nesting
from app.wire.nesting import DEPTH_MAX, MEMBERS_MAX, check


def depth_of(value: object) -> int:
    """Return the plain truth about a value's depth."""
    match value:
        case dict():
            return 1 + max((depth_of(inner) for inner in value.values()), default=0)
        case list():
            return 1 + max((depth_of(inner) for inner in value), default=0)
        case _:
            return 0


def nested(depth: int) -> bytes:
    """Return a body of this depth."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def wide(members: int, tail: bytes = b"") -> bytes:
    """Return a body with so many members at the top."""
    return b"{" + b",".join(b'"%d":1' % i for i in range(members)) + tail + b"}"


@pytest.mark.parametrize("depth", [1, 2, DEPTH_MAX - 1, DEPTH_MAX])
def test_the_limit_itself_passes(depth):
    """512 levels are allowed."""
    check(nested(depth))


@pytest.mark.parametrize("depth", [DEPTH_MAX + 1, 1100, 100_000])
def test_one_more_level_is_refused(depth):
    """A parser never sees it."""
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        check(nested(depth))


def test_brackets_in_strings_do_not_count():
    """A message may be full of them, with escapes around."""
    text = json.dumps({"a": '[{"\\' * 5000, "b": ["[[[[\\\\"] * 600})
    check(text.encode())


def test_many_brackets_beside_each_other_are_not_deep():
    """Only what is open at the same time counts."""
    check(b'{"a":[' + b",".join([b"[[]]"] * 5000) + b"]}")


def test_a_deep_place_after_many_flat_ones_is_found():
    """The depth is carried from block to block."""
    with pytest.raises(InvalidRequest):
        check(b'{"a":[' + b"[]," * 5000 + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX + b"]}")


@pytest.mark.parametrize("run", range(8))
def test_a_window_never_parts_a_backslash_from_what_it_escapes(run, monkeypatch):
    """However many backslashes stand at a window's end, the quote after them is judged right."""
    monkeypatch.setattr(nesting, "_WINDOW_BYTES", 16)
    body = json.dumps({"a" * 9: "\\" * run + '"' + "[" * 600, "b": [[]] * 600}).encode()
    check(body)


@given(
    st.recursive(
        st.text(alphabet='[]{},:"\\/abn', max_size=12) | st.integers(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=40,
    ),
    st.integers(min_value=1, max_value=9),
    st.integers(min_value=1, max_value=24),
)
@settings(max_examples=150, deadline=None)
def test_the_answer_is_that_of_a_plain_walk(value, limit, window):
    """Whatever the value and wherever the windows end, the depth is the plain one."""
    body = json.dumps({"v": value}).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nesting, "DEPTH_MAX", limit)
        patch.setattr(nesting, "_WINDOW_BYTES", window)
        try:
            check(body)
            refused = False
        except InvalidRequest:
            refused = True
    assert refused == (depth_of({"v": value}) > limit)


def test_a_million_members_are_refused_before_they_are_built():
    """The width is counted on the bytes."""
    with pytest.raises(InvalidRequest, match="more than 1024 fields"):
        check(wide(1_000_000))


def test_many_colons_below_the_top_are_fine():
    """A large body with few fields passes, wherever its other members stand."""
    inner = b'{"a":1},' * 110_000
    check(b'{"first":1,"input":[' + inner + b'1],"last":2}')


def test_members_behind_a_large_value_are_counted():
    """Members before and after the value come together."""
    inner = b',"input":[' + b'{"a":1},' * 110_000 + b"1]"
    tail = b"," + wide(MEMBERS_MAX // 2)[1:-1].replace(b'"', b'"x', 1)
    check(wide(10, inner))
    with pytest.raises(InvalidRequest):
        check(wide(MEMBERS_MAX // 2 + 1, inner + tail))


@given(st.binary(max_size=300))
def test_other_bytes_get_some_answer(body):
    """What is no JSON never breaks the check."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nesting, "DEPTH_MAX", 2)
        patch.setattr(nesting, "_COLONS_FREE", 0)
        patch.setattr(nesting, "_WINDOW_BYTES", 8)
        with suppress(InvalidRequest):
            check(body)
