"""Callers of the three dialects over HTTP: whole readers, slow ones, and those who leave."""

import os
import time
from collections.abc import Iterator
from typing import Any, Final

from locust import constant_throughput, task
from locust.contrib.fasthttp import FastHttpUser

MODEL: Final = "gpt-5.5"
TEXT: Final = "Say in three sentences what a gateway is for."
LEAVE_AFTER: Final = 5
"""Deltas that somebody hears who then goes away."""
SLOW_S: Final = 0.05
"""Between two lines of a slow reader."""


def key() -> dict[str, str]:
    """Return the header that opens the gateway."""
    return {"authorization": f"Bearer {os.environ['LOAD_KEY']}"}


class Caller(FastHttpUser):
    """What all of them have in common; asks once a second."""

    abstract = True
    wait_time = constant_throughput(1)
    connection_timeout = 10.0
    network_timeout = 60.0
    path = ""
    terminal = b""
    delta = b""
    pause_s = 0.0
    leave_after: int | None = None

    def body(self, *, stream: bool) -> dict[str, Any]:
        """The request's body."""
        messages = [{"role": "user", "content": TEXT}]
        return {"model": MODEL, "stream": stream, "messages": messages}

    def ask_for_stream(self) -> None:
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

    def ask_for_whole(self) -> None:
        """Ask for one answer."""
        body = self.body(stream=False)
        self.client.post(self.path, name=f"{self.path} whole", json=body, headers=self._headers())

    def _read(self, response: Any, began: float) -> str | None:
        """Read the lines of a stream; return what is wrong with it, if anything."""
        last = began
        deltas = 0
        terminal = False
        try:
            for line in lines(response):
                terminal = terminal or self.terminal in line
                if self.delta not in line:
                    continue
                now = time.perf_counter()
                self._report("gap" if deltas else "TTFT", now - last)
                last = now
                deltas += 1
                if deltas == self.leave_after:
                    leave(response)
                    return None
                if self.pause_s:
                    time.sleep(self.pause_s)  # locust has made it give way to the others
        except Exception as error:  # noqa: BLE001  (whatever the client raises, the stream broke)
            return f"cut after {deltas} deltas: {type(error).__name__}"
        if not terminal or not deltas:
            return f"no terminal event after {deltas} deltas"
        self._report("total", time.perf_counter() - began)
        return None

    def _report(self, what: str, seconds: float) -> None:
        report(self.environment, "SSE", f"{self.path} {what}", seconds)

    @staticmethod
    def _headers() -> dict[str, str]:
        return {**key(), "accept-encoding": "identity"}


class ChatCaller(Caller):
    """Chat Completions, three streams for one whole answer."""

    path = "/v1/chat/completions"
    terminal = b"data: [DONE]"
    delta = b'"content":'
    streamed = task(3)(Caller.ask_for_stream)
    whole = task(1)(Caller.ask_for_whole)


class _OfResponses(Caller):
    """Whoever speaks Responses."""

    abstract = True
    path = "/v1/responses"
    terminal = b'"type":"response.completed"'
    delta = b'"type":"response.output_text.delta"'

    def body(self, *, stream: bool) -> dict[str, Any]:
        """A question."""
        return {"model": MODEL, "stream": stream, "input": TEXT}


class ResponsesCaller(_OfResponses):
    """Responses, three streams for one whole answer."""

    streamed = task(3)(Caller.ask_for_stream)
    whole = task(1)(Caller.ask_for_whole)


class MessagesCaller(Caller):
    """Anthropic's Messages, three streams for one whole answer."""

    path = "/v1/messages"
    terminal = b'"type":"message_stop"'
    delta = b'"type":"text_delta"'
    streamed = task(3)(Caller.ask_for_stream)
    whole = task(1)(Caller.ask_for_whole)

    def body(self, *, stream: bool) -> dict[str, Any]:
        """A question, with the bound that this dialect asks for."""
        return {**super().body(stream=stream), "max_tokens": 4_096}


class SlowReader(_OfResponses):
    """Reads a line only now and then: it must get all of it, and cost others nothing."""

    pause_s = SLOW_S
    streamed = task(1)(Caller.ask_for_stream)


class Aborter(_OfResponses):
    """Goes away after a few deltas. That is no failure; what it leaves behind would be one."""

    leave_after = LEAVE_AFTER
    streamed = task(1)(Caller.ask_for_stream)


def lines(response: Any) -> Iterator[bytes]:
    """The lines of a body until its proper end; a cut raises what the client raises."""
    while line := response._response.readline(b"\n"):  # noqa: SLF001  (the public ways hide cuts)
        yield line


def leave(response: Any) -> None:
    """Close the connection of a stream, as somebody does who has heard enough."""
    inner = response._response  # noqa: SLF001  (there is no public way)
    sock, pool = inner._sock, inner._pool  # noqa: SLF001
    inner._sock = inner._pool = None  # noqa: SLF001
    pool.release_socket(sock)


def report(environment: Any, kind: str, name: str, seconds: float, error: Any = None) -> None:
    """Add a time, or a failure, to locust's figures."""
    environment.events.request.fire(
        request_type=kind,
        name=name,
        response_time=1e3 * seconds,
        response_length=0,
        exception=error,
        context={},
    )
