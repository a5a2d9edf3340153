"""What restarts and kills have shown. Pure: from what callers noted to sentences."""

from collections.abc import Sequence
from statistics import median
from typing import Final

from loadtests.rolling.load import Noted
from loadtests.rolling.replicas import GRACE_S, Kill, Restart

BACK_S_MAX: Final = 5.0
CUT_S: Final = 3.0
"""As long after a kill whoever ran there may notice: it is known to the proxy at once."""


def broken(noted: Sequence[Noted], kills: Sequence[Kill] = ()) -> list[str]:
    """Return a sentence for each call that did not end as it should have.

    A call may end without its terminal event only if it ran on a replica that was killed, and then
    visibly: with a status, or without an end of its transport.
    """
    found = []
    for each in noted:
        if each.whole:
            continue
        died_with = next((kill for kill in kills if _ran_there(each, kill)), None)
        said = f"{each.request_id}: status {each.status}, {each.fault}"
        if died_with is None:
            found.append(said)
        elif each.status == 200 and each.clean:
            found.append(f"{said}; it was cut by a kill, and ended as if it were whole")
    return found


def cut(noted: Sequence[Noted]) -> int:
    """Return how many calls have not ended with their terminal event."""
    return sum(not each.whole for each in noted)


def _ran_there(call: Noted, kill: Kill) -> bool:
    on_it = call.replica in {kill.replica, 0} or call.moved
    return (
        on_it and call.began_at <= kill.at + CUT_S and kill.at <= call.ended_at <= kill.at + CUT_S
    )


def late(restarts: Sequence[Restart]) -> list[str]:
    """Return a sentence for each restart that did not go well."""
    return [
        f"restart {number}: status {each.status} after {each.exit_s:.1f} s"
        for number, each in enumerate(restarts, 1)
        if each.status != 0 or each.exit_s > GRACE_S
    ]


def slow(kills: Sequence[Kill]) -> list[str]:
    """Return a sentence for each kill after which it took too long."""
    return [
        f"kill {number} ({_name(each)}): back after {each.back_s:.1f} s"
        for number, each in enumerate(kills, 1)
        if each.back_s > BACK_S_MAX
    ]


def figures(restarts: Sequence[Restart], kills: Sequence[Kill]) -> list[str]:
    """Say how they went, a line each."""
    said = [restarts_line(restarts)] if restarts else []
    return said + ([kills_line(kills)] if kills else [])


def restarts_line(restarts: Sequence[Restart]) -> str:
    """Say how restarts went."""
    exits = [each.exit_s for each in restarts]
    starts = [each.ready_s for each in restarts]
    return (
        f"exit after {median(exits):.1f} s, at most {max(exits):.1f} s (grace {GRACE_S} s);"
        f" ready again after {median(starts):.1f} s, at most {max(starts):.1f} s"
    )


def kills_line(kills: Sequence[Kill]) -> str:
    """Say how long it took to come back."""
    parts = []
    for name in ("worker", "process"):
        back = [each.back_s for each in kills if _name(each) == name]
        if back:
            took = f"back after {median(back):.1f} s, at most {max(back):.1f} s"
            parts.append(f"{len(back)} of a {name}: {took}")
    return f"{'; '.join(parts)} (bound {BACK_S_MAX:g} s)"


def _name(kill: Kill) -> str:
    return "process" if kill.whole else "worker"
