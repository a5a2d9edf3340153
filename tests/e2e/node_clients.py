"""The official clients that come as Node packages: installed once a session, run as programs.

`package.json` in `node/` and in `claude_code/` pins them, the lock file has their hashes. They go
to a folder of the user's cache, named after that file, so that the next session finds them. Where
Node or the packages can't be had the tests are skipped and say why.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", ".npmrc")
INSTALL_S = 240.0
COMPLETE = "complete"


def installed(clients: str = "node") -> Path:
    """Return the folder whose `node_modules` has the clients; skip the test if there is none."""
    folder, why_not = _attempt(HERE / clients)
    if why_not:
        pytest.skip(why_not)
    return folder


@cache
def _attempt(source: Path) -> tuple[Path, str]:
    """Return the folder, and why the clients aren't in it; tried once in a session."""
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        return source, f"{missing[0]} is not installed"
    folder = _cache() / hashlib.sha256((source / FILES[1]).read_bytes()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # Two workers of a session would install into the same folder.
        fcntl.flock(lock, fcntl.LOCK_EX)
        why_not = "" if (folder / COMPLETE).exists() else _install(source, folder)
    return folder, why_not


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codex2api" / "e2e"


def _install(source: Path, folder: Path) -> str:
    for name in FILES:
        shutil.copyfile(source / name, folder / name)
    try:
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"npm ci took longer than {INSTALL_S:.0f} s"
    if done.returncode:
        return f"npm ci failed: {done.stderr.strip()[-300:]}"
    (folder / COMPLETE).touch()
    return ""
