"""What an operator sets before the start: the environment, as one frozen `Settings`.

`Settings.from_env()` runs once and is the only reader of the process environment; it checks every
name and every combination and reports all faults together. The bounds that are no knobs are
`app.limits`; what may change while the gateway runs is in the store (`app.domain.runtime`).
"""

import os
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Self

from msgspec import Struct, structs

from app import __version__
from app.environment import (
    Fault,
    Network,
    SettingsError,
    Variable,
    address,
    boolean,
    existing_file,
    host_name,
    host_port,
    listed,
    mebibytes,
    network,
    one_of,
    printable,
    read,
    read_dotenv,
    redis_address,
    url,
    whole,
)
from app.limits import Limits

__all__ = ["VARIABLES", "Driver", "Limits", "Settings", "SettingsError", "misspelt"]


class Driver(StrEnum):
    """Where rows or shared state live."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"
    MEMORY = "memory"
    REDIS = "redis"


class Settings(Struct, frozen=True, kw_only=True):
    """One worker's configuration; built once, then passed down as single values."""

    limits: Limits = Limits()
    """The constants that bound everything; only tests replace them."""
    bind: str = "127.0.0.1"
    """Address of the listener; this machine only, until the operator decides to open it."""
    port: int = 8080
    """Port of the listener; the one that Codex2API's users have in their clients."""
    data_dir: Path = Path("data")
    """Home of the SQLite file, the key file and the journal; beside the start, easy to find."""
    workers: int = 1
    """Worker processes; one needs no Postgres and Redis, and runs thousands of streams."""
    database_driver: Driver = Driver.SQLITE
    """`sqlite` or `postgres`; SQLite needs nothing to be installed."""
    database_path: Path | None = None
    """The SQLite file; `codex2api.db` in the data directory, so that one folder is the backup."""
    database_url: str | None = None
    """Postgres in one URL; no default, since a guess would create tables in a wrong place."""
    database_host: str | None = None
    """Postgres host, the alternative to the URL; no default for the same reason."""
    database_port: int = 5432
    """Postgres port; the registered one."""
    database_user: str = "codex2api"
    """Postgres user; named after the product."""
    database_password: str | None = None
    """Postgres password; none, as local sockets and certificates need none."""
    database_name: str = "codex2api"
    """Postgres database; named after the product."""
    database_sslmode: str = "prefer"
    """libpq's `sslmode`, and libpq's default."""
    cache_driver: Driver = Driver.MEMORY
    """`memory` or `redis`; one worker shares its state with nobody."""
    redis_addr: str | None = None
    """`host:port`, `redis://` or `rediss://`; no default, like Postgres."""
    redis_username: str | None = None
    """Redis user; none, as most servers only ask for a password."""
    redis_password: str | None = None
    """Redis password; none, as most servers in a private network have none."""
    redis_db: int = 0
    """Redis database number; the server's own default."""
    redis_tls: bool = False
    """TLS to a `host:port`; a `rediss://` URL says it by itself."""
    admin_secret: str | None = None
    """Password of the admin API; without one it is generated and printed once."""
    secret_keys: tuple[str, ...] = ()
    """Keyring for secrets at rest, the first one writes; without it a key file is used."""
    api_keys: tuple[str, ...] = ()
    """Callers' keys that exist from the start; none, so that no key is ever well known."""
    user_agent: str = f"codex2api/{__version__}"
    """How the gateway names itself upstream when the caller is no Codex client: truthfully."""
    originator: str = "codex2api"
    """The `originator` that goes with it."""
    proxy_url: str | None = None
    """Proxy for all upstream traffic; none, and with one there is never a direct connection."""
    ca_file: Path | None = None
    """A private CA to trust besides the public ones; none is right for the public upstream."""
    private_names: tuple[str, ...] = ()
    """Names of upstreams (or `*.` and a domain) that may lead into private networks, though they
    look like names of the internet; none, since whoever owns a name can let it lead anywhere."""
    trusted_proxies: tuple[Network, ...] = ()
    """Networks whose `X-Forwarded-For` is believed; none, since anybody can send that header."""
    tls_cert: Path | None = None
    """Certificate chain to serve TLS directly; none, as a proxy usually does that."""
    tls_key: Path | None = None
    """The certificate's private key."""
    metrics_token: str | None = None
    """Bearer token of `/metrics`; open without it, as scrapers in a private network expect."""
    traces_url: str | None = None
    """Where an OpenTelemetry collector takes traces over HTTP; none, as they need an extra."""
    admin_bind: tuple[str, int] | None = None
    """A second listener for the admin side only; by default both share one."""
    log_level: str = "info"
    """The least severe events that are logged; `debug` has one line a call."""
    log_format: str = "json"
    """`json` for machines, `console` for people; chosen by whether stderr is a terminal."""
    upstream_base_url: str = "https://chatgpt.com/backend-api"
    """The Codex backend; `/codex/...` and `/wham/...` hang below it."""
    oauth_issuer: str = "https://auth.openai.com"
    """The authorization server; its token and authorize endpoints hang below it."""
    renewal_sweep_s: int = 3600
    """Between sweeps over all credentials; every renewal also has its own earlier deadline."""
    drain_timeout_s: int = 600
    """What running streams get after SIGTERM; ten minutes outlast nearly every reply."""
    body_bytes_max: int = 48 << 20
    """The largest request body; conversations with images reach tens of MiB."""
    allow_anonymous: bool = False
    """Serve callers without any key; off, so that a forgotten key is no open door."""

    @property
    def sqlite_path(self) -> Path:
        """The SQLite file."""
        return self.database_path or self.data_dir / "codex2api.db"

    @property
    def key_file(self) -> Path:
        """The key file, beside the database that it opens."""
        return self.sqlite_path.parent / "secret.key"

    def __repr__(self) -> str:
        shown = (
            f"{name}={'***' if name in _SECRET_FIELDS and value else repr(value)}"
            for name, value in structs.asdict(self).items()
        )
        return f"Settings({', '.join(shown)})"

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Return the settings of `env`, or of the process and `./.env` if none is given.

        The environment wins over the file; `CODEX_ENV_FILE` names another file, which must then
        be there. With a given `env` only a named file is read, so that tests are hermetic.

        Raises:
            SettingsError: Something is missing, malformed or contradictory; has all the faults.
        """
        process = os.environ if env is None else env  # noqa: TID251 - the one place that reads it
        dotenv, faults = _dotenv(process, default=env is None)
        values, bad = read(VARIABLES, [process, dotenv])
        faults += bad
        if env is None and "log_format" not in values and sys.stderr.isatty():
            values["log_format"] = "console"
        settings = cls(**values)  # type: ignore[arg-type]  # the parsers in VARIABLES give the types
        faults += _contradictions(settings, unread={fault.name for fault in bad})
        if faults:
            raise SettingsError(faults)
        return settings

    def warnings(self) -> list[str]:
        """Return what is allowed but deserves a second look, one sentence each."""
        found = []
        if any(len(key) < 20 for key in self.api_keys):
            found.append("CODEX_API_KEYS has a key under 20 characters, which can be guessed.")
        if self.admin_secret is not None and len(self.admin_secret) < 12:
            found.append("ADMIN_SECRET is under 12 characters, which can be guessed.")
        if self.allow_anonymous and self.bind not in {"127.0.0.1", "::1", "localhost"}:
            found.append(f"CODEX_ALLOW_ANONYMOUS lets everybody who reaches {self.bind} in.")
        return found


def misspelt(env: Mapping[str, str] | None = None) -> list[str]:
    """Return a sentence for each name that resembles one of ours: all of `.env`, ours of `env`."""
    process = os.environ if env is None else env  # noqa: TID251 - see `from_env`
    dotenv, _ = _dotenv(process, default=env is None)
    known = [variable.name for variable in VARIABLES]
    allowed = {"CODEX_ENV_FILE", *known, *(f"{name}_FILE" for name in known)}
    found = []
    ours = {name for name in process if name.startswith("CODEX_")}
    for name in sorted({*ours, *dotenv} - allowed):
        close = get_close_matches(name, known, n=1, cutoff=0.85)
        if close:
            found.append(f"{name} is no setting; {close[0]} may be meant.")
    return found


def _dotenv(env: Mapping[str, str], *, default: bool) -> tuple[dict[str, str], list[Fault]]:
    named = env.get("CODEX_ENV_FILE", "").strip()
    path = Path(named or ".env")
    if named or (default and path.exists()):
        return read_dotenv(path)
    return {}, []


def _driver(*words: str) -> Callable[[str], Driver]:
    parse = one_of(*words)
    return lambda text: Driver(parse(text))


_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_LOG_LEVELS = ("debug", "info", "warning", "error")
_A_TEXT = "1 to 256 printable ASCII characters"
_A_PORT = "a whole number from 1 to 65535"
_A_FILE = "the path of a file that is there"
_A_URL = "an http:// or https:// URL without a query"

VARIABLES: tuple[Variable, ...] = (
    Variable("CODEX_PORT", "port", whole(1, 65_535), _A_PORT),
    Variable("CODEX_BIND", "bind", address, "an IP address, such as 127.0.0.1 or 0.0.0.0"),
    Variable("CODEX_DATA_DIR", "data_dir", Path, "the path of a directory"),
    Variable("CODEX_WORKERS", "workers", whole(1, 256), "a whole number from 1 to 256"),
    Variable(
        "DATABASE_DRIVER", "database_driver", _driver("sqlite", "postgres"),
        "sqlite or postgres",
    ),
    Variable("DATABASE_PATH", "database_path", Path, "the path of a file"),
    Variable(
        "DATABASE_URL", "database_url", url("postgres", "postgresql", query=True),
        "a postgresql:// URL", secret=True,
    ),
    Variable("DATABASE_HOST", "database_host", printable(1, 256), _A_TEXT),
    Variable("DATABASE_PORT", "database_port", whole(1, 65_535), _A_PORT),
    Variable("DATABASE_USER", "database_user", printable(1, 256), _A_TEXT),
    Variable("DATABASE_PASSWORD", "database_password", str, "a text", secret=True),
    Variable("DATABASE_NAME", "database_name", printable(1, 256), _A_TEXT),
    Variable("DATABASE_SSLMODE", "database_sslmode", one_of(*_SSL_MODES), ", ".join(_SSL_MODES)),
    Variable(
        "CACHE_DRIVER", "cache_driver", _driver("memory", "redis"),
        "memory or redis",
    ),
    Variable(
        "REDIS_ADDR", "redis_addr", redis_address, "host:port, redis:// or rediss://", secret=True
    ),
    Variable("REDIS_USERNAME", "redis_username", printable(1, 256), _A_TEXT),
    Variable("REDIS_PASSWORD", "redis_password", str, "a text", secret=True),
    Variable("REDIS_DB", "redis_db", whole(0, 1_000_000), "a whole number from 0"),
    Variable("REDIS_TLS", "redis_tls", boolean, "true or false"),
    Variable("ADMIN_SECRET", "admin_secret", printable(1, 256), _A_TEXT, secret=True),
    Variable(
        "CODEX_SECRET_KEY", "secret_keys", listed(printable(32, 1024)),
        "keys of 32 or more printable ASCII characters, separated by commas "
        "(`openssl rand -hex 32` makes one)",
        secret=True,
    ),
    Variable(
        "CODEX_API_KEYS", "api_keys", listed(printable(3, 256)),
        "keys of 3 to 256 printable ASCII characters, separated by commas", secret=True,
    ),
    Variable("CODEX_USER_AGENT", "user_agent", printable(1, 256), _A_TEXT),
    Variable("CODEX_ORIGINATOR", "originator", printable(1, 256), _A_TEXT),
    Variable(
        "UPSTREAM_PROXY_URL", "proxy_url", url("http", "https", "socks5"),
        "an http://, https:// or socks5:// URL", secret=True,
    ),
    Variable(
        "UPSTREAM_PRIVATE_NAMES", "private_names", listed(host_name),
        "names such as llm.example.com or *.corp.example.com, separated by commas",
    ),
    Variable("SSL_CERT_FILE", "ca_file", existing_file, _A_FILE),
    Variable(
        "TRUSTED_PROXIES", "trusted_proxies", listed(network),
        "networks such as 10.0.0.0/8, separated by commas",
    ),
    Variable("CODEX_TLS_CERT", "tls_cert", existing_file, _A_FILE),
    Variable("CODEX_TLS_KEY", "tls_key", existing_file, _A_FILE),
    Variable("CODEX_METRICS_TOKEN", "metrics_token", printable(1, 256), _A_TEXT, secret=True),
    Variable("OTEL_EXPORTER_OTLP_ENDPOINT", "traces_url", url("http", "https"), _A_URL),
    Variable("CODEX_ADMIN_BIND", "admin_bind", host_port, "host:port, such as 127.0.0.1:8081"),
    Variable("LOG_LEVEL", "log_level", one_of(*_LOG_LEVELS), ", ".join(_LOG_LEVELS)),
    Variable("LOG_FORMAT", "log_format", one_of("json", "console"), "json or console"),
    Variable("UPSTREAM_BASE_URL", "upstream_base_url", url("http", "https"), _A_URL),
    Variable("OAUTH_ISSUER", "oauth_issuer", url("http", "https"), _A_URL),
    Variable(
        "POOL_REFRESH_INTERVAL", "renewal_sweep_s", whole(10, 604_800),
        "a whole number of seconds from 10 to 604800",
    ),
    Variable(
        "CODEX_DRAIN_TIMEOUT", "drain_timeout_s", whole(0, 86_400),
        "a whole number of seconds from 0 to 86400",
    ),
    Variable(
        "CODEX_MAX_REQUEST_BODY_SIZE_MB", "body_bytes_max", mebibytes(1, 1024),
        "a whole number of MiB from 1 to 1024",
    ),
    Variable("CODEX_ALLOW_ANONYMOUS", "allow_anonymous", boolean, "true or false"),
)  # fmt: skip

_SECRET_FIELDS = frozenset(variable.field for variable in VARIABLES if variable.secret)


def _contradictions(settings: Settings, *, unread: set[str]) -> list[Fault]:
    """Return the faults of values that are good one by one; none about a name that is unread."""
    found: list[Fault] = []
    postgres = settings.database_driver is Driver.POSTGRES
    redis = settings.cache_driver is Driver.REDIS
    if settings.workers > 1 and not (postgres and redis):
        found.append(
            Fault(
                "CODEX_WORKERS",
                repr(settings.workers),
                "1, or DATABASE_DRIVER=postgres and CACHE_DRIVER=redis as well: "
                "several workers must share their rows and their state",
            )
        )
    if postgres:
        found += _postgres_faults(settings)
    if redis and settings.redis_addr is None:
        found.append(Fault("REDIS_ADDR", "nothing", "host:port or a URL with CACHE_DRIVER=redis"))
    if (settings.tls_cert is None) != (settings.tls_key is None):
        name = "CODEX_TLS_CERT" if settings.tls_cert is None else "CODEX_TLS_KEY"
        found.append(Fault(name, "nothing", "to be set, as the certificate and key go together"))
    return [fault for fault in found if fault.name not in unread]


def _postgres_faults(settings: Settings) -> list[Fault]:
    found = []
    if settings.database_url is None and settings.database_host is None:
        found.append(
            Fault(
                "DATABASE_URL", "nothing", "a URL, or DATABASE_HOST, with DATABASE_DRIVER=postgres"
            )
        )
    if not settings.secret_keys:
        found.append(
            Fault(
                "CODEX_SECRET_KEY", "nothing", "a key with DATABASE_DRIVER=postgres, as there is "
                "no data directory that could keep one (`openssl rand -hex 32` makes one)",
            )
        )  # fmt: skip
    return found
