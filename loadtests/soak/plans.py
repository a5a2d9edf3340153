"""What is wrong with one call in a hundred, each: faults of the upstream and manners of callers.

Faults in `attempts` meet the first attempt only, so that another account can save the call; the
others come after content has begun and must reach the caller as an error in its own dialect.
"""

from random import Random
from typing import Any, Final

from loadtests.audit.invariants import RESETS_IN_S
from loadtests.callers import PLAIN, Plan

SHARE: Final = 0.01
"""Of each fault."""
DIALECTS: Final = ("responses", "responses", "chat", "messages")


def _once(**fault: Any) -> dict[str, Any]:
    return {"attempts": [fault]}


SAVED: Final = {
    "500": _once(fault="500"),
    "overloaded": _once(fault="503_overloaded"),
    "gateway's page": _once(fault="502_html"),
    "challenge page": _once(fault="403_cloudflare"),
    "at capacity": _once(fault="capacity_429"),
    "rate limit": _once(fault="429_rate_limit", retry_after="1"),
    "usage limit": _once(fault="429_usage_limit", resets_in_s=RESETS_IN_S),
    "expired token": _once(fault="401_expired"),
    "error in a 200": _once(fault="json_error_200"),
    "empty 200": _once(fault="empty_200"),
    "page as events": _once(fault="html_sse_200"),
    "redirect": _once(fault="307_redirect"),
    "reset before the head": _once(break_before_head="rst"),
    "closed before the head": _once(break_before_head="fin"),
    "failed in the prelude": _once(terminal="failed:server_error", terminal_at="prelude"),
    "silent, then nothing": _once(silence="head"),
}
"""Of these a caller need not hear anything."""
TOLD: Final[dict[str, dict[str, Any]]] = {
    "cut by FIN": {"cut_after_events": 9, "cut_mode": "fin"},
    "cut by RST": {"cut_after_events": 12, "cut_mode": "rst"},
    "proper end without terminal": {"cut_after_events": 8, "cut_mode": "eof"},
    "falls silent": {"cut_after_events": 10, "cut_mode": "hang"},
    "failed amid content": {"terminal": "failed:server_error", "terminal_at": "content"},
    "no terminal": {"terminal": "none"},
    "short length": {"framing": "short_length", "cut_after_events": 9},
    "bad chunk": {"framing": "bad_chunk"},
}
"""These break off what has begun."""
ODD: Final[dict[str, dict[str, Any]]] = {
    "two terminals": {"terminals": 2},
    "events after the end": {"events_after_terminal": 2},
    "no usage": {"no_usage": True},
    "null details": {"null_usage_details": True},
    "byte by byte": {"chunking": "byte", "deltas": 8},
    "split within characters": {"chunking": "utf8"},
    "CRLF": {"eol": "CRLF"},
    "comments": {"comments_every_ms": 20},
    "unknown events": {"unknown_events": 3},
    "huge event": {"huge_event_bytes": 400_000, "deltas": 8},
    "gzip": {"encoding": "gzip"},
    "surplus after the reply": {"surplus": "garbage"},
    "early hints": {"informational": 3},
    "slow to begin": {"ttft_ms": 1_500},
    "closes after each": {"connection_close": True},
}
"""These are odd, and whole all the same."""
MANNERS: Final[dict[str, dict[str, Any]]] = {
    "leaves at once": {"leave_after": 1},
    "leaves amid content": {"leave_after": 11},
    "reads slowly": {"pause_s": 0.02},
}
"""And so do callers behave."""
NAMES: Final = (*SAVED, *TOLD, *ODD, *MANNERS)


def draw(rng: Random) -> Plan:
    """Choose what is special about the next call: most are plain."""
    dialect = rng.choice(DIALECTS)
    place = int(rng.random() / SHARE)
    if place >= len(NAMES):
        return PLAIN if dialect == "responses" else Plan(dialect=dialect)
    name = NAMES[place]
    knobs = SAVED.get(name) or TOLD.get(name) or ODD.get(name) or {}
    return Plan(name=name, knobs=knobs, dialect=dialect, **MANNERS.get(name, {}))
