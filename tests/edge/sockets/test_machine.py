"""Tests of app.edge.sockets.machine: every input in every state."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.edge.sockets.machine import (
    Abandon,
    Begin,
    Close,
    Interrupt,
    Machine,
    SocketBounds,
    State,
    close_code,
)
from app.errors import (
    CapacityError,
    ContextUnavailable,
    Draining,
    GatewayError,
    InvalidRequest,
    NotAllowed,
    PayloadTooLarge,
    RequestTimeout,
    StreamIncomplete,
    TooManyRequests,
)

BOUNDS = SocketBounds(
    first_message_s=30.0,
    idle_s=600.0,
    life_s=3_600.0,
    messages_per_s=10.0,
    message_bytes_max=1_000,
    waiting_max=2,
    waiting_bytes_max=100,
)
Input = Callable[[Machine], Any]


def idle() -> Machine:
    """Return a connection that has just been accepted."""
    return Machine(BOUNDS, now=0.0)


def busy(*waiting: bytes) -> Machine:
    """Return a connection with a turn that runs, and some that wait."""
    machine = idle()
    assert machine.asked(b"1") == [Begin(b"1")]
    for body in waiting:
        assert machine.asked(body) == []
    return machine


def interrupted() -> Machine:
    """Return a connection whose turn was told to end, and has not yet."""
    machine = busy(b"2")
    machine.binary()
    return machine


def closing() -> Machine:
    """Return a connection on which the last thing has been said."""
    machine = idle()
    machine.drain()
    return machine


BAD = InvalidRequest("bad")
LATE = 3_600.0
TABLE: list[tuple[str, Callable[[], Machine], Input, list[str], State]] = [
    ("a request begins", idle, lambda m: m.asked(b"x"), ["begin x"], State.BUSY),
    ("a second one waits", busy, lambda m: m.asked(b"x"), [], State.BUSY),
    ("one too many", lambda: busy(b"2", b"3"), lambda m: m.asked(b"x"),
     ["interrupt rate_limit_exceeded"], State.BUSY),
    ("too many bytes", busy, lambda m: m.asked(bytes(101)),
     ["interrupt rate_limit_exceeded"], State.BUSY),
    ("none after a violation", interrupted, lambda m: m.asked(b"x"), [], State.BUSY),
    ("none after the end", closing, lambda m: m.asked(b"x"), [], State.CLOSING),
    ("what is not understood", idle, lambda m: m.refused(BAD),
     ["close 1008 invalid_request"], State.CLOSING),
    ("the same in a turn", busy, lambda m: m.refused(BAD),
     ["interrupt invalid_request"], State.BUSY),
    ("only the first counts", interrupted, lambda m: m.refused(BAD), [], State.BUSY),
    ("bad text after the end", closing, lambda m: m.refused(BAD), [], State.CLOSING),
    ("binary", idle, lambda m: m.binary(), ["close 1003 invalid_request"], State.CLOSING),
    ("binary in a turn", busy, lambda m: m.binary(), ["interrupt invalid_request"], State.BUSY),
    ("too big", idle, lambda m: m.heard(now=1.0, size=1_001),
     ["close 1009 payload_too_large"], State.CLOSING),
    ("too big in a turn", busy, lambda m: m.heard(now=1.0, size=1_001),
     ["interrupt payload_too_large"], State.BUSY),
    ("as big as may be", idle, lambda m: m.heard(now=1.0, size=1_000), [], State.IDLE),
    ("anything after the end", closing, lambda m: m.heard(now=1.0, size=9_999), [], State.CLOSING),
    ("a turn ends", busy, lambda m: m.answered(None, now=1.0), [], State.IDLE),
    ("the next one begins", lambda: busy(b"2", b"3"), lambda m: m.answered(None, now=1.0),
     ["begin 2"], State.BUSY),
    ("a turn ends with an error", lambda: busy(b"2"), lambda m: m.answered(BAD, now=1.0),
     ["close 1008"], State.CLOSING),
    ("with one that can be mended", lambda: busy(b"2"),
     lambda m: m.answered(ContextUnavailable("x"), now=1.0), ["begin 2"], State.BUSY),
    ("with the violation", interrupted, lambda m: m.answered(BAD, now=1.0),
     ["close 1003"], State.CLOSING),
    ("it had ended just before", interrupted, lambda m: m.answered(None, now=1.0),
     ["close 1003"], State.CLOSING),
    ("too old after a turn", lambda: busy(b"2"), lambda m: m.answered(None, now=LATE),
     ["close 1001 websocket_connection_limit_reached"], State.CLOSING),
    ("nothing after the end", closing, lambda m: m.answered(None, now=1.0), [], State.CLOSING),
    ("too early to look", idle, lambda m: m.tick(now=29.9), [], State.IDLE),
    ("no first message", idle, lambda m: m.tick(now=30.0),
     ["close 1008 request_timeout"], State.CLOSING),
    ("a turn is no idleness", busy, lambda m: m.tick(now=LATE + 1), [], State.BUSY),
    ("nothing to look for", closing, lambda m: m.tick(now=LATE), [], State.CLOSING),
    ("a drain of an idle one", idle, lambda m: m.drain(), ["close 1012"], State.CLOSING),
    ("a drain of a busy one", lambda: busy(b"2"), lambda m: m.drain(), [], State.BUSY),
    ("a second drain", closing, lambda m: m.drain(), [], State.CLOSING),
    ("a hurry when idle", idle, lambda m: m.hurry(), ["close 1012"], State.CLOSING),
    ("a hurry in a turn", lambda: busy(b"2"), lambda m: m.hurry(),
     ["interrupt server_draining"], State.BUSY),
    ("a hurry after a violation", interrupted, lambda m: m.hurry(), [], State.BUSY),
    ("left", idle, lambda m: m.left(), [], State.CLOSING),
    ("left in a turn", lambda: busy(b"2"), lambda m: m.left(), ["abandon"], State.CLOSING),
    ("left after the end", closing, lambda m: m.left(), [], State.CLOSING),
]  # fmt: skip


def said(commands: Any) -> list[str]:
    """Return commands as the table spells them."""
    return [_said(command) for command in commands]


def _said(command: Any) -> str:
    match command:
        case Begin():
            return f"begin {command.body.decode()}"
        case Interrupt():
            return f"interrupt {command.error.code}"
        case Close():
            code = f" {command.error.code}" if command.error else ""
            return f"close {command.code}{code}"
    assert command == Abandon()
    return "abandon"


@pytest.mark.parametrize(("machine", "happens", "expected", "state"),
                         [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])  # fmt: skip
def test_each_input_in_each_state(machine, happens, expected, state) -> None:
    """What comes out, and where the connection is then."""
    machine = machine()
    assert said(happens(machine)) == expected
    assert machine.state is state


def test_a_drain_comes_at_the_turn_boundary() -> None:
    """What waits is not begun: the caller is told to come back."""
    machine = busy(b"2")
    machine.drain()
    assert said(machine.answered(None, now=5.0)) == ["close 1012"]


def test_a_hurried_turn_closes_as_a_restart() -> None:
    """Whatever it ended with."""
    machine = busy()
    machine.hurry()
    assert said(machine.answered(Draining("x"), now=5.0)) == ["close 1012"]


def test_idleness_is_counted_from_the_last_turn() -> None:
    """And ends with a normal close: there is nothing wrong."""
    machine = busy()
    machine.answered(None, now=100.0)
    assert machine.due_at == 700.0
    assert said(machine.tick(now=699.0)) == []
    assert said(machine.tick(now=700.0)) == ["close 1000"]


def test_an_idle_connection_ends_with_its_life() -> None:
    """With the frame that tells a Codex client to connect anew, in the upstream's own words."""
    machine = busy()
    machine.answered(None, now=3_500.0)
    assert machine.due_at == 3_600.0
    [close] = machine.tick(now=3_600.0)
    assert (close.error.code, close.error.status) == ("websocket_connection_limit_reached", 400)
    assert close.error.message == (
        "Responses websocket connection limit reached (60 minutes). Create a new websocket"
        " connection to continue."
    )


