"""The load of callers and admins, for locust. `make load S=...` starts all that it needs.

    locust -f loadtests/locustfile.py --host http://gateway:8080 ChatCaller SocketCaller

Users are chosen by their names; without any, all of them come. The caller's key is in LOAD_KEY, the
admin's password in LOAD_ADMIN. LOAD_SHAPE names one of `loadtests.swarm.courses`; without one, `-u`
and `-t` say how many there are and how long. The exit status is 1 where a threshold of
`loadtests.swarm.thresholds` is missed. Locust waits for answers before it asks again, which makes
tails look short: for those there is `python -m loadtests.bench latency`.
"""

import os
from typing import Any

from locust import events
from locust.env import Environment
from locust.runners import WorkerRunner

from loadtests.swarm.admins import Admin
from loadtests.swarm.sockets import SocketCaller, SocketReconnecter
from loadtests.swarm.streams import (
    Aborter,
    ChatCaller,
    MessagesCaller,
    ResponsesCaller,
    SlowReader,
)
from loadtests.swarm.thresholds import Entry, missed

__all__ = [
    "Aborter", "Admin", "ChatCaller", "MessagesCaller", "ResponsesCaller", "SlowReader",
    "SocketCaller", "SocketReconnecter",
]  # fmt: skip

if "LOAD_SHAPE" in os.environ:
    # Locust takes each shape that it finds here, so there is none unless one is wanted.
    from loadtests.swarm.shapes import Shape

    __all__ += ["Shape"]


@events.quitting.add_listener  # type: ignore[untyped-decorator]  # locust's hooks have no types
def judge(environment: Environment, **_: Any) -> None:
    """Exit with 1 where a threshold is missed; who only works for a master judges nothing."""
    if isinstance(environment.runner, WorkerRunner):
        return
    stats = environment.stats
    entries = (
        Entry(each.name, each.get_response_time_percentile(0.95)) for each in stats.entries.values()
    )
    sentences = list(missed(stats.total.num_requests, stats.total.fail_ratio, entries))
    for sentence in sentences:
        print(f"MISSED: {sentence}")
    environment.process_exit_code = 1 if sentences else 0
