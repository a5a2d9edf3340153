"""`make demo`: the gateway in front of a simulated upstream, seen from a caller's side.

Starts `python -m loadtests.simulator` and `codex2api serve` with a data directory that is deleted
at the end, adds the simulator's accounts and makes a key through the command line, as an operator
would, and asks through the official client. What it says about accounts is what the simulator
counted. With `--once` it ends after the calls, with status 0 if they were answered.
"""

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

import httpx
import orjson
from openai import DefaultHttpxClient, OpenAI, OpenAIError

from app.settings import VARIABLES

ROOT: Final = Path(__file__).resolve().parent.parent
COMMAND: Final = Path(sys.executable).with_name("codex2api")
MODEL: Final = "gpt-5.5"
FIRST: Final = "acct-1"
"""The account that is close to its limit."""
PORT: Final = 8080
PORTS_TRIED: Final = 20
START_S: Final = 30.0
STOP_S: Final = 10.0
CALLS_MAX: Final = 9
"""The first account is full after two or three calls."""
LOG_LINES: Final = 20


class DemoFailed(Exception):
    """The demo can't go on; the text says why and what to do."""


class Program:
    """A program that runs beside this one; `output` is the file that it writes to."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], output: Path) -> None:
        self.name = name
        self.process = process
        self.output = output

    def check(self) -> None:
        """Raise DemoFailed, with the program's last words, if it has ended."""
        status = self.process.poll()
        if status is not None:
            said = self.output.read_text("utf-8", "replace").splitlines()[-LOG_LINES:]
            raise DemoFailed("\n".join([f"The {self.name} ended with status {status}:", *said]))

    def stop(self) -> None:
        """Ask it to end, wait, and end its whole process group if that was not enough."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


def main() -> None:
    """Run the demo until Ctrl-C, or once."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the calls")
    parser.add_argument("--port", type=int, default=PORT, help="of the gateway (%(default)s)")
    given = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with ExitStack() as stack:
            _demonstrate(stack, port=given.port, once=given.once)
    except KeyboardInterrupt:
        print("\nStopped; nothing is left behind.")
    except (DemoFailed, OpenAIError, httpx.HTTPError) as error:
        sys.exit(f"\nThe demo failed: {error}")


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _demonstrate(stack: ExitStack, *, port: int, once: bool) -> None:
    data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="codex2api-demo-")))
    simulator, simulated = stack.enter_context(_simulator(data))
    control = str(simulated["control_url"])
    password = secrets.token_urlsafe(18)
    port = _free_port(port)
    environment = _environment(data, simulated, port=port, password=password)

    print("Adding the three accounts of the simulated upstream, and a key ...", flush=True)
    _add_accounts(environment, control, data)
    _command(environment, "settings", "set", "strategy=fill_first", "--json")
    key = str(_command(environment, "keys", "create", "--name", "demo", "--json")["key"])

    gateway = stack.enter_context(_gateway(data, environment, port=port))
    url = f"http://127.0.0.1:{port}"
    client = stack.enter_context(
        OpenAI(
            base_url=f"{url}/v1",
            api_key=key,
            max_retries=0,
            timeout=120,
            http_client=DefaultHttpxClient(trust_env=False),
        )
    )
    _stream(client)
    _step_around(client, control)
    _farewell(url, password, key)
    if once:
        return
    print("Ctrl-C ends it.", flush=True)
    while True:
        simulator.check()
        gateway.check()
        time.sleep(0.5)


@contextmanager
def _simulator(data: Path) -> Iterator[tuple[Program, dict[str, Any]]]:
    """Start the simulator; yield it and the addresses that it printed."""
    arguments = [sys.executable, "-m", "loadtests.simulator", "--profile", "demo", "--control"]
    with _started("simulated upstream", arguments, data / "simulator.log") as program:
        deadline = time.monotonic() + START_S
        while b"\n" not in (said := program.output.read_bytes()):
            _wait(program, deadline)
        yield program, orjson.loads(said.split(b"\n", 1)[0])


@contextmanager
def _gateway(data: Path, environment: Mapping[str, str], *, port: int) -> Iterator[Program]:
    """Start the gateway; yield it once it is ready."""
    arguments = [str(COMMAND), "serve"]
    with _started("gateway", arguments, data / "gateway.log", environment) as program:
        deadline = time.monotonic() + START_S
        while not _ready(f"http://127.0.0.1:{port}/ready"):
            _wait(program, deadline)
        yield program


