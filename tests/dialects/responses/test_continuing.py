"""Tests of app.dialects.responses.continuing."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from app.dialects.responses.continuing import (
    conversation,
    references,
    refers,
    resolved,
    said_in,
    whole,
)
from app.domain.conversation import NODE_BYTES, Conversation
from app.wire.peek import peek

SAID = {"type": "message", "role": "user", "content": "hi"}
ANSWER = {"type": "message", "role": "assistant", "id": "msg_1", "content": []}


def encoded(value) -> bytes:
    """Return JSON."""
    return msgspec.json.encode(value)


def ended(*output, said=b"", past=None) -> Conversation:
    """Return a conversation that has come to a response."""
    return conversation("resp_1", said, [encoded(i) for i in output], previous=past, stored=True)


def test_the_request_is_said_whole() -> None:
    """What was said before, then what is new; other fields stay as they were."""
    past = ended(ANSWER, said=encoded(SAID))
    body = b'{"model":"m","previous_response_id":"resp_1","input":[{"n":1.50}],"x":{"y":1}}'
    said, seen = whole(peek(body), past, Raw(b'[{"n":1.50}]'))
    kept = {name: value for name, value in ANSWER.items() if name != "id"}
    assert json.loads(said) == {"model": "m", "input": [SAID, kept, {"n": 1.5}], "x": {"y": 1}}
    assert b'{"n":1.50}' in said
    assert (seen.previous_response_id, seen.encrypted) == (None, False)
    assert seen.fields == peek(said).fields


def test_a_text_goes_on_from_a_list() -> None:
    """It is the user's next message."""
    body = b'{"model":"m","input":"more"}'
    said, _ = whole(peek(body), ended(said=encoded(SAID)), Raw(b'"more"'))
    first, second = json.loads(said)["input"]
    assert (first, second["content"][0]["text"]) == (SAID, "more")


def test_encrypted_items_of_before_are_seen() -> None:
    """They belong to the account that made them."""
    reasoning = {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA", "summary": []}
    body = b'{"model":"m","input":[]}'
    assert whole(peek(body), ended(reasoning), Raw(b"[]"))[1].encrypted


def test_reasoning_that_nobody_can_read_is_not_kept() -> None:
    """It could not be said again."""
    found = ended({"type": "reasoning", "id": "rs_1", "summary": []}, ANSWER)
    assert (len(found.output), found.ids) == (1, ("msg_1",))


def test_items_without_an_id_keep_their_bytes() -> None:
    """And one that is no object at all does no harm."""
    found = conversation("r", b"", [b'{"a": 1.50}', b"5"], previous=None, stored=False)
    assert (found.output, found.ids) == ((b'{"a": 1.50}', b"5"), (None, None))
    assert (found.stored, found.size) == (False, 2 * NODE_BYTES // 2 + 12)


def test_a_conversation_grows() -> None:
    """Its size counts all turns."""
    first = ended(said=b"{}")
    assert ended(said=b"{}", past=first).size == 2 * (NODE_BYTES + 2)


def test_a_compaction_stands_for_all_before_it() -> None:
    """What was compacted is not said again."""
    past = ended(ANSWER, said=encoded(SAID))
    said = encoded(SAID) + b"," + encoded({"type": "compaction_trigger"})
    compaction = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gBBB"}
    found = ended(compaction, said=said, past=past)
    assert json.loads(b"[%b]" % found.items()) == [
        {"type": "compaction", "encrypted_content": "gBBB"}
    ]
    assert found.size < past.size


def test_a_compaction_that_was_not_made_leaves_what_was_said() -> None:
    """But for the trigger, which must be an input's last item."""
    past = ended(said=encoded(SAID))
    said = encoded(SAID) + b"," + encoded({"type": "compaction_trigger"})
    found = ended(ANSWER, said=said, past=past)
    assert [item["type"] for item in json.loads(b"[%b]" % found.items())] == ["message"] * 3


def test_references_are_replaced_by_what_they_name() -> None:
    """And nothing else is touched, not even a text that looks like one."""
    said = Raw(b'[{"type":"item_reference","id":"a"},{"text":"item_reference"}, {"id":"a"}]')
    assert references(said) == ["a"]
    assert refers(bytes(said))
    assert resolved(said, {"a": b'{"x":1}'}) == Raw(
        b'[{"x":1},{"text":"item_reference"},{"id":"a"}]'
    )
    assert resolved(Raw(b'[{"type":"item_reference","id":"b"}]'), {}) == Raw(
        b'[{"type":"item_reference","id":"b"}]'
    )


def test_what_is_no_list_refers_to_nothing() -> None:
    """A text may say what it likes."""
    assert references(Raw(b'"item_reference"')) == []
    assert references(Raw(b'[{"type":"item_reference"},{"type":"item_reference","id":5}]')) == []
    assert not refers(b'{"input":"hello"}')


@given(st.lists(st.lists(st.text(max_size=5), max_size=4), max_size=5), st.text(max_size=5))
def test_nothing_is_lost_on_the_way(turns, last) -> None:
    """A conversation of many turns is what was said in them, in order."""
    past = None
    for texts in turns:
        said = b",".join(encoded({"text": text}) for text in texts)
        past = ended({"id": "x", "answers": len(texts)}, said=said, past=past)
    expected = [
        item for texts in turns for item in [*({"text": t} for t in texts), {"answers": len(texts)}]
    ]
    body = encoded({"model": "m", "input": [{"text": last}]})
    said, _ = whole(peek(body), past, Raw(encoded([{"text": last}])))
    assert json.loads(said)["input"] == [*expected, {"text": last}]
    assert said_in(Raw(encoded([{"text": last}]))) == encoded({"text": last})
