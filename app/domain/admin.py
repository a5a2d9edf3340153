"""Who administers the gateway, and what is remembered of it: values between store and services."""

from msgspec import Struct


class Password(Struct, frozen=True):
    """The administrator's password as it is stored."""

    hash: str
    set_at: float
    totp_step: int = 0
    """The latest time step whose one-time code was taken."""


class Session(Struct, frozen=True):
    """One browser that is logged in; `digest` is that of what its cookie holds."""

    digest: str
    created_at: float
    seen_at: float
    ip: str
    user_agent: str

    @property
    def id(self) -> str:
        """What it is called in lists: enough of the digest to tell it apart."""
        return self.digest[:16]


class Actor(Struct, frozen=True):
    """Who asks for something: a session's id or `admin_key`, from where, and in which request."""

    name: str
    ip: str
    request_id: str
    session: Session | None = None


class AuditEntry(Struct, frozen=True):
    """What somebody did; `before` and `after` are JSON, and hold no secret."""

    at: float
    actor: str
    ip: str
    request_id: str
    action: str
    target: str
    before: str = "null"
    after: str = "null"
    id: int = 0


class Answer(Struct, frozen=True):
    """What a request was answered with, to be said again; `status` is None while it goes on."""

    fingerprint: str
    at: float
    status: int | None
    body: bytes = b""
