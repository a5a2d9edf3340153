"""Policy reads a body's few fields, and nobody behind us can read others."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from app.errors import InvalidRequest
from app.wire import peek as module
from app.wire.peek import peek

FULL = {
    "model": "gpt-5.5",
    "stream": True,
    "store": False,
    "background": None,
    "input": [{"type": "reasoning", "encrypted_content": "gAAA"}],
    "prompt_cache_key": "key",
    "previous_response_id": "resp_1",
    "service_tier": "priority",
    "reasoning": {"effort": "high", "summary": "auto"},
    "client_metadata": {"session_id": "s", "thread_id": "t", "other": 1},
    "unknown": [1, {"a": None}],
}


def body_of(fields: object, **more: object) -> bytes:
    """Return a body; `indent` and the like are for `json.dumps`."""
    return json.dumps(fields, **more).encode()


@pytest.mark.parametrize("layout", [{}, {"indent": 2}, {"separators": (",", ":")}])
def test_the_fields_of_policy_are_read(layout):
    """All of them, whatever the whitespace."""
    seen = peek(body_of(FULL, **layout))
    assert (seen.model, seen.stream, seen.store, seen.background) == ("gpt-5.5", True, False, False)
    assert (seen.prompt_cache_key, seen.previous_response_id) == ("key", "resp_1")
    assert (seen.service_tier, seen.effort) == ("priority", "high")
    assert (seen.session_id, seen.thread_id, seen.encrypted) == ("s", "t", True)
    assert list(seen.fields) == list(FULL)
    assert json.loads(bytes(seen.fields["unknown"])) == FULL["unknown"]


def test_what_is_left_out_has_defaults():
    """Only the model is required."""
    seen = peek(b'{"model":"m"}')
    assert seen == module.Peek(fields={"model": Raw(b'"m"')}, model="m")


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        (b"", None, "not valid JSON"),
        (b"{", None, "at byte 1"),
        (b'{"model":"m"} x', None, "trailing characters at byte"),
        (b'{"model":"m","a":NaN}', None, "invalid character at byte"),
        (b'{"model":"m","a":[Infinity]}', None, "invalid character at byte"),
        (b'{"model":"m","a":-Infinity}', None, "invalid character at byte"),
        (b'{"model":"m","a":"\\ud800"}', None, "not valid JSON"),
        (b'{"model":"m","a":"x\\udc00y"}', None, "surrogate"),
        (b'{"model":"m","a":"\x00"}', None, "invalid character"),
        (b"\xef\xbb\xbf{}", None, "byte order mark"),
        (b'{"model":"\xff"}', None, "not valid UTF-8 at byte 10"),
        (b'{"model":"m","a":"\xc3\xa9\xff"}', None, "not valid UTF-8 at byte 20"),
        (b'{"model":"m","a":"\xe2\x82', None, "not valid UTF-8"),
        (b"\xff\xfe{\x00}\x00", None, "not valid UTF-8 at byte 0"),
        (b"[]", None, "must be a JSON object"),
        (b'"text"', None, "must be a JSON object"),
        (b"null", None, "must be a JSON object"),
        (b"{}", "model", "Missing required parameter: 'model'"),
        (b'{"model":null}', "model", "expected a string, but got null"),
        (b'{"model":5}', "model", "expected a string, but got an integer"),
        (b'{"model":1e999}', "model", "out of range"),
        (b'{"model":" "}', "model", "empty"),
        (b'{"model":"a\\u0000b"}', "model", "control character"),
        (b'{"model":"' + b"m" * 257 + b'"}', "model", "at most 256"),
        (b'{"model":"m","stream":"yes"}', "stream", "expected a boolean"),
        (b'{"model":"m","stream":1}', "stream", "expected a boolean"),
        (b'{"model":"m","store":0}', "store", "expected a boolean"),
        (b'{"model":"m","background":"x"}', "background", "expected a boolean"),
        (b'{"model":"m","prompt_cache_key":[]}', "prompt_cache_key", "expected a string"),
        (b'{"model":"m","prompt_cache_key":"\\n"}', "prompt_cache_key", "control character"),
        (b'{"model":"m","previous_response_id":{}}', "previous_response_id", "expected a string"),
        (b'{"model":"m","service_tier":1}', "service_tier", "expected a string"),
        (b'{"model":"m","reasoning":1}', "reasoning", "expected an object"),
        (b'{"model":"m","reasoning":{"effort":1}}', "reasoning.effort", "a string or null"),
        (b'{"model":"m","client_metadata":[]}', "client_metadata", "expected an object"),
        (
            b'{"model":"m","client_metadata":{"session_id":1}}',
            "client_metadata.session_id",
            "a string or null",
        ),
        (
            b'{"model":"m","client_metadata":{"thread_id":"\\u0007"}}',
            "client_metadata.thread_id",
            "control character",
        ),
        (b'{"model":"m","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "nested too deeply"),
        (b"[" * 100_000, None, "nested too deeply"),
        (b'{"model":"m",' + b",".join(b'"%d":1' % i for i in range(1100)) + b"}", None, "1024"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(body, param, message):
    """Every refusal is a 400 that names the field or the byte."""
    with pytest.raises(InvalidRequest) as caught:
        peek(body)
    assert caught.value.status == 400
    assert caught.value.code == "invalid_request"
    assert caught.value.param == param
    assert message in caught.value.message


@pytest.mark.parametrize(
    "value", [b"1e999", b"-0", b"123456789012345678901234567890", b'"\\u0000"', b'"\\ud83d\\ude00"']
)
def test_strange_values_pass_where_nobody_reads_them(value):
    """They are JSON; the upstream may judge them."""
    assert peek(b'{"model":"m","a":' + value + b"}").fields["a"] == Raw(value)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"model":"a","model":"b"}', "model"),
        (b'{"model":"a","model":"a"}', "model"),
        (b'{"model":"a","mod\\u0065l":"b"}', "model"),
        (b'{"model":"m","stream":true , "stream" : false}', "stream"),
        (b'{"model":"m","n":12,"n":1}', "n"),
        (b'{"model":"m","n":1,"n":12}', "n"),
        (b'{"model":"m","input":[1],"x":{"y":2},"input":[1]}', "input"),
        (b'{"model":"m","input":{"a":1,"b":2},"b":{"c":3},"input":"x"}', "input"),
        (b'{"model":"m","other":1,"other":{}}', "other"),
        (b'{"model":"m","":1,"":2}', ""),
    ],
)
def test_a_name_that_stands_twice_is_refused(body, name):
    """Two readers could take different values, so there must be one."""
    with pytest.raises(InvalidRequest) as caught:
        peek(body)
    assert caught.value.param == name
    assert "stands twice" in caught.value.message


def test_a_name_may_stand_again_below_the_top():
    """Only the top level is policy's."""
    assert peek(b'{"model":"m","a":{"model":1,"model":2},"b":"\\"model\\":1"}').model == "m"


