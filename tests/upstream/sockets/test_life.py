"""The life of a socket, every event in every phase."""

from random import Random

import pytest

from app.dialects.responses.events import Kind, classify
from app.upstream.sockets.life import (
    AGE_S_MAX,
    AGE_SPREAD_S,
    IDLE_S,
    NAMES_KEPT,
    PING_EVERY_S,
    PONG_WITHIN_S,
    Life,
    Look,
    Phase,
    Reason,
    Whose,
)
from tests.fakes.connection import completed, created, delta, event

EVENTS = {
    "private": event("codex.rate_limits"),
    "created": created("r1"),
    "progress": event("response.in_progress", response={"id": "r1"}),
    "another's progress": event("response.in_progress", response={"id": "r0"}),
    "content": delta("x"),
    "completed": completed("r1"),
    "another's completed": completed("r0"),
    "nameless completed": event("response.completed"),
    "incomplete": event("response.incomplete", response={"id": "r1"}),
    "failed": event("response.failed", response={"id": "r1"}),
    "error": event("error", message="no"),
    "outlived": event("error", error={"code": "websocket_connection_limit_reached"}),
    "unreadable": b"{",
}


def hear(life: Life, data: bytes, now: float = 0.0) -> Whose:
    """Let it hear a message."""
    return life.hear(classify(data), data, now)


def alive(phase: Phase, *, reused: bool = True) -> Life:
    """Return a socket in a phase; its present response is r1."""
    life = Life(now=0.0, rng=Random(1))
    if reused:
        life.ask(hold=False)
        hear(life, created("r0"))
        hear(life, completed("r0"))
        assert life.consumed(0.0)
    if phase is Phase.IDLE:
        return life
    life.ask(hold=True)
    if phase is Phase.ASKED:
        return life
    hear(life, created("r1"))
    if phase is Phase.DONE:
        hear(life, completed("r1"))
    if phase is Phase.CLOSED:
        life.close(Reason.DRAIN)
    return life


TURN, NOBODY, STRAY = Whose.TURN, Whose.NOBODY, Whose.STRAY
ASKED, ANSWERING, DONE = Phase.ASKED, Phase.ANSWERING, Phase.DONE
TABLE = {
    #                      idle    asked                                answering
    #                              reused            new
    "private":             (NOBODY, (TURN, ASKED),     (TURN, ASKED),     (TURN, ANSWERING)),
    "created":             (STRAY, (TURN, ANSWERING), (TURN, ANSWERING), (TURN, ANSWERING)),
    "progress":            (STRAY, (TURN, ANSWERING), (TURN, ANSWERING), (TURN, ANSWERING)),
    "another's progress":  (STRAY, (STRAY, ASKED),    (TURN, ANSWERING), (STRAY, ANSWERING)),
    "content":             (STRAY, (STRAY, ASKED),    (TURN, ANSWERING), (TURN, ANSWERING)),
    "completed":           (STRAY, (STRAY, ASKED),    (TURN, DONE),      (TURN, DONE)),
    "another's completed": (STRAY, (STRAY, ASKED),    (TURN, DONE),      (STRAY, ANSWERING)),
    "nameless completed":  (STRAY, (STRAY, ASKED),    (TURN, DONE),      (TURN, DONE)),
    "incomplete":          (STRAY, (STRAY, ASKED),    (TURN, DONE),      (TURN, DONE)),
    "failed":              (STRAY, (TURN, DONE),      (TURN, DONE),      (TURN, DONE)),
    "error":               (STRAY, (TURN, ANSWERING), (TURN, ANSWERING), (TURN, ANSWERING)),
    "outlived":            (STRAY, (TURN, ANSWERING), (TURN, ANSWERING), (TURN, ANSWERING)),
    "unreadable":          (STRAY, (STRAY, ASKED),    (TURN, ANSWERING), (TURN, ANSWERING)),
}  # fmt: skip
"""What each event is in each phase, and the phase after it."""


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_in_every_phase(name):
    """The table above is complete, and between two responses only private events are harmless."""
    idle, reused, new, answering = TABLE[name]
    data = EVENTS[name]
    for phase in (Phase.IDLE, Phase.DONE):
        life = alive(phase)
        assert hear(life, data) is idle
        assert (life.spoilt is None) == (idle is NOBODY)
    for life, expected in (
        (alive(Phase.ASKED), reused),
        (alive(Phase.ASKED, reused=False), new),
        (alive(Phase.ANSWERING), answering),
    ):
        assert (hear(life, data), life.phase) == expected
        if expected[0] is STRAY:
            assert life.spoilt is Reason.STRAY
    assert hear(alive(Phase.CLOSED), data) is NOBODY


@pytest.mark.parametrize("name", EVENTS)
def test_only_a_good_end_leaves_a_socket_for_the_next(name):
    """Whatever a response ended with, the socket is only used again after a good terminal event."""
    life = alive(Phase.ANSWERING)
    hear(life, EVENTS[name])
    good = name in {"completed", "incomplete", "nameless completed"}
    assert life.consumed(0.0) is good
    assert life.fit(0.0) is good
    assert (life.held == "r1") is good