@contextmanager
def _started(
    name: str, arguments: list[str], output: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Program]:
    """Start a program in a process group of its own, so that Ctrl-C reaches only the demo."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            arguments,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    program = Program(name, process, output)
    try:
        yield program
    finally:
        program.stop()


def _wait(program: Program, deadline: float) -> None:
    program.check()
    if time.monotonic() > deadline:
        raise DemoFailed(f"The {program.name} was not ready within {START_S:.0f} s.")
    time.sleep(0.05)


def _ready(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=2).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _free_port(wanted: int) -> int:
    """Return the port, or the next free one with a notice."""
    for port in range(wanted, wanted + PORTS_TRIED):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port != wanted:
            print(f"Port {wanted} is taken; the demo uses {port}.")
        return port
    raise DemoFailed(f"The ports {wanted} to {wanted + PORTS_TRIED - 1} are all taken.")


def _environment(
    data: Path, simulated: Mapping[str, Any], *, port: int, password: str
) -> dict[str, str]:
    """Return the gateway's environment: this one's, without any setting that it has."""
    if not COMMAND.exists():
        raise DemoFailed(f"{COMMAND} is missing; `make setup` installs it.")
    settings = {variable.name for variable in VARIABLES}
    settings |= {f"{name}_FILE" for name in settings}
    empty = data / "empty.env"
    empty.touch()
    return {name: value for name, value in os.environ.items() if name not in settings} | {
        "ADMIN_SECRET": password,
        "CODEX_DATA_DIR": str(data),
        "CODEX_DRAIN_TIMEOUT": "2",
        "CODEX_ENV_FILE": str(empty),
        "CODEX_PORT": str(port),
        "OAUTH_ISSUER": str(simulated["oauth_issuer"]),
        "UPSTREAM_BASE_URL": str(simulated["upstream_base_url"]),
    }


def _command(environment: Mapping[str, str], *arguments: str) -> Any:
    """Return the JSON that a command of `codex2api` prints."""
    done = subprocess.run(
        [str(COMMAND), *arguments], cwd=ROOT, env=environment, capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise DemoFailed(f"`codex2api {' '.join(arguments)}` ended with {done.returncode}: {said}")
    return orjson.loads(done.stdout)


def _add_accounts(environment: Mapping[str, str], control: str, data: Path) -> None:
    file = data / "accounts.json"
    file.write_bytes(httpx.get(f"{control}/accounts", trust_env=False).raise_for_status().content)
    _command(environment, "accounts", "import", str(file), "--json")
    file.unlink()


def _stream(client: OpenAI) -> None:
    """Ask for a chat completion and print it as it arrives."""
    question = "What happens between this terminal and the model?"
    print(f"\n> {question}\n", flush=True)
    began = time.monotonic()
    first_s = None
    chunks = 0
    for chunk in client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": question}], stream=True
    ):
        text = chunk.choices[0].delta.content if chunk.choices else None
        if text:
            first_s = time.monotonic() - began if first_s is None else first_s
            chunks += 1
            print(text, end="", flush=True)
    if first_s is None:
        raise DemoFailed("The stream ended without any text.")
    whole_s = time.monotonic() - began
    print(f"\n\n{chunks} chunks, the first after {first_s:.2f} s, the last after {whole_s:.2f} s.")


def _step_around(client: OpenAI, control: str) -> None:
    """Ask until the first account is full, then once more with a limit that nobody foresaw."""
    print("\nMore calls, whole this time, first account first, until it is full:\n", flush=True)
    _post(f"{control}/control", {"base": {"tokens_per_s": 0, "ttft_ms": 0}})
    for number in range(2, CALLS_MAX + 1):
        answered, _ = _ask(client, control, number)
        if FIRST not in answered:
            print(f"\n{FIRST} said that it is full and is left alone until its reset.")
            break
    else:
        raise DemoFailed(f"{FIRST} never came to its limit.")
    print("\nThe next one is used up somewhere else, which the gateway can't know:\n", flush=True)
    used_up = {name: {"used_percent": 100.0, "resets_in_s": 3_600} for name in answered}
    _post(f"{control}/control", {"account_state": used_up})
    _, refused = _ask(client, control, number + 1)
    if not refused:
        raise DemoFailed("No account refused the call, though one is at its limit.")
    print("\nThe caller saw an answer, and nothing of the refusal.")


def _ask(client: OpenAI, control: str, number: int) -> tuple[list[str], list[str]]:
    """Make a call; print and return which accounts answered it and which refused it."""
    before = _counted(control)
    client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": f"Say {number}."}]
    )
    now = _counted(control)
    refused = [name for name in now if now[name][1] > before[name][1]]
    answered = [name for name in now if now[name][0] > before[name][0]]
    limited = "".join(f"{name} refused with 429, then " for name in refused)
    print(f"  call {number}: {limited}{', '.join(answered)} answered", flush=True)
    return answered, refused


def _counted(control: str) -> dict[str, tuple[int, int]]:
    """Return how often each account answered, and how often it refused for its limit."""
    reply = httpx.get(f"{control}/state", trust_env=False).raise_for_status()
    return {
        name: (seen["statuses"].get("200", 0), seen["statuses"].get("429", 0))
        for name, seen in orjson.loads(reply.content)["accounts"].items()
    }


def _post(url: str, body: object) -> None:
    httpx.post(url, content=orjson.dumps(body), trust_env=False).raise_for_status()


def _farewell(url: str, password: str, key: str) -> None:
    body = orjson.dumps(
        {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    ).decode()
    print(f"\nAdmin     {url}/admin/")
    print(f"Password  {password}")
    if not (ROOT / "admin-ui" / "dist" / "index.html").exists():
        print(f"          {_why_no_pages()}; `codex2api --help` does the same on the command line.")
    print(f"""
Try it:

  curl -N {url}/v1/chat/completions \\
    -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' \\
    -d '{body}'
""")


def _why_no_pages() -> str:
    if shutil.which("node") is None:
        return "Node is missing, so the admin pages are not built"
    return "The admin pages are not built"


if __name__ == "__main__":
    main()
