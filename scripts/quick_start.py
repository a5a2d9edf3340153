"""`make quick-start`: does what docs/quick-start.md says, every command as it is written.

The page's blocks of `sh` are typed into real terminals, each into the one that its title names, in
a fresh clone and with a home of its own. Only what is not the reader's to type is put in its place:
the environment names the simulator as the upstream. Where Node is missing the steps with npm's
programs are left out, and the script says so.
"""

import argparse
import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import httpx
import orjson
from msgspec import Struct

from app.settings import VARIABLES

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "quick-start.md"
BLOCK: Final = re.compile(
    r'^( *)```sh(?: title="([^"]*)")?\n(.*?)^\1```$', re.MULTILINE | re.DOTALL
)
STAYS: Final = {"make demo": "Ctrl-C ends it.", "make run": ""}
"""Commands that stay until Ctrl-C, and what they say when they have shown all there is to see."""
READY: Final = "http://127.0.0.1:8080/ready"
NODE_ONLY: Final = re.compile(r"^(?:npm|codex|claude)\b", re.MULTILINE)
BLOCK_S: Final = 420.0
END_S: Final = 30.0
STEP_S: Final = 0.1
BACK_S: Final = 3.0
"""Between two looks whether a shell is back after Ctrl-C."""
READ_BYTES: Final = 65_536
CALLS_MIN: Final = 2
"""One of curl, one of the Codex CLI."""


class Failed(Exception):
    """The page does not do what it says."""


class Block(Struct, frozen=True):
    """Commands, and the terminal that they are typed into."""

    terminal: str
    text: str

    @property
    def stays(self) -> str | None:
        """Return the last command if it stays until Ctrl-C."""
        last = self.text.strip().rpartition("\n")[2]
        return last if last in STAYS else None


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page that are to be run, in their order."""
    return [
        Block(title or "Terminal 1", re.sub(rf"^{indent}", "", text, flags=re.MULTILINE))
        for indent, title, text in BLOCK.findall(page)
    ]


def _as_a_terminal_does() -> None:
    """Make standard input the new session's terminal, at which Ctrl-C is heard.

    Whoever was started in the background ignores it, and so would all that it starts.
    """
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A shell behind a pseudo-terminal. Close it."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.said = ""
        self._typed = 0
        self._main, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "--noediting", "-i"],
            cwd=folder,
            env={**environment, "PS1": "", "PS2": "", "TERM": "dumb"},
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            preexec_fn=_as_a_terminal_does,  # noqa: PLW1509 - one thread
        )
        os.close(other)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.run('stty -echo; set +H; trap \'printf "\\n<<failed: %s>>\\n" "$BASH_COMMAND"\' ERR\n')

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the shell and what it runs."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGHUP)
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._reader.join(END_S)
        os.close(self._main)

    def start(self, text: str) -> int:
        """Type commands; returns the number of the mark that tells that they are over."""
        self._typed += 1
        # As one compound command: nothing of it is left to be read by the programs in it.
        whole = f"{{ {text.strip()}\n}}; printf '\\n<<%s %s>>\\n' over {self._typed}\n"
        os.write(self._main, whole.encode())
        return self._typed

    def run(self, text: str) -> str:
        """Type commands and return what they print.

        Raises:
            Failed: One of them failed, or they took too long.
        """
        since = len(self.said)
        self.wait_for(f"<<over {self.start(text)}>>")
        printed = self.said[since:]
        failed = re.search(r"<<failed: (.*)>>", printed)
        if failed and "trap " not in text:
            raise Failed(f"`{failed[1]}` failed:\n{printed[-4_000:]}")
        return printed

    def wait_for(self, what: str) -> None:
        """Wait until it is printed."""
        deadline = time.monotonic() + BLOCK_S
        while what not in self.said:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{self.name} never said {what!r}:\n{self.said[-4_000:]}")
            time.sleep(STEP_S)

    def interrupt(self) -> None:
        """Press Ctrl-C, and wait until the shell is back."""
        os.write(self._main, b"\x03")
        deadline = time.monotonic() + BLOCK_S
        while time.monotonic() < deadline:
            # An interrupted list of commands tells of no end, and what is typed too early is lost.
            mark = f"<<over {self.start(':')}>>"
            until = time.monotonic() + BACK_S
            while time.monotonic() < until:
                if mark in self.said:
                    return
                time.sleep(STEP_S)
        raise Failed(f"{self.name} did not come back after Ctrl-C:\n{self.said[-4_000:]}")

    def _read(self) -> None:
        try:
            while piece := os.read(self._main, READ_BYTES):
                self.said += piece.decode("utf-8", "replace").replace("\r", "")
        except OSError:
            return  # the other side is gone


@contextmanager
def simulator() -> Iterator[dict[str, Any]]:
    """Start the simulated upstream; yield its addresses."""
    arguments = ("--profile", "fast", "--accounts", "1", "--control")
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtests.simulator", *arguments], cwd=ROOT, stdout=subprocess.PIPE
    )
    with process:
        try:
            yield orjson.loads(process.stdout.readline() if process.stdout else b"{}")
        finally:
            process.terminate()


def surroundings(home: Path, simulated: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a reader who has just opened a terminal."""
    settings = {variable.name for variable in VARIABLES}
    hidden = settings | {f"{name}_FILE" for name in settings} | {"VIRTUAL_ENV", "PYTHONPATH"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in hidden and not name.startswith(("MAKE", "MFLAGS"))
    }
    packages = home / ".packages"
    return kept | {
        "HOME": str(home),
        "PATH": f"{packages}/bin:{os.environ['PATH']}",
        "npm_config_prefix": str(packages),
        "npm_config_cache": str(Path.home() / ".npm"),
        "PIP_CACHE_DIR": str(Path.home() / ".cache" / "pip"),
        "UPSTREAM_BASE_URL": str(simulated["upstream_base_url"]),
        "OAUTH_ISSUER": str(simulated["oauth_issuer"]),
    }


