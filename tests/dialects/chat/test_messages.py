"""Messages as input items."""

import msgspec
import pytest

from app.dialects.chat.messages import to_input
from app.dialects.chat.requests import decode
from app.errors import InvalidRequest

USER = {"role": "user", "content": "Hi"}
SAID = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}


def items(*messages):
    """Return the input items that say `messages`."""
    body = msgspec.json.encode({"model": "m", "messages": list(messages)})
    return to_input(decode(body).messages)


def calls(*ids, **fields):
    """Return an assistant message that calls `f` once for each of `ids`."""
    tool_calls = [{"id": name, "function": {"name": "f", "arguments": "{}"}} for name in ids]
    return {"role": "assistant", "tool_calls": tool_calls} | fields


def output(id, content="ok"):
    """Return a tool's answer."""
    return {"role": "tool", "tool_call_id": id, "content": content}


def function_call(id, name="f", arguments="{}"):
    """Return a call as Responses has it."""
    return {"type": "function_call", "call_id": id, "name": name, "arguments": arguments}


def refused(*messages):
    """Return the error that refuses `messages`."""
    with pytest.raises(InvalidRequest) as caught:
        items(*messages)
    return caught.value


@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize("content", ["Be kind.", [{"type": "text", "text": "Be kind."}]])
def test_system_and_developer_are_developer(role, content):
    """The upstream refuses the older name; the place is kept."""
    said = items(USER, {"role": role, "content": content, "name": "ops"})
    assert said == [
        SAID,
        {
            "type": "message",
            "role": "developer",
            "content": [{"type": "input_text", "text": "Be kind."}],
        },
    ]


def test_an_empty_system_message_is_skipped():
    """It says nothing."""
    assert items({"role": "system", "content": ""}, USER) == [SAID]


def test_every_part_of_a_user_message_is_said():
    """Text, images, files and sound."""
    said = items(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "HTTPS://x/y.png", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "file", "file": {"file_data": "data:x", "filename": "a.pdf"}},
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            ],
        }
    )
    assert said[0]["content"] == [
        {"type": "input_text", "text": "Look"},
        {"type": "input_image", "image_url": "HTTPS://x/y.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
        {"type": "input_file", "file_data": "data:x", "filename": "a.pdf"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]


def test_a_file_needs_content_or_id():
    """A name alone is no file."""
    error = refused({"role": "user", "content": [{"type": "file", "file": {"filename": "a.pdf"}}]})
    assert error.param == "messages[0].content[0].file"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"content": "Yes."}, [{"type": "output_text", "text": "Yes."}]),
        (
            {
                "content": [
                    {"type": "text", "text": "Yes."},
                    {"type": "text", "text": ""},
                    {"type": "refusal", "refusal": "No."},
                    {"type": "refusal", "refusal": ""},
                ]
            },
            [{"type": "output_text", "text": "Yes."}, {"type": "refusal", "refusal": "No."}],
        ),
        ({"content": None, "refusal": "No."}, [{"type": "refusal", "refusal": "No."}]),
        (
            {"content": "Yes.", "reasoning_content": "Hm."},
            [{"type": "output_text", "text": "Yes."}],
        ),
    ],
)
def test_an_earlier_answer_is_said(message, said):
    """Its reasoning is not: only encrypted reasoning can be replayed."""
    expected = {"type": "message", "role": "assistant", "content": said}
    assert items(USER, {"role": "assistant"} | message) == [SAID, expected]


@pytest.mark.parametrize("message", [{}, {"content": None}, {"content": ""}, {"content": []}])
def test_an_empty_answer_is_skipped(message):
    """The upstream refuses an empty item."""
    assert items({"role": "assistant"} | message, USER) == [SAID]


def test_messages_that_are_all_empty_are_refused():
    """There is nothing to send."""
    assert refused({"role": "assistant", "content": ""}).param == "messages"


def test_sound_of_an_earlier_answer_is_refused():
    """Only its id is known here."""
    error = refused({"role": "assistant", "audio": {"id": "audio-1"}})
    assert (error.param, error.code) == ("messages[0].audio", "unsupported_parameter")


