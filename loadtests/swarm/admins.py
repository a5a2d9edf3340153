"""Admins who look at everything while callers are served: the pages of the admin UI, as JSON."""

import os

from locust import between, task
from locust.contrib.fasthttp import FastHttpUser


class Admin(FastHttpUser):
    """Looks at one page after the other, as people do; its password comes from LOAD_ADMIN."""

    wait_time = between(0.5, 1.5)
    connection_timeout = 10.0
    network_timeout = 60.0

    @task(3)
    def overview(self) -> None:
        """What is open most of the day."""
        self._look("ops/overview")
        self._look("usage/overview")

    @task(2)
    def accounts(self) -> None:
        """The list of accounts."""
        self._look("accounts")

    @task(2)
    def requests(self) -> None:
        """The log of requests."""
        self._look("usage/requests")

    @task(1)
    def course(self) -> None:
        """How usage and waits went."""
        self._look("usage/series")
        self._look("usage/latency")

    @task(1)
    def keys(self) -> None:
        """The list of keys, and who did what."""
        self._look("keys")
        self._look("audit")

    def _look(self, page: str) -> None:
        headers = {"x-admin-key": os.environ["LOAD_ADMIN"]}
        self.client.get(f"/api/admin/{page}", name=f"/api/admin/{page}", headers=headers)
