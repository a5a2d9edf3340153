"""Well-formed replies of an upstream, in every form that upstreams give them, for properties.

A reply is a list of items, each with its own sequence of events; the sequences are mixed as they
come. What must arrive of it is known beforehand.
"""

from itertools import pairwise

from hypothesis import strategies as st
from msgspec import Struct

from tests.dialects.messages.asking import event

TEXT = st.text(alphabet='ab"\\\n€😀 \u2028', min_size=1, max_size=8)
PIECES = st.lists(TEXT, min_size=1, max_size=3)


class Item(Struct):
    """An item: what it holds, and the events that tell of it but for their places."""

    kind: str
    texts: list[str]
    events: list[tuple[str, dict]]


class Reply(Struct):
    """A reply: its items and its events, encoded."""

    items: list[Item]
    events: list[bytes]
    usage: dict


def _pieces(draw, text):
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=2)))
    ends = [0, *cuts, len(text)]
    return [text[start:end] for start, end in pairwise(ends)]


def _said(draw, kind, text, **place):
    """Yield the events of one part: deltas, or the whole, or both."""
    how = draw(st.sampled_from(["deltas", "whole", "both"]))
    if how != "whole":
        yield from ((f"{kind}.delta", {**place, "delta": piece}) for piece in _pieces(draw, text))
    if how != "deltas":
        field = "arguments" if "arguments" in kind else "text"
        yield f"{kind}.done", {**place, field: text}


@st.composite
def _message(draw):
    texts = draw(PIECES)
    events = [("response.output_item.added", {"item": {"type": "message", "content": []}})]
    for index, text in enumerate(texts):
        events += _said(draw, "response.output_text", text, content_index=index)
    content = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    events.append(("response.output_item.done", {"item": {"type": "message", "content": content}}))
    return Item("message", texts, events)


@st.composite
def _reasoning(draw):
    texts = draw(st.lists(TEXT, max_size=3))
    events = [("response.output_item.added", {"item": {"type": "reasoning", "summary": []}})]
    for index, text in enumerate(texts):
        events += _said(draw, "response.reasoning_summary_text", text, summary_index=index)
    summary = [{"type": "summary_text", "text": text} for text in texts]
    item = {"type": "reasoning", "summary": summary, "encrypted_content": "gAAAA"}
    events.append(("response.output_item.done", {"item": item}))
    return Item("reasoning", texts, events)


@st.composite
def _call(draw):
    arguments = '{"x": "' + draw(st.text(alphabet="ab€", max_size=6)) + '"}'
    call = {"type": "function_call", "name": "f"}
    events = []
    if draw(st.booleans()):
        events.append(("response.output_item.added", {"item": {**call, "arguments": ""}}))
        events += _said(draw, "response.function_call_arguments", arguments)
    done = {"item": {**call, "arguments": arguments}}
    events.append(("response.output_item.done", done))
    return Item("call", [arguments], events)


@st.composite
def replies(draw, *, mixed=True):
    """Return a reply that ends well."""
    items = draw(st.lists(_message() | _reasoning() | _call(), max_size=4))
    waiting = [list(item.events) for item in items]
    events = [event("response.created", response={})] if draw(st.booleans()) else []
    while any(waiting):
        left = [index for index, one in enumerate(waiting) if one]
        index = draw(st.sampled_from(left)) if mixed else left[0]
        kind, fields = waiting[index].pop(0)
        fields = {**fields, "output_index": index}
        if "item" in fields:
            names = {"id": f"i_{index}", "call_id": f"c_{index}"}
            fields["item"] = {**names, **fields["item"]}
        events.append(event(kind, item_id=f"i_{index}", **fields))
    usage = {"input_tokens": 7, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 2}}
    last = event(
        "response.completed", response={"status": "completed", "output": [], "usage": usage}
    )
    return Reply(items, [*events, last], usage)