def test_the_rate_of_messages_is_bounded() -> None:
    """A burst of twice the rate is let through, and then what the rate allows."""
    machine = idle()
    assert [machine.heard(now=0.0) for _ in range(20)] == [[]] * 20
    assert said(machine.heard(now=0.0)) == ["close 1008 rate_limit_exceeded"]
    patient = idle()
    assert [patient.heard(now=at / 10) for at in range(100)] == [[]] * 100


@pytest.mark.parametrize(("error", "code"), [
    (InvalidRequest("x"), 1008),
    (NotAllowed("x"), 1008),
    (RequestTimeout("x"), 1008),
    (PayloadTooLarge("x"), 1008),
    (TooManyRequests("x"), 1013),
    (GatewayError("x"), 1011),
    (CapacityError("x"), 1011),
    (StreamIncomplete("x"), 1011),
    (Draining("x"), 1012),
    (ContextUnavailable("x"), None),
    (InvalidRequest("x", code="previous_response_not_found"), None),
])  # fmt: skip
def test_the_code_tells_whether_to_come_back(error, code) -> None:
    """A limit: later. A restart: at once. The caller's fault: not as it is."""
    assert close_code(error) == code


INPUTS: dict[str, Callable[[Machine, float], Any]] = {
    "ask": lambda m, now: m.heard(now=now, size=1) or m.asked(b"x"),
    "binary": lambda m, _: m.binary(),
    "bad": lambda m, _: m.refused(BAD),
    "tick": lambda m, now: m.tick(now=now),
    "drain": lambda m, _: m.drain(),
    "hurry": lambda m, _: m.hurry(),
    "left": lambda m, _: m.left(),
}


@given(st.lists(st.tuples(st.sampled_from([*INPUTS, "answer", "fail"]), st.floats(0, 400))))
def test_whatever_happens_one_turn_runs_and_one_close_comes(steps) -> None:
    """Never two turns at a time; nothing after a close; an interrupted turn begins no other."""
    machine, now, running, interrupts, closed = idle(), 0.0, False, 0, False
    for what, passes_s in steps:
        now += passes_s
        if what in ("answer", "fail"):
            if not running:
                continue
            running = False
            commands = machine.answered(BAD if what == "fail" else None, now=now)
        else:
            commands = INPUTS[what](machine, now)
        for command in commands:
            assert not closed
            match command:
                case Begin():
                    assert not running
                    assert not interrupts
                    running = True
                case Interrupt():
                    assert running
                    interrupts += 1
                    assert interrupts == 1
                case Close():
                    assert not running
                    closed = True
                case _:
                    assert running
                    closed = True
        assert machine.due_at >= 0
