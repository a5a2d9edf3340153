"""A locust smoke: callers of both dialects, streamed and not, with each stream proved whole.

Locust's own time of a streamed request ends at its head, and its helpers for reading streams hide
a broken connection. So the lines are read here, and a stream reports three events of its own: time
to the first delta, time between deltas, total. One that ends without its terminal event, or is
cut, is a failure. Locust waits for answers before it asks again, which flatters tails: for those
there is `python -m loadtests.bench latency`.

The caller's key comes from LOAD_KEY, the gateway's address from `--host`. `make load` gives both.
"""

import os
import time
from collections.abc import Iterator
from typing import Any, Final

from locust import constant_throughput, events, task
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment

MODEL: Final = "gpt-5.5"
TEXT: Final = "Say in three sentences what a gateway is for."
FAIL_RATIO_MAX: Final = 0.001
TTFT_P95_MAX_MS: Final = 1_000.0
GAP_P95_MAX_MS: Final = 500.0


class Caller(FastHttpUser):
    """What both dialects have in common; asks once a second."""

    abstract = True
    wait_time = constant_throughput(1)
    connection_timeout = 10.0
    network_timeout = 60.0
    path = ""
    terminal = b""
    delta = b""

    def body(self, *, stream: bool) -> dict[str, Any]:
        """The request's body."""
        raise NotImplementedError

    @task(3)
    def streamed(self) -> None:
        """Ask for a stream and read it to its terminal event."""
        began = time.perf_counter()
        with self.client.post(
            self.path,
            name=f"{self.path} stream, head",
            json=self.body(stream=True),
            headers=self._headers(),
            stream=True,
            catch_response=True,
        ) as response:
            if response.status_code != 200:
                response.failure(f"status {response.status_code}")
                return
            problem = self._read(response, began)
            if problem is None:
                response.success()
            else:
                response.failure(problem)

    @task(1)
    def whole(self) -> None:
        """Ask for one answer."""
        body = self.body(stream=False)
        self.client.post(self.path, name=f"{self.path} whole", json=body, headers=self._headers())

    def _read(self, response: Any, began: float) -> str | None:
        """Read the lines of a stream; return what is wrong with it, if anything."""
        last = began
        deltas = 0
        terminal = False
        try:
            for line in _lines(response):
                terminal = terminal or self.terminal in line
                if self.delta not in line:
                    continue
                now = time.perf_counter()
                self._report("gap" if deltas else "TTFT", now - last)
                last = now
                deltas += 1
        except Exception as error:  # noqa: BLE001  (whatever the client raises, the stream broke)
            return f"cut after {deltas} deltas: {type(error).__name__}"
        if not terminal or not deltas:
            return f"no terminal event after {deltas} deltas"
        self._report("total", time.perf_counter() - began)
        return None

    def _report(self, what: str, seconds: float) -> None:
        self.environment.events.request.fire(
            request_type="SSE",
            name=f"{self.path} {what}",
            response_time=1e3 * seconds,
            response_length=0,
            exception=None,
            context={},
        )

    @staticmethod
    def _headers() -> dict[str, str]:
        return {"authorization": f"Bearer {os.environ['LOAD_KEY']}", "accept-encoding": "identity"}


class ChatCaller(Caller):
    """A caller of Chat Completions."""

    path = "/v1/chat/completions"
    terminal = b"data: [DONE]"
    delta = b'"content":'

    def body(self, *, stream: bool) -> dict[str, Any]:
        """A question."""
        return {"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": TEXT}]}


class ResponsesCaller(Caller):
    """A caller of Responses."""

    path = "/v1/responses"
    terminal = b'"type":"response.completed"'
    delta = b'"type":"response.output_text.delta"'

    def body(self, *, stream: bool) -> dict[str, Any]:
        """A question."""
        return {"model": MODEL, "stream": stream, "input": TEXT}


def _lines(response: Any) -> Iterator[bytes]:
    """The lines of a body until its proper end; a cut raises what the client raises."""
    while line := response._response.readline(b"\n"):  # noqa: SLF001  (the public ways hide cuts)
        yield line


@events.quitting.add_listener  # type: ignore[untyped-decorator]  # locust's hooks have no types
def judge(environment: Environment, **_: Any) -> None:
    """Exit with 1 where something failed, nothing was asked, or the tails are long."""
    stats = environment.stats
    missed = []
    if not stats.total.num_requests:
        missed.append("nothing was asked")
    if stats.total.fail_ratio > FAIL_RATIO_MAX:
        missed.append(f"{stats.total.fail_ratio:.2%} failed")
    for entry in stats.entries.values():
        slow_ms = entry.get_response_time_percentile(0.95)
        limits = {"TTFT": TTFT_P95_MAX_MS, "gap": GAP_P95_MAX_MS}
        limit = limits.get(entry.name.rpartition(" ")[2])
        if limit is not None and slow_ms > limit:
            missed.append(f"{entry.name}: p95 {slow_ms:.0f} ms is over {limit:.0f} ms")
    for sentence in missed:
        print(f"MISSED: {sentence}")
    environment.process_exit_code = 1 if missed else 0
