"""Everything that can be turned on the simulator: `Knobs` for a reply, `Config` for the program.

Knobs are flat, so that one name works in a rule, a header, a prompt and the control API. A reply
is governed by one immutable `Knobs` value; `knobs.KnobBook` decides which.
"""

from typing import Annotated, Any, Literal

import msgspec

from loadtests.simulator.items import Item

NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Chunking = Literal["natural", "byte", "random", "utf8", "crlf", "field", "line"]
CutMode = Literal["fin", "rst", "eof", "hang", "no_terminator", "tls"]
Framing = Literal[
    "auto", "close", "short_length", "bad_chunk", "no_last_chunk", "length_and_chunked"
]


class Knobs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All knobs of one reply, with realistic defaults. README.md has a line for each."""

    # Pace
    headers_delay_ms: NotNegative = 50
    ttft_ms: NotNegative = 600
    ttft_sigma: NotNegative = 0
    tokens_per_s: NotNegative = 120
    events_per_s: NotNegative | None = None
    delta_chars: Annotated[int, msgspec.Meta(ge=1)] = 4
    burst: bool = False
    stepwise: bool = False
    reasoning_silence_s: NotNegative = 0
    time_scale: NotNegative = 1
    post_terminal_linger_ms: NotNegative = 0

    # Text
    answer: str | None = None
    style: Literal["plain", "demo"] = "plain"
    items: list[Item] | None = None
    interleave: bool = True
    reasoning: Literal["auto", "on", "off"] = "auto"
    deltas: Count | None = None
    timestamps: bool = False
    nonce: str | None = None
    tenant: str | None = None
    u2028_in_text: bool = False
    nul_in_text: bool = False
    lone_surrogate: bool = False

    # Form of the stream
    chunking: Chunking = "natural"
    coalesce_events: Annotated[int, msgspec.Meta(ge=1)] = 1
    eol: Literal["LF", "CRLF", "CR"] = "LF"
    event_line: bool = True
    multi_line_data: bool = False
    comments_every_ms: NotNegative = 0
    id_retry_fields: bool = False
    byte_order_mark: bool = False
    final_blank_line: bool = True
    encoding: Literal["identity", "gzip", "deflate", "zstd"] = "identity"

    # Quirks
    empty_completed_output: bool = True
    skip_output_item_added: bool = False
    skip_created: bool = False
    done_without_delta: bool = False
    snapshot_in_done: bool = False
    null_usage_details: bool = False
    no_usage: bool = False
    usage: dict[str, Any] | None = None
    unknown_events: Count = 0
    private_events: bool = True
    huge_event_bytes: Count = 0
    malformed_json_event: Count | None = None
    invalid_utf8_event: Count | None = None
    terminal: str = "completed"
    terminal_at: Literal["prelude", "content", "end"] = "end"
    terminal_message: str | None = None
    terminals: Annotated[int, msgspec.Meta(ge=1)] = 1
    events_after_terminal: Count = 0

    # Cuts
    cut_after_events: Count | None = None
    cut_at_byte: Count | None = None
    cut_at_wire_byte: Count | None = None
    cut_mode: CutMode = "fin"

    # Faults of the head and of the transport
    fault: str | None = None
    status: int | None = None
    body: str | dict[str, Any] | None = None
    content_type: str | None = None
    extra_headers: list[tuple[str, str]] = []
    header_bytes: Count = 0
    header_count: Count = 0
    informational: Count = 0
    head_bytes_per_s: NotNegative = 0
    body_bytes_per_s: NotNegative = 0
    silence: Literal["no", "head", "body"] = "no"
    break_before_head: Literal["no", "fin", "rst"] = "no"
    framing: Framing = "auto"
    surplus: Literal["no", "garbage", "response"] = "no"
    connection_close: bool = False
    early_response: bool = False
    location: str = "http://127.0.0.1:9/evil"
    bomb_mib: Count = 300

    # Limits and rules
    cost_percent: NotNegative = 0
    limit_headers: Literal["both", "reset_at", "reset_after", "none"] = "both"
    limit_header_overrides: dict[str, str | None] = {}
    retry_after: str | None = None
    resets_in_s: NotNegative = 3600
    strict: bool = True
    require_account_id: bool = True
    foreign_turn_state: Literal["ignore", "reject"] = "ignore"
    minimum_version: str | None = None
    compact: Literal["works", "404"] = "works"

    # WebSocket
    ws_status: int | None = None
    ws_delay_ms: NotNegative = 0
    ws_handshakes_per_min: Count = 0
    ws_deflate: bool = False
    ws_idle_frames: Count = 0
    ws_busy: Literal["queue", "error"] = "queue"
    ws_lifetime_s: NotNegative = 3600
    ws_message_bytes_max: Count = 16 << 20
    ws_close_after_events: Count | None = None
    ws_close_code: int = 1011
    ws_close_after_terminal: int | None = None
    ws_pong: bool = True
    ws_error_shape: Literal["nested", "body", "flat", "no_status"] = "nested"
    ws_previous_spelling: Literal["code", "text"] = "code"
    ws_binary_at: Count | None = None
    ws_fragment_bytes: Count = 0
    ws_memory: bool = True

    # OAuth
    oauth_fault: str | None = None
    oauth_omit: list[str] = []
    oauth_opaque: bool = False
    oauth_expires_in_s: int = 864_000
    oauth_delay_ms: NotNegative = 0
    oauth_delay_when: Literal["before", "after"] = "before"
    oauth_hang: bool = False
    oauth_revoke_family: bool = False
    oauth_html: bool = False
    device_pending: Count = 2
    device_disabled: bool = False


class Rule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Knobs for the requests that match; every condition that is given must hold.

    `set` applies to each match. `sequence` gives the k-th match its k-th entry and then stops,
    unless `repeat`. `first`, `every` and the sequence count matches of the static conditions.
    """

    set: dict[str, Any] = {}
    sequence: list[dict[str, Any]] | None = None
    repeat: bool = False
    account: str | None = None
    model: str | None = None
    path: str | None = None
    first: int | None = None
    skip: int = 0
    every: Annotated[int, msgspec.Meta(ge=1)] | None = None
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    in_flight_over: int | None = None
    rpm_over: float | None = None
    after_s: float | None = None
    until_s: float | None = None


class AccountSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One account to create; what is left out is derived from its id."""

    id: str
    account_id: str | None = None
    user_id: str | None = None
    email: str | None = None
    plan: str = "plus"
    shape: Literal["standard", "monthly", "weekly_primary", "zero_secondary"] = "standard"
    used_percent: float = 10.0
    secondary_used_percent: float = 5.0
    resets_in_s: float | None = None
    has_credits: bool = False
    unlimited_credits: bool = False
    balance: str | None = None
    entitled_models: list[str] | None = None
    fedramp: bool = False
    deactivated: bool = False
    reset_credits: int = 1
    access_ttl_s: int = 864_000
    knobs: dict[str, Any] = {}


class Config(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How one simulator is started. `knobs` are overrides that hold for every request."""

    seed: int = 1
    accounts: int = 3
    account_specs: list[AccountSpec] = []
    api_keys: tuple[str, ...] = ("sk-sim-1", "sk-sim-2")
    knobs: dict[str, Any] = {}
    host: str = "127.0.0.1"
    port: int = 0
    reuse_port: bool = False
    instance: Count = 0
    tls_cert: str | None = None
    tls_key: str | None = None
    ledger: str | None = None
    control: bool = True
    records_max: int = 100_000

    def specs(self) -> list[AccountSpec]:
        """The accounts to create: those spelled out, else `accounts` plain ones."""
        if self.account_specs:
            return self.account_specs
        return [AccountSpec(id=f"acct-{n}") for n in range(1, self.accounts + 1)]


FAST: dict[str, Any] = {"headers_delay_ms": 0, "ttft_ms": 0, "tokens_per_s": 0}
DEMO: dict[str, Any] = {
    "headers_delay_ms": 40,
    "ttft_ms": 350,
    "tokens_per_s": 45,
    "style": "demo",
    "cost_percent": 1.0,
}


def fast(**changes: Any) -> Config:
    """A configuration without delays, as tests want it; `changes` are fields of `Config`."""
    knobs = {**FAST, **changes.pop("knobs", {})}
    return Config(knobs=knobs, **changes)


def demo(**changes: Any) -> Config:
    """Three accounts at readable speed; the first meets its 5 h limit after two requests."""
    specs = [
        AccountSpec(id="acct-1", email="ada@example.com", used_percent=98.2),
        AccountSpec(id="acct-2", email="grace@example.com", plan="pro", used_percent=21.0),
        AccountSpec(id="acct-3", email="linus@example.com", plan="team", used_percent=44.0),
    ]
    knobs = {**DEMO, **changes.pop("knobs", {})}
    return Config(account_specs=specs, knobs=knobs, **changes)
