"""Bodies that are wrong, each with the field that the answer must name."""

import json

from tests.e2e.bad_input_wire import chat, responses
from tests.e2e.programs import MODEL

DEEP = 100_000
_OPENING = f'{{"model":"{MODEL}","input":'.encode()


def _with_input(value: bytes) -> bytes:
    return _OPENING + value + b',"messages":[]}'


NOT_JSON = {
    "nothing": b"",
    "a word": b"hello",
    "an array": b"[]",
    "a string": b'"hello"',
    "null": b"null",
    "cut short": _OPENING,
    "a second value": _with_input(b'"x"') + b"{}",
    "a comma too many": _with_input(b'["x",]'),
    "a comment": _with_input(b'"x" /* y */'),
    "NaN": _with_input(b"NaN"),
    "Infinity": _with_input(b"-Infinity"),
    "a leading zero": _with_input(b"01"),
    "a control character": _with_input(b'"a\x01b"'),
    "a byte order mark": b"\xef\xbb\xbf" + _with_input(b'"x"'),
    "UTF-16": _with_input(b'"x"').decode().encode("utf-16"),
    "no UTF-8": _with_input(b'"a\xff"'),
    "an overlong slash": _with_input(b'"a\xc0\xaf"'),
    "half a surrogate in UTF-8": _with_input(b'"\xed\xa0\x80"'),
    "half a surrogate escaped": _with_input(rb'"\ud800"'),
    "100,000 arrays": _with_input(b"[" * DEEP + b"]" * DEEP),
    "100,000 objects": _with_input(b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "100,000 arrays that never end": _OPENING + b"[" * DEEP,
    "513 levels": _with_input(b"[" * 513 + b"]" * 513),
    "100,000 fields": b"{" + b",".join(b'"f%d":1' % n for n in range(DEEP)) + b"}",
}
"""Refused on every route; the error is about the body and not about a field."""

TWICE = {
    "model": ("model", b'{"model":"gpt-5.5","input":"x","messages":[],"model":"gpt-4"}'),
    "model, escaped": ("model", rb'{"model":"gpt-5.5","input":"x","messages":[],"mod\u0065l":"x"}'),
    "model, both alike": ("model", b'{"model":"gpt-5.5","model":"gpt-5.5","input":"x"}'),
    "stream": ("stream", b'{"model":"gpt-5.5","stream":true,"input":"x","stream":false}'),
    "a field nobody knows": ("zz", b'{"model":"gpt-5.5","zz":1,"zz":2,"input":"x"}'),
}
"""A name that stands twice: what is named, and the body."""

_BAD_TOOL = [{"type": "function", "function": {"name": 5}}]

CHAT_FIELDS = {
    "no model": ("model", json.dumps({"messages": []}).encode()),
    "no messages": ("messages", json.dumps({"model": MODEL}).encode()),
    "model 5": ("model", chat(model=5)),
    "model null": ("model", chat(model=None)),
    "model empty": ("model", chat(model="  ")),
    "model long": ("model", chat(model="m" * 257)),
    "model with a newline": ("model", chat(model="gpt\n5")),
    "messages a string": ("messages", chat(messages="hello")),
    "a message a number": ("messages[0]", chat(messages=[5])),
    "role 5": ("messages[0].role", chat(messages=[{"role": 5, "content": "x"}])),
    "an unknown role": ("messages[0].role", chat(messages=[{"role": "boss", "content": "x"}])),
    "content 5": ("messages[1].content", chat(messages=[{"role": "user", "content": "x"},
                                                        {"role": "user", "content": 5}])),
    "stream a word": ("stream", chat(stream="yes")),
    "stream_options an array": ("stream_options", chat(stream_options=[])),
    "temperature a word": ("temperature", chat(temperature="hot")),
    "temperature 1e999": ("temperature", chat().replace(b"{", b'{"temperature":1e999,', 1)),
    "n 2": ("n", chat(n=2)),
    "max_tokens a word": ("max_tokens", chat(max_tokens="many")),
    "tools an object": ("tools", chat(tools={})),
    "a tool's name 5": ("tools[0].function.name", chat(tools=_BAD_TOOL)),
    "tool_choice 5": ("tool_choice", chat(tool_choice=5)),
    "response_format a word": ("response_format", chat(response_format="json")),
    "reasoning_effort 5": ("reasoning_effort", chat(reasoning_effort=5)),
    "parallel_tool_calls a word": ("parallel_tool_calls", chat(parallel_tool_calls="no")),
    "prompt_cache_key 5": ("prompt_cache_key", chat(prompt_cache_key=5)),
}  # fmt: skip
"""Chat bodies, and the path that the answer names."""

RESPONSES_FIELDS = {
    "no model": ("model", json.dumps({"input": "x"}).encode()),
    "no input": ("input", json.dumps({"model": MODEL}).encode()),
    "model 5": ("model", responses(model=5)),
    "model empty": ("model", responses(model="")),
    "input 5": ("input", responses(input=5)),
    "an item a number": ("input[0]", responses(input=[5])),
    "an item's role 5": ("input[0].role", responses(input=[{"role": 5, "content": "x"}])),
    "instructions 5": ("instructions", responses(instructions=5)),
    "stream a word": ("stream", responses(stream="yes")),
    "store a word": ("store", responses(store="no")),
    "reasoning a word": ("reasoning", responses(reasoning="high")),
    "effort 5": ("reasoning.effort", responses(reasoning={"effort": 5})),
    "tools an object": ("tools", responses(tools={})),
    "a tool a number": ("tools[0]", responses(tools=[5])),
    "text's format a word": ("text.format", responses().replace(b"{", b'{"text":{"format":5},', 1)),
    "text a word": ("text", responses().replace(b"{", b'{"text":"plain",', 1)),
    "include a word": ("include", responses(include="all")),
    "prompt_cache_key 5": ("prompt_cache_key", responses(prompt_cache_key=5)),
    "client_metadata a word": ("client_metadata", responses(client_metadata="x")),
    "background": ("background", responses(background=True)),
    "conversation": ("conversation", responses(conversation="conv_1")),
    "previous_response_id 5": ("previous_response_id", responses(previous_response_id=5)),
}
"""Responses bodies, and the path that the answer names."""
