"""The real command line on a real SQLite file, and a small upstream on a real socket."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import msgspec
import pytest
from click.testing import CliRunner, Result

from app.cli.main import main

Run = Callable[..., Result]


def jwt(**claims: object) -> str:
    """Return an unsigned token that says `claims`."""
    payload = msgspec.json.encode(claims)
    return f"eyJhbGciOiJub25lIn0.{urlsafe_b64encode(payload).decode().rstrip('=')}.c2ln"


def codex_token(user: str, *, email: str = "a@example.com") -> str:
    """Return an access token of `user`'s only workspace, good until 2100."""
    auth = {"chatgpt_user_id": user, "chatgpt_account_id": f"{user}-w", "chatgpt_plan_type": "plus"}
    return jwt(exp=4_102_444_800, email=email, **{"https://api.openai.com/auth": auth})


class SmallUpstream:
    """Answers as it is told; `asked` has what was asked, `spent` the refresh tokens."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.spent: list[str] = []
        self.status = 200
        self.answer: dict[str, object] = {}
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                upstream.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                self.reply()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                upstream.spent.append(parse_qs(body)["refresh_token"][0])
                self.reply()

            def reply(self) -> None:
                body = msgspec.json.encode(upstream.answer)
                self.send_response(upstream.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def upstream() -> Iterator[SmallUpstream]:
    """A small upstream that is also the authorization server."""
    small = SmallUpstream()
    thread = Thread(target=small.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield small
    small.server.shutdown()
    thread.join()
    small.server.server_close()


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of the commands; a folder without `.env` is their working directory."""
    monkeypatch.chdir(tmp_path)
    return {
        "CODEX_DATA_DIR": str(tmp_path / "data"),
        # Nobody listens there: a test that wants an upstream sets its address.
        "UPSTREAM_BASE_URL": "http://127.0.0.1:9",
        "OAUTH_ISSUER": "http://127.0.0.1:9",
    }


@pytest.fixture
def run(env: dict[str, str]) -> Run:
    """Run `codex2api` with some arguments and, if given, text on stdin."""

    def run(*args: str, text: str | None = None) -> Result:
        return CliRunner().invoke(main, args, input=text, env=env)

    return run


@pytest.fixture
def answer(run: Run) -> Callable[..., object]:
    """Run a command with `--json` that must succeed; return its document."""

    def answer(*args: str, text: str | None = None) -> object:
        result = run(*args, "--json", text=text)
        assert result.exit_code == 0, result.output
        return msgspec.json.decode(result.stdout)

    return answer
