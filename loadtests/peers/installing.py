"""Installs the peers below build/peers, each in a folder of its own, or says why one can't be had.

Versions are pinned, so that a table can be made again. What is installed once is used again.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import orjson

from loadtests.bench import nginx
from loadtests.bench.figures import ProgramName
from loadtests.bench.processes import ROOT

HOME: Final = ROOT / "build" / "peers"
LITELLM: Final = "1.108.7"
PORTKEY: Final = "1.15.2"
PORTKEY_SERVER: Final = "1.12.2"
"""Of @hono/node-server. With later ones Portkey answers each stream with a 500 on Node 20."""
CODEX_LB: Final = "1.24.0"
SAID_MAX: Final = 300


class Installed(msgspec.Struct, frozen=True):
    """A peer that can be started."""

    version: str
    command: tuple[str, ...]
    """What every call of it begins with."""
    folder: Path | None = None
    """All that was installed for it; None where the machine's packages hold it."""


class Missing(msgspec.Struct, frozen=True):
    """A peer that can't be had here."""

    reason: str


class _Failed(Exception):
    """A step of an installation did not work; the text is the end of what it said."""


def install(name: ProgramName) -> Installed | Missing:
    """Return the peer, installed now if it was not yet."""
    try:
        return _INSTALLERS[name]()
    except _Failed as failed:
        return Missing(str(failed))


def size_bytes(installed: Installed) -> int | None:
    """What the installation takes on the disk; None where packages of the machine hold it."""
    if installed.folder is None:
        return None
    files = (path for path in installed.folder.rglob("*") if not path.is_symlink())
    return sum(path.stat().st_size for path in files if path.is_file())


def _nginx() -> Installed | Missing:
    found = nginx.command()
    return Installed(nginx.version(), (found,)) if found else Missing("nginx is not installed")


def _haproxy() -> Installed | Missing:
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if found is None:
        return Missing("haproxy is not installed (Debian: the package haproxy)")
    return Installed(_called(found, "-v").split()[2], (found,))


def _gateway() -> Installed:
    return Installed("this tree", (sys.executable, "-m", "app"))


def _litellm() -> Installed:
    folder = HOME / "litellm"
    python = folder / "bin" / "python"
    if not (folder / "bin" / "litellm").exists():
        _called(sys.executable, "-m", "venv", "--without-pip", str(folder))
        uv = str(Path(sys.executable).with_name("uv"))
        _called(uv, "pip", "install", "-q", "-p", str(python), f"litellm[proxy]=={LITELLM}")
    return Installed(LITELLM, (str(python), str(folder / "bin" / "litellm")), folder)


def _portkey() -> Installed | Missing:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return Missing("Node is not installed")
    folder = HOME / "portkey"
    start = folder / "node_modules/@portkey-ai/gateway/build/start-server.js"
    if not start.exists():
        folder.mkdir(parents=True, exist_ok=True)
        wanted = {
            "private": True,
            "dependencies": {"@portkey-ai/gateway": PORTKEY},
            "overrides": {"@hono/node-server": PORTKEY_SERVER},
        }
        (folder / "package.json").write_bytes(orjson.dumps(wanted))
        quiet = ("--no-audit", "--no-fund", "--loglevel=error", "--legacy-peer-deps")
        _called(npm, "install", "--prefix", str(folder), *quiet)
    return Installed(PORTKEY, (node, str(start)), folder)


def _codex_lb() -> Installed | Missing:
    python = _newer_python()
    if python is None:
        return Missing("it needs Python 3.13, which this machine has not")
    folder = HOME / "codex-lb"
    if not (folder / "bin" / "codex-lb").exists():
        _called(python, "-m", "venv", str(folder))
        _called(str(folder / "bin" / "pip"), "install", "-q", f"codex-lb=={CODEX_LB}")
    return Installed(CODEX_LB, (str(folder / "bin" / "python"),), folder)


def _newer_python() -> str | None:
    """A Python 3.13 or later of this machine, wherever pyenv or the system keep it."""
    kept = sorted((Path.home() / ".pyenv" / "versions").glob("3.1[3-9]*/bin/python"))
    for candidate in (*map(str, kept), "python3.14", "python3.13"):
        try:
            said = _called(candidate, "--version")
        except _Failed:
            continue
        if said.startswith("Python 3."):
            return candidate
    return None


_INSTALLERS: Final[dict[ProgramName, Callable[[], Installed | Missing]]] = {
    "nginx": _nginx,
    "haproxy": _haproxy,
    "gateway": _gateway,
    "litellm": _litellm,
    "portkey": _portkey,
    "codex-lb": _codex_lb,
}
NAMES: Final = tuple(_INSTALLERS)


def _called(*command: str) -> str:
    """Run a command to its end and return what it printed. Raises _Failed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise _Failed(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-SAID_MAX:]
        raise _Failed(f"`{' '.join(command)}` ended with {done.returncode}: {said}")
    return done.stdout