NAMES = st.sampled_from(["model", "stream", "input", 'q"\\', "é", ""])
PAIRS = st.lists(
    st.tuples(
        NAMES,
        st.recursive(
            st.none() | st.integers(-99, 99) | st.text(alphabet='",:{}\\ é', max_size=6),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
            max_leaves=6,
        ),
    ),
    max_size=6,
)


@given(PAIRS, st.sampled_from([",", " ,\n", ", "]), st.sampled_from([":", " : "]))
@settings(max_examples=200, deadline=None)
def test_duplicates_are_found_exactly(pairs, comma, colon):
    """As a plain list of the names says, for any values and whitespace."""
    members = [json.dumps("m_odel") + colon + "1"]
    members += [
        json.dumps(name) + colon + json.dumps(value, ensure_ascii=False) for name, value in pairs
    ]
    body = ("{" + comma.join(members) + " }").encode()
    names = [name for name, _ in pairs]
    fields = module._top(body)
    if len(set(names)) < len(names):
        with pytest.raises(InvalidRequest) as caught:
            module._spans(body, fields)
        assert names.count(caught.value.param) > 1
    else:
        spans = module._spans(body, fields)
        assert {name: body[slice(*span)] for name, span in spans.items()} == {
            name: bytes(value) for name, value in fields.items()
        }


@given(st.text(max_size=40), st.binary(max_size=3), st.integers(1, 9))
@settings(deadline=None)
def test_utf8_is_judged_the_same_however_it_is_cut(text, noise, size):
    """The megabyte steps leave no seam."""
    body = text.encode() + noise
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_TEXT_BYTES", size)
        try:
            body.decode()
        except UnicodeDecodeError as error:
            with pytest.raises(InvalidRequest, match=f"at byte {error.start}"):
                module._check_text(body)
        else:
            module._check_text(body)


@pytest.mark.parametrize(
    ("given_input", "encrypted"),
    [
        ([{"encrypted_content": "x"}], True),
        ([{"encrypted_content": ""}, {"a": {"encrypted_content": "x"}}], True),
        ([{"encrypted_content": None}], False),
        ([{"text": '"encrypted_content":"x"'}], False),
        (["encrypted_content"], False),
        ("text", False),
        (None, False),
    ],
)
def test_encrypted_items_are_noticed_in_the_input(given_input, encrypted):
    """Only a string that is there counts, not a word about it."""
    body = body_of({"model": "m", "encrypted_content": "outside", "input": given_input})
    assert peek(body).encrypted is encrypted


@given(st.binary(max_size=200))
def test_any_bytes_get_a_defined_answer(body):
    """Nothing but an answer or an InvalidRequest comes out."""
    with suppress(InvalidRequest):
        assert peek(body).model
