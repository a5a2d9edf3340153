"""What the gateway is held to: ratios to nginx in the same run, and a few plain bounds.

A target that can't be judged, because one side was not measured, says so and counts as neither.
"""

from typing import Final, Literal

import msgspec

from app.domain.runtime import RuntimeSettings, Strategy
from loadtests.bench import pool
from loadtests.bench.figures import Figure, Key, Run, UpstreamKind, Work

Verdict = Literal["ok", "MISSED", "not measured"]


class Target(msgspec.Struct, frozen=True):
    """A figure of the gateway and its bound; with `ratio` the bound is times nginx's figure."""

    text: str
    key: Key
    at_most: float
    ratio: bool
    unit: str = ""
    scale: float = 1.0


class Judged(msgspec.Struct, frozen=True):
    """A target with what was measured."""

    target: Target
    gateway: Figure | None
    nginx: Figure | None

    @property
    def value(self) -> float | None:
        """The ratio, or the figure in the target's unit."""
        if self.gateway is None:
            return None
        if not self.target.ratio:
            return self.gateway.median * self.target.scale
        if self.nginx is None or not self.nginx.median:
            return None
        return self.gateway.median / self.nginx.median

    @property
    def verdict(self) -> Verdict:
        """Whether the bound was kept."""
        if self.value is None:
            return "not measured"
        return "ok" if self.value <= self.target.at_most else "MISSED"


def _times_nginx(
    text: str, scenario: str, upstream: UpstreamKind, work: Work, at_most: float
) -> Target:
    metric = "delay_p99_ms" if scenario == "latency" else "cpu_us"
    return Target(text, Key(scenario, upstream, "gateway", work, metric), at_most, ratio=True)


def _start(text: str, metric: str, at_most: float, unit: str, scale: float = 1.0) -> Target:
    key = Key("start", "plain", "gateway", "responses", metric)
    return Target(text, key, at_most, ratio=False, unit=unit, scale=scale)


BY_CHAT: Final[tuple[Work, ...]] = ("responses by chat", "chat by chat")
UPSTREAM_NAMES: Final[dict[UpstreamKind, str]] = {"tls": "TLS", "plain": "plain"}
TARGETS: Final = (
    _times_nginx("CPU of an event passed through, TLS", "events", "tls", "responses", 1.9),
    _times_nginx("CPU of an event translated to chat, TLS", "events", "tls", "chat", 2.2),
    _times_nginx("CPU of an event translated to chat, plain", "events", "plain", "chat", 2.2),
    *(
        _times_nginx(f"CPU of an event, {work}, {name}", "events", upstream, work, 2.5)
        for work in BY_CHAT
        for upstream, name in UPSTREAM_NAMES.items()
    ),
    _times_nginx("CPU of an event put as Messages, TLS", "events", "tls", "messages", 2.5),
    _times_nginx("CPU of an event put as Messages, plain", "events", "plain", "messages", 2.5),
    _times_nginx("CPU of a whole chat completion, plain", "requests", "plain", "chat", 6.0),
    _times_nginx("CPU of a whole response, plain", "requests", "plain", "responses", 6.0),
    _times_nginx("p99 delay of an event passed through, TLS", "latency", "tls", "responses", 2.0),
    _times_nginx("p99 delay of an event passed through, plain", "latency", "plain", "responses", 2),
    _times_nginx("p99 delay of an event translated to chat, TLS", "latency", "tls", "chat", 2.0),
    _times_nginx("CPU of a message on a WebSocket, plain", "websocket", "plain", "websocket", 2.5),
    _start("start to the first answered request, 100 accounts", "answered_s", 3.0, "s"),
    _start("start to the first answered request, 10,000 accounts", "many_answered_s", 5.0, "s"),
    _start("memory at rest, 100 accounts", "rss_bytes", 150.0, "MB", 1e-6),
    Target(
        "memory of a worker at rest",
        Key("start", "plain", "gateway", "responses", "rss_bytes"), 150.0,
        ratio=False, unit="MB", scale=1e-6,
    ),
    *(
        Target(
            f"memory of a held stream, {workers}, {name}",
            Key(scenario, upstream, "gateway", "responses", "stream_bytes"), 35.0,
            ratio=False, unit="KB", scale=1e-3,
        )
        for scenario, workers in (("held", "one worker"), ("crowd", "two workers"))
        for upstream, name in UPSTREAM_NAMES.items()
    ),
    Target(
        "CPU that the pool adds to a call, 10,000 accounts",
        pool.cost(RuntimeSettings().strategy, pool.MANY), 15.0,
        ratio=False, unit="us",
    ),
    *(
        Target(
            f"the same to that with 10 accounts, {strategy}", pool.growth(strategy), 2.0,
            ratio=False, unit="x",
        )
        for strategy in Strategy
    ),
)  # fmt: skip


def judged(run: Run) -> list[Judged]:
    """All targets with what the run says about them."""
    return [Judged(target, run.find(target.key), run.reference(target.key)) for target in TARGETS]