def test_calls_follow_the_text_and_outputs_follow_the_calls():
    """One item a call, whatever the order of the answers."""
    message = calls("a", "b", content="Wait.")
    message["tool_calls"][1]["function"]["arguments"] = ""
    assert items(USER, message, output("b"), output("a"), USER) == [
        SAID,
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Wait."}],
        },
        function_call("a"),
        function_call("b"),
        {"type": "function_call_output", "call_id": "b", "output": "ok"},
        {"type": "function_call_output", "call_id": "a", "output": "ok"},
        SAID,
    ]


def test_a_custom_call_has_a_custom_output():
    """The two families don't mix."""
    call = {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "x"}}
    assert items({"role": "assistant", "tool_calls": [call]}, output("c")) == [
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
    ]


def test_an_output_may_have_parts():
    """Also images, which Responses takes there."""
    content = [
        {"type": "text", "text": "ok"},
        {"type": "image_url", "image_url": {"url": "http://x"}},
    ]
    assert items(calls("a"), output("a", content))[1]["output"] == [
        {"type": "input_text", "text": "ok"},
        {"type": "input_image", "image_url": "http://x", "detail": "auto"},
    ]


def test_a_long_id_or_name_is_shortened_on_both_sides():
    """Call and output still belong together."""
    long = "call_" + "x" * 80
    message = calls(long)
    message["tool_calls"][0]["function"]["name"] = "f" * 80
    call, answer = items(message, output(long))
    assert call["call_id"] == answer["call_id"]
    assert len(call["call_id"]) == len(call["name"]) == 64


def test_the_same_ids_may_return_in_a_later_turn():
    """Some callers number the calls of each turn anew."""
    assert len(items(calls("a"), output("a"), calls("a"), output("a"))) == 4


def test_a_call_of_the_functions_of_old_gets_an_id():
    """The same one every time, so that the prompt cache holds."""
    message = {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}
    answer = {"role": "function", "name": "f", "content": None}
    said = items(USER, message, answer, USER)
    assert said[1:3] == [
        function_call("call_1_f"),
        {"type": "function_call_output", "call_id": "call_1_f", "output": ""},
    ]


@pytest.mark.parametrize(
    "last", [(), (USER,), (calls("z"),), ({"role": "system", "content": "x"},)]
)
def test_a_call_without_an_answer_is_refused(last):
    """Whatever follows, and nothing as well."""
    error = refused(USER, calls("a", "b"), output("a"), *last)
    assert error.param == "messages[1].tool_calls"
    assert error.message.endswith("did not have response messages: b")
    assert "must be followed by tool messages" in error.message


def test_a_call_of_old_without_an_answer_is_refused():
    """The upstream would refuse it."""
    error = refused(USER, {"role": "assistant", "function_call": {"name": "f"}}, USER)
    assert error.param == "messages[1].function_call"


def test_an_answer_without_a_call_is_refused():
    """Also if the call is an earlier turn's."""
    assert refused(USER, output("a")).param == "messages[1].tool_call_id"
    assert refused(calls("a"), output("a"), USER, output("a")).param == "messages[3].tool_call_id"
    error = refused(calls("a"), output("b"))
    assert error.param == "messages[1].tool_call_id"
    assert "'b' not found" in error.message


@pytest.mark.parametrize("before", [(), ({"role": "assistant", "function_call": {"name": "g"}},)])
def test_an_answer_of_old_without_a_call_is_refused(before):
    """The names must agree."""
    error = refused(*before, {"role": "function", "name": "f", "content": "x"})
    assert error.param == f"messages[{len(before)}].name"


@pytest.mark.parametrize(
    ("call", "param"),
    [
        ({"id": "a"}, "messages[0].tool_calls[0].function"),
        ({"id": "a", "type": "custom"}, "messages[0].tool_calls[0].custom"),
    ],
)
def test_a_call_of_nothing_is_refused(call, param):
    """Its type says what must be there."""
    assert refused({"role": "assistant", "tool_calls": [call]}).param == param
