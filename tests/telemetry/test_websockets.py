"""Tests of app.telemetry.websockets."""

from app.domain.traffic import Traffic
from app.telemetry.websockets import WebSocketGauges


def test_what_has_gone_over_callers_websockets() -> None:
    """Labels come from closed sets, and what never came is a zero."""
    traffic = Traffic(messages_in=1, messages_out=2, bytes_in=3, bytes_out=4, opened=5, refused=6)
    traffic.closed = {0: 7, 1012: 8, 4999: 9}
    gauges = WebSocketGauges(states=lambda: {"idle": 10, "busy": 0}, traffic=traffic)
    found = {
        (sample.name.removeprefix("codex2api_websocket"), *sample.labels.values()): sample.value
        for family in gauges.families()
        for sample in family.samples
    }
    closes = dict.fromkeys((1000, 1001, 1003, 1008, 1009, 1011, 1013), 0)
    closes |= {"caller": 7, 1012: 8, "other": 9}
    assert found == {
        ("s", "idle"): 10, ("s", "busy"): 0,
        ("_messages_total", "in"): 1, ("_messages_total", "out"): 2,
        ("_bytes_total", "in"): 3, ("_bytes_total", "out"): 4,
        ("_connects_total", "opened"): 5, ("_connects_total", "refused"): 6,
        **{("_closes_total", str(code)): count for code, count in closes.items()},
    }  # fmt: skip
