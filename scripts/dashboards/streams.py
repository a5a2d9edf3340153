"""Where the time of calls and of their events goes, and the sockets that carry them."""

from typing import Final

from scripts.dashboards.panels import Dashboard, over, rate, shares

PART: Final = "event_added_latency_seconds"
STREAMS: Final = Dashboard(
    uid="codex2api-streams",
    title="codex2api: Streams and latency",
    rows=(
        (
            "A call",
            (
                over("To the first content", *shares("time_to_first_event_seconds"), unit="s"),
                over("A stream, to its end", *shares("stream_seconds"), unit="s"),
                over("Any request", *shares("request_seconds"), unit="s"),
                over("A turn on a WebSocket", *shares("websocket_turn_seconds"), unit="s"),
                over(
                    "Streams",
                    ("sum by (transport) (codex2api_streams_in_flight{@})", "{{transport}}"),
                    stacked=True,
                ),
            ),
        ),
        (
            "An event",
            (
                over(
                    "In the gateway",
                    *shares(PART, 'part="gateway"'),
                    unit="s",
                    alarm=0.05,
                    about="From its arrival until it is handed on.",
                ),
                over(
                    "Taken by the caller",
                    *shares(PART, 'part="caller"'),
                    unit="s",
                    about="Long where callers read slowly.",
                ),
                over("Waited for upstream", *shares(PART, 'part="upstream"'), unit="s"),
                over("Gaps in streams", *shares("stream_gap_seconds"), unit="s"),
            ),
        ),
        (
            "Where the time of streams goes",
            (
                over(
                    "Seconds a second",
                    (rate(f"{PART}_sum", "part"), "{{part}}"),
                    unit="s",
                    stacked=True,
                ),
                over(
                    "Events a second",
                    (rate(f"{PART}_count", "", 'part="gateway"'), "events"),
                    unit="reqps",
                ),
                over("Wait for an account", *shares("queue_wait_seconds"), unit="s"),
                over(
                    "Calls in line",
                    ("sum by (instance) (codex2api_queue_depth{@})", "{{instance}}"),
                    alarm=20,
                ),
            ),
        ),
        (
            "Upstream WebSockets",
            (
                over(
                    "Sockets",
                    ("sum by (state) (codex2api_websocket_pool{@})", "{{state}}"),
                    stacked=True,
                ),
                over(
                    "Turns by their socket",
                    (rate("websocket_turns_total", "socket"), "{{socket}}"),
                    unit="reqps",
                    stacked=True,
                ),
                over(
                    "Handshakes",
                    (rate("websocket_handshakes_total", "result"), "{{result}}"),
                    unit="reqps",
                ),
                over(
                    "Closed",
                    (rate("websocket_cleanup_total", "reason"), "{{reason}}"),
                    unit="reqps",
                    stacked=True,
                ),
            ),
        ),
        (
            "Callers' WebSockets",
            (
                over(
                    "Connections",
                    ("sum by (state) (codex2api_websockets{@})", "{{state}}"),
                    stacked=True,
                ),
                over(
                    "Connects",
                    (rate("websocket_connects_total", "result"), "{{result}}"),
                    unit="reqps",
                ),
                over("Closes", (rate("websocket_closes_total", "code"), "{{code}}"), unit="reqps"),
                over(
                    "Messages",
                    (rate("websocket_messages_total", "direction"), "{{direction}}"),
                    unit="reqps",
                ),
                over(
                    "Bytes",
                    (rate("websocket_bytes_total", "direction"), "{{direction}}"),
                    unit="Bps",
                ),
            ),
        ),
        (
            "Upstream traffic",
            (
                over(
                    "Taken by HTTP instead",
                    (rate("websocket_fallbacks_total", "reason"), "{{reason}}"),
                    unit="reqps",
                ),
                over(
                    "Messages",
                    (rate("upstream_messages_total", "direction"), "{{direction}}"),
                    unit="reqps",
                ),
                over(
                    "Bytes",
                    (rate("upstream_message_bytes_total", "direction"), "{{direction}}"),
                    unit="Bps",
                ),
            ),
        ),
    ),
)