def test_an_error_spoils_a_socket_even_if_a_good_end_follows():
    """The call is served; nobody comes after it."""
    life = alive(Phase.ANSWERING)
    hear(life, EVENTS["error"])
    assert hear(life, EVENTS["completed"]) is TURN
    assert not life.consumed(0.0)
    assert life.close(Reason.ABANDONED) is Reason.FAILED


def test_a_response_is_held_only_for_those_who_may_continue_it():
    """Other sockets are free for anybody with their key."""
    life = alive(Phase.IDLE, reused=False)
    life.ask(hold=False)
    hear(life, created("r1"))
    hear(life, completed("r1"))
    assert life.consumed(0.0)
    assert life.held is None


def test_what_comes_after_the_end_spoils_it_and_private_events_do_not():
    """Between two turns the backend tells of limits; all else is somebody's."""
    life = alive(Phase.DONE)
    assert hear(life, EVENTS["private"]) is NOBODY
    assert hear(life, EVENTS["completed"]) is STRAY
    assert not life.consumed(0.0)


def test_ages_are_staggered_and_none_is_over_fifty_minutes():
    """A pool that was dialled at once is not gone at once."""
    rng = Random(7)
    lives = [Life(now=0.0, rng=rng) for _ in range(200)]
    youngest = AGE_S_MAX - AGE_SPREAD_S

    def old(life: Life, now: float) -> bool:
        life.idle_since = now
        return life.look(now, listening=True) is Reason.AGE

    assert not any(old(life, youngest - 1) for life in lives)
    assert all(old(life, AGE_S_MAX) for life in lives)
    middle = sum(old(life, youngest + AGE_SPREAD_S / 2) for life in lives)
    assert 50 < middle < 150


def test_an_old_socket_ends_after_its_turn():
    """Its response is not cut."""
    life = alive(Phase.ANSWERING)
    assert life.look(AGE_S_MAX, listening=False) is Look.KEEP
    hear(life, EVENTS["completed"], AGE_S_MAX)
    assert not life.consumed(AGE_S_MAX)
    assert life.close(Reason.STRAY) is Reason.AGE


def test_an_idle_socket_goes_after_five_minutes():
    """And is not taken any more from that moment on, whoever comes first."""
    life = alive(Phase.IDLE)
    assert life.fit(IDLE_S - 1)
    assert not life.fit(IDLE_S)
    assert life.look(IDLE_S, listening=True) is Reason.IDLE
    life.retire(Reason.CREDENTIAL)
    assert life.look(0.0, listening=True) is Reason.CREDENTIAL


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.ASKED, Phase.ANSWERING])
def test_a_socket_is_pinged_and_one_that_answers_nothing_is_closed(phase):
    """Half a minute of silence earns a ping, twenty seconds more without an answer the end."""
    life = alive(phase)
    assert life.look(PING_EVERY_S - 1, listening=True) is Look.KEEP
    assert life.look(PING_EVERY_S, listening=True) is Look.PING
    assert life.look(PING_EVERY_S + PONG_WITHIN_S - 1, listening=True) is Look.KEEP
    assert life.look(PING_EVERY_S + PONG_WITHIN_S, listening=True) is Reason.SILENT


def test_a_socket_that_answers_pings_may_be_silent():
    """A model reasons for minutes."""
    life = alive(Phase.ANSWERING)
    for minute in range(1, 15):
        now = minute * 60.0
        assert life.look(now, listening=True) is Look.PING
        life.pong(now + 1)
    assert life.phase is Phase.ANSWERING


def test_a_socket_whose_reader_is_slow_is_not_held_to_its_pings():
    """Nothing is read from it, so no pong can be."""
    life = alive(Phase.ANSWERING)
    assert life.look(PING_EVERY_S, listening=True) is Look.PING
    assert life.look(PING_EVERY_S + 600, listening=False) is Look.KEEP


def test_a_closed_socket_is_left_alone():
    """It is closed for what spoilt it first, and once."""
    life = alive(Phase.CLOSED)
    assert life.look(1e6, listening=True) is Look.KEEP
    assert life.close(Reason.IDLE) is Reason.DRAIN
    assert not life.fit(0.0)


def test_a_response_that_names_itself_late_is_known_by_its_first_name():
    """A response that begins without a name gets it with the first event that has one."""
    life = alive(Phase.ASKED, reused=False)
    life.hear(Kind.CONTENT, EVENTS["content"], 0.0)
    assert hear(life, EVENTS["progress"]) is TURN
    assert hear(life, EVENTS["another's completed"]) is STRAY


def test_a_response_of_some_turns_ago_is_not_taken_for_a_new_one():
    """However late it comes again."""
    life = Life(now=0.0, rng=Random(1))
    for number in range(NAMES_KEPT):
        life.ask(hold=False)
        assert hear(life, created(f"r{number}")) is TURN
        hear(life, completed(f"r{number}"))
        assert life.consumed(0.0)
    life.ask(hold=False)
    assert hear(life, created("r0")) is STRAY
