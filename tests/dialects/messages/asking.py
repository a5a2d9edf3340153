"""Short ways of making requests, calls and events for the tests of this dialect."""

import msgspec

from app.dialects.messages.requests import MessagesCall, decode, to_responses

EFFORTS = ("low", "medium", "high", "xhigh")


def request(*messages, **fields):
    """Return a request; a message is a role and its content."""
    said = [{"role": role, "content": content} for role, content in messages]
    said = said or [{"role": "user", "content": "hi"}]
    body = {"model": "claude", "max_tokens": 10, "messages": said, **fields}
    return decode(msgspec.json.encode(body))


def upstream(*messages, efforts=EFFORTS, **fields):
    """Return what goes upstream, decoded."""
    call = to_responses(request(*messages, **fields), upstream_model="gpt", efforts=efforts)
    return msgspec.json.decode(call.body)


def call(**fields):
    """Return what a reply's translator knows of its request."""
    return MessagesCall(**{"model": "claude", "body": b"", "tool_names": {}, **fields})


def event(kind, **fields):
    """Return the data of one upstream event."""
    return msgspec.json.encode({"type": kind, **fields})


def frames(data):
    """Return the events in encoded frames, decoded."""
    blocks = [block for block in data.split(b"\n\n") if block]
    return [msgspec.json.decode(block.partition(b"\ndata: ")[2]) for block in blocks]
