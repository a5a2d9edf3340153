"""Tests of app.dialects.chat_upstream.pieces."""

import pytest

from app.dialects.chat_upstream.chunks import chunk_of
from app.dialects.chat_upstream.pieces import LESSONS_MAX, Pieces

HEAD = b'{"id":"c","choices":[{"index":0,"delta":{"content":'
TAIL = b'},"finish_reason":null}]}'
FIRST = HEAD + b'"a"' + TAIL


def learnt(*datas: bytes) -> Pieces:
    """Return what has learnt from these chunks."""
    pieces = Pieces()
    for data in datas:
        pieces.learn(data, chunk_of(data))
    return pieces


def test_nothing_is_found_before_anything_was_learnt():
    """The first chunk is decoded."""
    assert learnt().find(FIRST) == b""


@pytest.mark.parametrize("text", [b'"b"', b'"two words"', b'"\\n \\" \\\\"', '"ü \u2028"'.encode()])
def test_a_piece_in_the_place_of_another_is_found(text):
    """With its quotes, as it came."""
    assert learnt(FIRST).find(HEAD + text + TAIL) == text


@pytest.mark.parametrize(
    "text",
    [
        b'""',
        b"null",
        b'"a","refusal":"b"',
        b'"a\\"',
        b'"\\u0041"',
        b'"\\x"',
        b'"a\x00b"',
        b'"\xff"',
        b'["a"]',
        b'"a" ',
    ],
)
def test_what_is_no_plain_string_is_left_to_those_who_decode(text):
    """It may mean something else, or nothing."""
    assert learnt(FIRST).find(HEAD + text + TAIL) == b""


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b'"a"' + TAIL.replace(b"null", b'"stop"'),
        HEAD + b'"a","reasoning":"x"' + TAIL,
        HEAD + b'"a"' + TAIL[:-1] + b',"usage":{"prompt_tokens":1}}',
        HEAD + b'""' + TAIL,
        b'{"choices":[{"message":{"content":"a"}}]}',
        b'{"choices":[]}',
        HEAD + b' "a"' + TAIL,
        b'{"x":{"content":"a"},' + HEAD[1:] + b'"a"' + TAIL,
    ],
)
def test_a_chunk_that_does_more_or_is_not_clear_teaches_nothing(data):
    """The last one has the words in another place before."""
    assert learnt(data).find(data) == b""


def test_learning_is_given_up_where_chunks_go_on_changing():
    """It costs more than decoding."""
    changing = [FIRST.replace(b'"c"', b'"%d"' % number) for number in range(LESSONS_MAX + 1)]
    assert learnt(*changing).find(changing[LESSONS_MAX - 1]) == b'"a"'
    assert learnt(*changing).find(changing[LESSONS_MAX]) == b""
