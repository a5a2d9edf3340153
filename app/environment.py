"""Reads text settings from layers of names and values, and judges each of them.

A layer is a mapping of names to text: the process environment, or a parsed `.env`. A name is
looked up in the first layer that has it, either as `NAME` or as `NAME_FILE`, whose value is the
path of a file that holds the text. Faults are collected, never raised one at a time, so that an
operator sees all of them at once. What the names mean is `app.settings`; the process environment
itself is read only there.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

FILE_BYTES_MAX = 1 << 20
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

T = TypeVar("T")


class Fault(Struct, frozen=True):
    """One bad setting: its name, the text that was found (stars if secret), what would do."""

    name: str
    value: str
    expected: str

    def __str__(self) -> str:
        return f"{self.name}: expected {self.expected}, found {self.value}"


class SettingsError(Exception):
    """The settings can't be used; `faults` has every reason at once."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class Variable(Struct, frozen=True):
    """One name of the environment: the field it sets, how its text is read, what is expected."""

    name: str
    field: str
    parse: Callable[[str], object]
    expected: str
    secret: bool = False


def read(
    variables: Sequence[Variable], layers: Sequence[Mapping[str, str]]
) -> tuple[dict[str, object], list[Fault]]:
    """Return the value of each field that some layer sets, and the faults of those that failed.

    Empty text counts as not set, because compose files pass empty variables on.
    """
    values: dict[str, object] = {}
    faults: list[Fault] = []
    for variable in variables:
        found = _find(variable, layers)
        if isinstance(found, Fault):
            faults.append(found)
        elif found is not None:
            try:
                values[variable.field] = variable.parse(found)
            except ValueError:
                shown = "***" if variable.secret else repr(found)
                faults.append(Fault(variable.name, shown, variable.expected))
    return values, faults


def _find(variable: Variable, layers: Sequence[Mapping[str, str]]) -> str | Fault | None:
    for layer in layers:
        text = layer.get(variable.name, "").strip()
        path = layer.get(f"{variable.name}_FILE", "").strip()
        if text and path:
            return Fault(f"{variable.name}_FILE", repr(path), f"not to be set with {variable.name}")
        if path:
            return _read_secret_file(variable.name, Path(path))
        if text:
            return text
    return None


def _read_secret_file(name: str, path: Path) -> str | Fault:
    """Return what the file holds without surrounding blanks, as editors end files with one."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
        text = content.decode("utf-8").strip()
    except OSError as error:
        return Fault(f"{name}_FILE", repr(str(path)), f"a readable file ({error.strerror})")
    except UnicodeDecodeError:
        return Fault(f"{name}_FILE", repr(str(path)), "a file of UTF-8 text")
    if not text or len(content) > FILE_BYTES_MAX:
        return Fault(f"{name}_FILE", repr(str(path)), "a file with 1 byte to 1 MiB of text")
    return text


_DOTENV_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


def read_dotenv(path: Path) -> tuple[dict[str, str], list[Fault]]:
    """Return what a `.env` file sets: `NAME=value` lines, `#` comments, optional quotes.

    Nothing is interpolated: a `$` is a `$`, since secrets may hold one.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        return {}, [Fault("CODEX_ENV_FILE", repr(str(path)), f"a readable file ({error.strerror})")]
    except UnicodeDecodeError:
        return {}, [Fault("CODEX_ENV_FILE", repr(str(path)), "a file of UTF-8 text")]
    values: dict[str, str] = {}
    faults: list[Fault] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _DOTENV_LINE.fullmatch(text)
        if match is None:
            # The line itself is not shown: it may be a secret whose name was lost.
            faults.append(Fault(f"{path}, line {number}", "another form", "NAME=value"))
        else:
            values[match[1]] = _unquote(match[2])
    return values, faults


def _unquote(text: str) -> str:
    quoted = re.fullmatch(r"""(["'])(.*)\1(?:\s+#.*)?""", text)
    if quoted is not None:
        return quoted[2]
    return re.split(r"\s+#", text, maxsplit=1)[0].strip()


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `low` to `high`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,12}", text) or not low <= int(text) <= high:
            raise ValueError(text)
        return int(text)

    return parse


def mebibytes(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of a size in MiB that gives bytes."""
    parse_whole = whole(low, high)
    return lambda text: parse_whole(text) << 20


def one_of(*words: str) -> Callable[[str], str]:
    """Return a reader that accepts exactly `words`, in any case."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(text)
        return text.lower()

    return parse


def boolean(text: str) -> bool:
    """Read `true` or `false` in the usual spellings."""
    match text.lower():
        case "true" | "1" | "yes" | "on":
            return True
        case "false" | "0" | "no" | "off":
            return False
    raise ValueError(text)


def printable(low: int, high: int) -> Callable[[str], str]:
    """Return a reader of printable ASCII text with `low` to `high` characters."""

    def parse(text: str) -> str:
        if not low <= len(text) <= high or not text.isascii() or not text.isprintable():
            raise ValueError(text)
        return text

    return parse


def listed(parse: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Return a reader of a comma-separated list whose items `parse` reads."""

    def parse_all(text: str) -> tuple[T, ...]:
        items = [item.strip() for item in text.split(",")]
        return tuple(parse(item) for item in items if item)

    return parse_all


def address(text: str) -> str:
    """Read an IP address or `localhost`."""
    if text != "localhost":
        ipaddress.ip_address(text)
    return text


def network(text: str) -> Network:
    """Read an address or a network in CIDR form."""
    return ipaddress.ip_network(text, strict=False)


def host_port(text: str) -> tuple[str, int]:
    """Read `host:port`; an IPv6 address stands in brackets."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname or not parts.port or parts.path or parts.username:
        raise ValueError(text)
    return parts.hostname, parts.port


def host_name(text: str) -> str:
    """Read a name of a host, or `*.` and a domain."""
    name = text.lower().rstrip(".")
    labels = name.removeprefix("*.").split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(text)
    return name


def url(*schemes: str, query: bool = False) -> Callable[[str], str]:
    """Return a reader of absolute URLs with one of `schemes`; a trailing slash is dropped."""

    def parse(text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in schemes or not parts.hostname or parts.fragment:
            raise ValueError(text)
        if parts.query and not query:
            raise ValueError(text)
        _ = parts.port  # raises ValueError if it is no number
        return text.rstrip("/")

    return parse


def redis_address(text: str) -> str:
    """Read `host:port` or a `redis://` or `rediss://` URL."""
    if "://" in text:
        return url("redis", "rediss")(text)
    host_port(text)
    return text


def existing_file(text: str) -> Path:
    """Read the path of a file that is there."""
    path = Path(text)
    if not path.is_file():
        raise ValueError(text)
    return path
