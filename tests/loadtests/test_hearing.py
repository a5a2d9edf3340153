"""What a listener notes of a stream, in each dialect."""

import json

import pytest

from loadtests.hearing import Ear, Seen, code_of, whole

DELTA = b'{"type":"response.output_text.delta","delta":"n=call-1 hello","sequence_number":1}'
DONE = b'{"type":"response.completed","response":{"id":"resp_1"},"sequence_number":2}'
FAILED = b'{"type":"response.failed","response":{"error":{"code":"stream_incomplete"}}}'


def heard(*lines: bytes, dialect: str = "responses") -> Seen:
    """Return what was noted of these events."""
    seen = Seen("call-1", stream=True, status=200, dialect=dialect)
    ear = Ear(seen)
    for line in lines:
        ear.line(line)
    return seen


def test_a_whole_stream_has_content_and_an_end():
    """And its response's id."""
    seen = heard(DELTA, DONE)
    assert (seen.content, seen.ended, seen.response_id, seen.code) == (True, True, "resp_1", "")
    assert (seen.disorder, seen.foreign) == ([], [])


@pytest.mark.parametrize(
    ("dialect", "delta", "end"),
    [
        ("chat", b'{"choices":[{"delta":{"content":"n=call-1 x"}}]}', b"[DONE]"),
        ("messages", b'{"type":"content_block_delta","delta":{}}', b'{"type":"message_stop"}'),
    ],
)
def test_other_dialects_have_their_own_ends(dialect, delta, end):
    """Nothing may follow them either."""
    seen = heard(delta, end, dialect=dialect)
    assert (seen.content, seen.ended, seen.disorder) == (True, True, [])
    assert heard(delta, end, delta, dialect=dialect).disorder


@pytest.mark.parametrize(
    ("dialect", "failed", "code"),
    [
        ("responses", FAILED, "stream_incomplete"),
        ("responses", b'{"type":"error","code":"rate_limited"}', "rate_limited"),
        ("chat", b'{"error":{"code":"stream_incomplete","type":"x"}}', "stream_incomplete"),
        ("messages", b'{"type":"error","error":{"type":"api_error"}}', "api_error"),
    ],
)
def test_a_failure_is_known_by_its_code(dialect, failed, code):
    """It is an end as well."""
    seen = heard(failed, dialect=dialect)
    assert (seen.code, seen.ended) == (code, False)


def test_chat_may_say_done_after_an_error():
    """Clients of chat read on until it comes."""
    assert heard(b'{"error":{"code":"x"}}', b"[DONE]", dialect="chat").disorder == []


def test_disorder_is_noted():
    """A piece that comes again, and one after the end."""
    assert heard(DELTA, DELTA).disorder == ["said 1 after 1"]
    assert "went on after its end" in heard(DELTA, DONE, DELTA).disorder[0]


def test_words_of_others_are_noted():
    """By the mark that the simulator writes into them."""
    assert heard(DELTA.replace(b"call-1", b"call-2")).foreign == ["call-2"]


def test_an_answer_in_one_piece_is_whole_or_an_error():
    """Whatever its dialect."""
    seen = Seen("call-1", stream=False, status=200)
    whole(seen, b'{"id":"resp_1","output":[{"text":"n=call-2 x"}]}')
    assert (seen.ended, seen.response_id, seen.foreign) == (True, "resp_1", ["call-2"])
    seen = Seen("call-1", stream=False, status=429)
    whole(seen, json.dumps({"error": {"code": "usage_limit_reached"}}).encode())
    assert (seen.ended, seen.code) == (False, "usage_limit_reached")
    assert code_of({"error": "words"}) == "error"
