"""The bounds that are no knobs: each a constant with its unit and its reason.

`Settings.limits` carries them to where they are needed, as single values; a test may build its
own. What operators set before the start is `app.settings`; what they may change while the gateway
runs is `app.domain.runtime`, whose defaults are some of these.
"""

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """The maximum of every queue, buffer, wait and retry, each with its unit."""

    prelude_bytes_max: int = 65_536
    """Events held back while another account can still be tried; real preludes are under 8 KiB."""
    commit_after_s: float = 2.0
    """The head goes out after this long even without content, so that a caller is not left waiting
    for headers while a model reasons."""
    keepalive_s: float = 15.0
    """Silence after which a comment is sent: half of the 30 s at which common proxies cut."""
    first_event_timeout_s: float = 120.0
    """Default of the runtime setting: an upstream that is silent this long is not queueing."""
    idle_timeout_s: float = 300.0
    """Default of the runtime setting: long reasoning is silent for minutes, hardly for five."""
    attempts_max: int = 4
    """Default of the runtime setting: with four accounts refusing, a fifth rarely differs."""
    retries_min: int = 10
    """Attempts made again in ten seconds that are free; beyond them, a fifth of the calls. An
    upstream that is out must not get several times the load that it can't carry."""
    connect_timeout_s: float = 10.0
    """TCP, proxy and TLS together; three lost SYN packets still fit."""
    body_read_timeout_s: float = 30.0
    """A whole request body must be here by then, or slow senders would pin connections."""
    send_timeout_s: float = 30.0
    """A caller that takes no byte for this long is gone or attacks; its lease is needed."""
    event_bytes_max: int = 16 << 20
    """One event of an upstream stream; images travel in one event and reach several MiB."""
    reply_bytes_max: int = 64 << 20
    """A reply that is folded for a caller that did not ask to stream."""
    error_body_bytes_max: int = 65_536
    """As much of an upstream's error body as is read; real ones are under 2 KiB."""
    header_bytes_max: int = 65_536
    """All header fields of one request or reply; Codex clients send some 4 KiB."""
    streams_max: int = 4_000
    """Calls in flight in one worker, twice the load it is tested with; more are shed with 503."""
    queue_max: int = 1_000
    """Calls that wait for an account; a longer line would only time out."""
    queue_wait_s: float = 30.0
    """How long a call waits for a busy account: shorter than the read timeout of most clients."""
    sessions_max: int = 100_000
    """Remembered bindings of a session to an account, about 20 MiB; the oldest are forgotten."""
    owned_items_max: int = 100_000
    """Remembered owners of encrypted items and turn states, as many bytes again."""
    history_bytes_max: int = 64 << 20
    """Conversations kept for `previous_response_id` in one worker; those used least go first."""
    history_key_bytes_max: int = 16 << 20
    """As much of it as one caller's key may fill, so that nobody drives the others out."""
    history_conversation_bytes_max: int = 8 << 20
    """A longer conversation is not kept: 200,000 tokens of text are under one MiB."""
    history_shared_bytes_max: int = 256 << 20
    """The same for all workers together, in Redis; a key may fill a quarter of it."""
    history_ttl_s: float = 3_600.0
    """How long a conversation that nobody goes on with is kept: people pause, scripts do not."""
    sockets_max: int = 2_000
    """Upstream WebSockets in one worker, idle ones included; beyond them calls go by HTTP."""
    sockets_per_account_max: int = 64
    """Of one account: its calls at a time by default, and as many that wait for their next turn."""
    callers_sockets_max: int = 8_000
    """WebSockets of callers in one worker, most of them idle; an idle one takes some 20 KiB."""
    socket_first_message_s: float = 30.0
    """Whoever connects has something to say."""
    socket_idle_s: float = 600.0
    """Between two turns; clients that reuse a connection do so within minutes."""
    socket_life_s: float = 3_600.0
    """As long as a connection to the upstream itself may live."""
    socket_messages_per_s: float = 100.0
    """A turn is one message, so this is far above any use."""
    socket_message_bytes_max: int = 16 << 20
    """As large as the upstream's own limit for one message."""
    socket_history_bytes_max: int = 256 << 20
    """What all WebSockets of a worker remember of their latest responses."""
    renewal_timeout_s: float = 30.0
    """One token exchange; giving up early leaves a refresh token that may be spent."""
    routing_dwell_s: float = 5.0
    """Between not being ready and refusing calls: load balancers look every few seconds."""
    loop_lag_ready_s: float = 2.0
    """A loop that is this late is not ready for more: it answers nobody in time."""
    descriptors_spare: int = 80
    """Kept free of calls: for the stores, the journal, and whoever asks how it goes.

    Calls have to be shed before `app.serving.connections_max` is reached: a server that accepts no
    more answers nobody, not even the probes.
    """
    loop_stall_s: float = 15.0
    """A loop that stands still for this long never goes on; its worker ends, another one begins."""
    reload_poll_s: float = 1.0
    """How often the store's revision is read: a revoked key must be refused within 2 s."""
    store_busy_timeout_s: float = 2.0
    """How long a write waits for another process's write; the command line's take milliseconds."""
    store_lock_timeout_s: float = 30.0
    """How long a start waits for another process that is migrating the same database."""
    account_events_max: int = 100
    """Events kept for one account; the older ones are deleted as new ones come."""
    accounts_max: int = 50_000
    """Accounts in one store; selection was measured up to here."""
    keys_max: int = 100_000
    """Callers' keys in one store; all live in memory at about 300 bytes each."""
