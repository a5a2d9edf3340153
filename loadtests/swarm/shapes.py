"""How many users there are over time. LOAD_USERS and LOAD_SECONDS size what LOAD_SHAPE names."""

import os

from locust import LoadTestShape

from loadtests.swarm.courses import COURSES

SLOWLY: dict[str, float] = {"soak": 0.05}
"""The share of all users that may come in a second, where it is not all of them."""


class Shape(LoadTestShape):
    """The course that was asked for, by as many users and for as long as was asked for."""

    def tick(self) -> tuple[int, float] | None:
        """Tell locust how many there are to be, and how fast they come; None at the end."""
        name = os.environ["LOAD_SHAPE"]
        users = int(os.environ.get("LOAD_USERS", "40"))
        seconds = float(os.environ.get("LOAD_SECONDS", "30"))
        at = self.get_run_time() / seconds  # type: ignore[no-untyped-call]
        if at >= 1:
            return None
        wanted = max(1, round(users * COURSES[name](at)))
        return wanted, max(1.0, users * SLOWLY.get(name, 1.0))