def follow(page: str, terminals: Mapping[str, Terminal]) -> None:
    """Do what the page says."""
    staying: dict[str, str] = {}
    for block in blocks(page):
        if NODE_ONLY.search(block.text) and shutil.which("npm") is None:
            print(f"left out, as npm is missing:\n{block.text}", flush=True)
            continue
        terminal = terminals[block.terminal]
        print(f"--- {block.terminal}\n{block.text}", end="", flush=True)
        if staying.pop(block.terminal, None):
            terminal.interrupt()
        began = time.monotonic()
        if block.stays is None:
            terminal.run(block.text)
        else:
            staying[block.terminal] = block.stays
            terminal.start(block.text)
            if STAYS[block.stays]:
                terminal.wait_for(STAYS[block.stays])
            else:
                _ready(terminal)
        print(f"    ({time.monotonic() - began:.1f} s)", flush=True)
    for name in staying:
        terminals[name].interrupt()


def _ready(terminal: Terminal) -> None:
    deadline = time.monotonic() + BLOCK_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(READY, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(STEP_S)
    raise Failed(f"the gateway never was ready:\n{terminal.said[-4_000:]}")


def judge(control: str) -> int:
    """Return how many calls the simulator has answered.

    Raises:
        Failed: It saw what must not happen, or too few calls.
    """
    with httpx.Client(base_url=control, trust_env=False) as client:
        violations = client.get("violations").raise_for_status().json()
        records = client.get("ledger").raise_for_status().json()
    if violations:
        raise Failed(f"the upstream complains: {violations}")
    calls = [record for record in records if record["path"].endswith("/responses")]
    answered = [record for record in calls if record["status"] in {101, 200}]
    if len(answered) < (CALLS_MIN if shutil.which("npm") else 1):
        raise Failed(f"the upstream has answered {len(answered)} calls only")
    return len(answered)


def main() -> None:
    """Follow the page in a fresh clone."""
    parser = argparse.ArgumentParser(prog="make quick-start", description=__doc__)
    parser.add_argument("page", nargs="?", type=Path, default=PAGE)
    given = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="codex2api-reader-")))
        clone = home / "codex2api"
        subprocess.run(
            ["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True
        )
        simulated = stack.enter_context(simulator())
        environment = surroundings(home, simulated)
        page = given.page.read_text("utf-8")
        names = {block.terminal for block in blocks(page)}
        terminals = {
            name: stack.enter_context(Terminal(name, clone, environment)) for name in sorted(names)
        }
        try:
            follow(page, terminals)
            calls = judge(str(simulated["control_url"]))
        except Failed as error:
            sys.exit(f"\nThe page does not do what it says: {error}")
    print(f"Every command did what the page says; the upstream has answered {calls} calls.")


if __name__ == "__main__":
    main()
