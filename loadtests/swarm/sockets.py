"""Callers over WebSockets: those who stay for many turns, and those who come anew for each."""

import json
import time
from typing import Any, Final

import websocket
from locust import User, constant_throughput, task

from loadtests.swarm.streams import MODEL, TEXT, key, report

PATH: Final = "/v1/responses"
TIMEOUT_S: Final = 60.0
ENDS: Final = ('"type":"response.completed"', '"type":"response.failed"', '"type":"error"')
DELTA: Final = '"type":"response.output_text.delta"'


class SocketCaller(User):
    """Keeps one connection, and has a turn on it once a second."""

    wait_time = constant_throughput(1)
    stays = True
    _socket: Any = None

    @task
    def turn(self) -> None:
        """Ask, and read to the terminal event; whatever else ends it is a failure."""
        began = time.perf_counter()
        try:
            if self._socket is None:
                self._connect()
            self._ask(began)
        except (OSError, websocket.WebSocketException, AssertionError) as error:
            report(self.environment, "WS", "turn", time.perf_counter() - began, error)
            self._leave()
            return
        report(self.environment, "WS", "total", time.perf_counter() - began)
        if not self.stays:
            self._leave()

    def on_stop(self) -> None:
        """Say goodbye."""
        self._leave()

    def _connect(self) -> None:
        began = time.perf_counter()
        address = "ws" + (self.host or self.environment.host or "").removeprefix("http") + PATH
        headers = [f"{name}: {value}" for name, value in key().items()]
        self._socket = websocket.create_connection(address, timeout=TIMEOUT_S, header=headers)
        report(self.environment, "WS", "handshake", time.perf_counter() - began)

    def _ask(self, began: float) -> None:
        said = [{"type": "input_text", "text": TEXT}]
        item = {"type": "message", "role": "user", "content": said}
        asked = {"type": "response.create", "model": MODEL, "instructions": "", "input": [item]}
        self._socket.send(json.dumps(asked))
        last, deltas = began, 0
        while True:
            message = self._socket.recv()
            if not message:
                raise websocket.WebSocketConnectionClosedException(f"closed after {deltas} deltas")
            if DELTA in message:
                now = time.perf_counter()
                report(self.environment, "WS", "gap" if deltas else "TTFT", now - last)
                last, deltas = now, deltas + 1
            elif any(end in message for end in ENDS):
                if ENDS[0] not in message or not deltas:
                    raise websocket.WebSocketException(f"ended by {message[:120]}")
                return

    def _leave(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class SocketReconnecter(SocketCaller):
    """Connects anew for each turn."""

    stays = False
