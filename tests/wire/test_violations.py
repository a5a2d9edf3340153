"""What is wrong with a JSON value is said with the path of the whole request."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta, Raw, Struct

from app.errors import InvalidRequest
from app.wire.violations import decoded, malformed, read, unsupported_value, violation


class Part(Struct):
    """A part of the form."""

    type: str
    word: Literal["a", "b"] = "a"
    size: Annotated[int, Meta(ge=1)] | None = None
    names: dict[str, int] = {}


class Form(Struct):
    """A form to be violated."""

    parts: list[Part]


@pytest.mark.parametrize(
    ("value", "param", "message"),
    [
        (b'{"parts":5}', "x.parts", "expected an array, but got an integer instead"),
        (b'{"parts":[{}]}', "x.parts[0].type", "Missing required parameter"),
        (b"{}", "x.parts", "Missing required parameter: 'x.parts'"),
        (b'{"parts":[{"type":"t"},{"type":1}]}', "x.parts[1].type", "expected a string"),
        (b'{"parts":[{"type":"t","word":"c"}]}', "x.parts[0].word", "'c'"),
        (b'{"parts":[{"type":"t","size":"1"}]}', "x.parts[0].size", "an integer or null"),
        (b'{"parts":[{"type":"t","size":0}]}', "x.parts[0].size", "expected `int` >= 1"),
        (b'{"parts":[{"type":"t","names":{"n":"v"}}]}', "x.parts[0].names", "an integer"),
        (b"[]", "x", "expected an object, but got an array"),
    ],
)
def test_a_violation_names_its_path_and_what_was_expected(value, param, message):
    """Every form of msgspec's report becomes a sentence and the full path."""
    with pytest.raises(InvalidRequest) as caught:
        read(Raw(value), Form, at="x")
    assert caught.value.param == param
    assert message in caught.value.message


def test_a_missing_field_of_the_body_is_named_without_a_dot():
    """At the top, the path is the field's name."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(b"{}", type=Form)
    assert violation(caught.value).param == "parts"


def test_a_body_of_another_type_has_no_param():
    """There is no path to the whole body."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(b"[]", type=Form)
    error = violation(caught.value)
    assert error.param is None
    assert "must be a JSON object" in error.message


def test_what_is_right_is_returned():
    """A value of the form is the form."""
    assert read(Raw(b'{"parts":[]}'), Form, at="x") == Form([])


@pytest.mark.parametrize(("body", "byte"), [(b'{"a":x}', 5), (b'{"a":', 5)])
def test_malformed_json_is_told_with_its_byte(body, byte):
    """The offset is the parser's, or the end where the body ends too early."""
    with pytest.raises(msgspec.DecodeError) as caught:
        msgspec.json.decode(body)
    assert malformed(caught.value, bytes_total=len(body)).message.endswith(f"at byte {byte}.")


def test_a_long_word_is_cut_and_the_words_are_listed():
    """A caller's word never fills the answer."""
    error = unsupported_value("x", "w" * 1000, ("a", "b"))
    assert len(error.message) < 200
    assert "Supported values are: a, b." in error.message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not valid JSON"),
        (b'{"a":"\xff"}', "not valid UTF-8"),
        (b'{"b":' + b"[" * 100_000, "nested too deeply"),
        (b'{"a":1}', "'a'"),
    ],
)
def test_what_a_decoder_refuses_is_said_to_the_caller(body, said):
    """Whatever is wrong with it; a good body is returned."""
    decoder = msgspec.json.Decoder(_Body)
    assert decoded(b'{"a":"x"}', decoder) == _Body("x")
    with pytest.raises(InvalidRequest, match=said):
        decoded(body, decoder)


def test_what_is_read_without_a_form_has_no_names_to_tell():
    """The sentence says what is wrong all the same."""
    decoder = msgspec.json.Decoder(dict[str, object])
    with pytest.raises(InvalidRequest) as caught:
        decoded(b'{"a":{"b":[7e777]}}', decoder)
    assert caught.value.message == "Invalid value in the request body: number out of range."
    assert caught.value.param is None


class _Body(msgspec.Struct):
    a: str = ""
    b: object = None
