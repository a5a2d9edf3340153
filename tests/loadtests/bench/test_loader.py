"""What the loader calls a whole stream, and what it calls a fault."""

import pytest

from loadtests.bench.loader import StreamCaller, Tally

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def event(number: int, text: str) -> bytes:
    """Return a delta of a Responses stream as a chunk."""
    data = f'{{"type":"response.output_text.delta","sequence_number":{number},"delta":"{text}"}}'
    return chunk(f"event: response.output_text.delta\ndata: {data}\n\n".encode())


def chunk(data: bytes) -> bytes:
    """Return the data as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


FIRST, SECOND = event(0, "t=1 a"), event(1, "t=2 b")
DONE = chunk(b'data: {"type":"response.completed","sequence_number":2}\n\n')
END = b"0\r\n\r\n"


def tallied(wire: bytes, *, step: int | None = None) -> Tally:
    """Return the tally of one stream of two deltas that then hangs up."""
    tally = Tally(deltas=2)
    caller = StreamCaller(b"", tally, 0)
    tally.began()
    for at in range(0, len(wire), step or len(wire)):
        caller.data_received(wire[at : at + (step or len(wire))])
    caller.connection_lost(None)
    return tally


@pytest.mark.parametrize("step", [None, 1, 7, 64])
def test_a_whole_stream_is_complete_however_it_arrives(step):
    """Events are counted whole, in one read or in many."""
    tally = tallied(HEAD + FIRST + SECOND + DONE + END, step=step)
    assert (tally.events, tally.complete, tally.open) == (2, 1, 0)
    assert not tally.faults


@pytest.mark.parametrize("step", [None, 1, 64])
def test_a_stream_of_messages_is_read_as_well(step):
    """Its deltas have another form, and its end another name."""
    head = 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
    pieces = [f'{head}{{"type":"text_delta","text":"t={n} "}}}}\n\n'.encode() for n in (1, 2)]
    end = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    tally = tallied(HEAD + b"".join(map(chunk, [*pieces, end])) + END, step=step)
    assert (tally.events, tally.complete, dict(tally.faults)) == (2, 1, {})


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (FIRST + SECOND + DONE, "cut off (NoneType)"),
        (FIRST + SECOND + END, "no terminal event"),
        (FIRST + chunk(b"data: [DONE]\n\n") + END, "1 of 2 deltas"),
        (SECOND + FIRST + DONE + END, "events reordered"),
        (FIRST + event(2, "t=2 b") + DONE + END, "events lost or reordered"),
    ],
)
def test_a_stream_that_is_not_whole_is_a_fault(body, fault):
    """Cut, without its end, short, reordered and with a hole: each has its name."""
    tally = tallied(HEAD + body)
    assert dict(tally.faults) == {fault: 1}
    assert tally.complete == 0


def test_another_status_is_a_fault():
    """A refusal is no stream."""
    tally = tallied(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
    assert dict(tally.faults) == {"status 503": 1}
