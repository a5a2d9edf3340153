"""What one event costs a chat stream: `python tests/bench/chat_feed.py`, run by hand."""

import timeit

from app.dialects.chat.replies import ChatFold, ChatStream
from app.dialects.chat.requests import ChatCall

_ROUNDS = 200_000
_CALL = ChatCall(
    model="gpt-5.6-sol",
    stream=True,
    include_usage=True,
    prompt_cache_key=None,
    body=b"{}",
    tool_names={},
    legacy_functions=False,
)
_EVENTS = {
    "text delta": (
        b'{"type":"response.output_text.delta","sequence_number":10,"item_id":"msg_01",'
        b'"output_index":1,"content_index":0,"delta":" Hello there","logprobs":[],'
        b'"obfuscation":"Xy12ab"}'
    ),
    "reasoning delta": (
        b'{"type":"response.reasoning_summary_text.delta","sequence_number":4,"item_id":"rs_01",'
        b'"output_index":0,"summary_index":0,"delta":"**Inspecting files**","obfuscation":"a8f"}'
    ),
    "arguments delta": (
        b'{"type":"response.function_call_arguments.delta","sequence_number":3,'
        b'"item_id":"fc_01","output_index":2,"delta":"{\\"city\\":","obfuscation":"q"}'
    ),
    "ignored event": (
        b'{"type":"response.content_part.added","sequence_number":9,"item_id":"msg_01",'
        b'"output_index":1,"content_index":0,"part":{"type":"output_text","text":""}}'
    ),
}
_ADDED = (
    b'{"type":"response.output_item.added","output_index":2,"item":{"id":"fc_01",'
    b'"type":"function_call","call_id":"call_abc","name":"get_weather","arguments":""}}'
)


def main() -> None:
    """Print microseconds an event, the best of five."""
    for name, event in _EVENTS.items():
        for kind in (ChatStream, ChatFold):
            reply = kind(call=_CALL, id="chatcmpl-1", created_at=1_784_900_000)
            reply.feed(_ADDED)
            reply.feed(event)
            timer = timeit.Timer(lambda reply=reply, event=event: reply.feed(event))
            rounds = _ROUNDS if kind is ChatStream else _ROUNDS // 10
            cost_us = min(timer.repeat(repeat=5, number=rounds)) / rounds * 1e6
            print(f"{kind.__name__:11} {name:16} {cost_us:6.2f} us")


if __name__ == "__main__":
    main()
