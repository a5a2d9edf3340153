"""Virtual time runs in order, and only the gateway's clock can be set."""

from app.simulation.timeline import EPOCH, Timeline


def test_things_happen_in_the_order_of_their_times_and_then_of_their_planning():
    """Two events of one moment do not depend on what they carry."""
    time, seen = Timeline(), []
    for at, name in ((2.0, "c"), (1.0, "a"), (2.0, "d"), (1.0, "b")):
        time.plan(at, seen.append, name)
    while time.step():
        pass
    assert seen == ["a", "b", "c", "d"]
    assert time.at == 2.0
    assert time.now == EPOCH + 2.0


def test_what_is_planned_for_the_past_happens_now():
    """True time never runs back."""
    time, seen = Timeline(), []
    time.plan(5.0, lambda _: time.plan(1.0, lambda _: seen.append(time.at)))
    while time.step():
        pass
    assert seen == [5.0]


def test_setting_the_clock_moves_no_event():
    """Durations stay what they are; only `now` steps, in both directions."""
    time, seen = Timeline(), []
    time.plan_in(10.0, lambda _: seen.append((time.at, time.now)))
    time.set_clock(3_600.0)
    assert time.now == EPOCH + 3_600.0
    time.set_clock(-7_200.0)
    assert time.step()
    assert not time.step()
    assert seen == [(10.0, EPOCH + 10.0 - 3_600.0)]
