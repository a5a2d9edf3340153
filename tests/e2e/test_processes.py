"""Floods that reach the process itself: wrong keys, and more connections than descriptors."""

import socket
import sqlite3
import sys
import time
from contextlib import ExitStack, closing

import httpx
import pytest

from loadtests.crashes.__main__ import family
from tests.e2e.asking import hear, prompt, question
from tests.e2e.programs import API_KEY, Gateway, Simulator, enrol, until

PATH = "/v1/responses"
WRONG = 500
KEY = {"authorization": f"Bearer {API_KEY}"}


def test_a_flood_of_wrong_keys_asks_no_database(start) -> None:
    """C15: 401 for each, also while the database is being written to; nothing is booked of them."""
    gateway = start().gateway
    file = gateway.log.parent / "data" / "codex2api.db"
    with (
        closing(sqlite3.connect(file, isolation_level=None)) as writer,
        httpx.Client(base_url=gateway.url, timeout=30.0) as stranger,
    ):
        writer.execute("BEGIN IMMEDIATE")
        for number in range(WRONG):
            headers = {"authorization": f"Bearer sk-wrong-{number:032}"}
            answer = stranger.post(PATH, json=question("hi"), headers=headers)
            assert answer.status_code == 401, answer.text
        heard = hear(gateway.client, PATH, question(prompt("echo: served")))
        writer.execute("ROLLBACK")
    assert "served" in heard.text
    until(lambda: gateway.metrics()["codex2api_journal_depth"] == 0, "all is written down")
    with closing(sqlite3.connect(file)) as reader:
        assert reader.execute("SELECT count(*) FROM requests").fetchone() == (1,)


FEW = 200
START = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {0}))
sys.argv = ["codex2api", "serve"]
runpy.run_module("app", run_name="__main__")
"""


class Narrow(Gateway):
    """A gateway on a machine that allows few descriptors."""

    def start(self) -> None:
        """Run it, and wait until it is ready."""
        self.spawn("-c", START.format(FEW), env=self.environment)
        until(self._ready, "the gateway is ready", within_s=30)


@pytest.mark.skipif(sys.platform != "linux", reason="CPU of another process is Linux's")
def test_without_descriptors_it_waits_and_comes_back(tmp_path) -> None:
    """W9: who is connected is served, no loop of accepts burns the core, and it recovers."""
    simulator = Simulator(tmp_path)
    gateway = Narrow(tmp_path, simulator)
    try:
        enrol(gateway, simulator)
        gateway.start()
        [worker] = family(gateway.pid)[1:]
        with httpx.Client(base_url=gateway.url, timeout=30.0) as early, ExitStack() as stack:
            assert early.get("/health").status_code == 200
            for _ in range(2 * FEW):
                stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port)))
            assert hear(early, PATH, question(prompt("echo: here")), headers=KEY).status == 200
            began = time.clock_gettime(~worker << 3 | 2)
            time.sleep(2.0)
            assert time.clock_gettime(~worker << 3 | 2) - began < 0.5
        until(lambda: gateway.client.get("/health").status_code == 200, "it answers again")
        assert "back" in hear(gateway.client, PATH, question(prompt("echo: back"))).text
        assert "Too many open files" not in gateway.printed()
    finally:
        gateway.stop()
        simulator.stop()
