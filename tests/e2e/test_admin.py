"""An operator's whole way, over real sockets: log in, add accounts, make a key, watch, find out."""

import time
from collections.abc import Callable, Iterator

import httpx
import msgspec
import pytest

from tests.e2e.asking import chat, prompt
from tests.e2e.made_up import no_request_is_a_defect
from tests.e2e.programs import MODEL, ROOT, Pair, free_port, until

PASSWORD = "correct horse battery staple"
CANARY = "canary0123456789canary"
PAGE_S = 5.0
"""A generous bound on a busy machine; quietly it is a tenth of that."""


class Admin:
    """A browser that is logged in."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=f"{url}/api/admin/", timeout=30)
        answer = self.client.post("login", json={"password": PASSWORD}, headers={"origin": url})
        assert answer.status_code == 200, answer.text
        self.client.headers["x-csrf-token"] = answer.json()["csrf_token"]

    def get(self, path: str) -> dict:
        """Return the JSON at a path."""
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: object) -> dict:
        """Send JSON and return what comes back."""
        answer = self.client.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture
def admins() -> Iterator[Callable[[str], Admin]]:
    """Log browsers in; they are closed at the end."""
    made: list[Admin] = []

    def logged_in(url: str) -> Admin:
        made.append(Admin(url))
        return made[-1]

    yield logged_in
    for each in made:
        each.client.close()


def test_an_operator_s_whole_way(start, admins):
    """Accounts by each way, a key, traffic that is watched, a call that is explained."""
    pair: Pair = start(ADMIN_SECRET=PASSWORD, LOG_LEVEL="debug")
    gateway, simulator = pair.gateway, pair.simulator
    admin = admins(gateway.url)
    known = admin.get("accounts")["total"]

    _log_in_by_browser(admin)
    _log_in_by_code(admin)
    tried = admin.get("accounts")["items"][0]["id"]
    assert admin.post(f"accounts/{tried}/test", {})["ok"]
    assert admin.post(f"accounts/{tried}/refresh", {})["ok"]
    assert admin.get("accounts")["total"] >= known

    made = admin.post("keys", {"name": "watched"})
    caller = {"authorization": f"Bearer {made['key']}", "x-request-id": "watched-request"}
    with admin.client.stream("GET", "events") as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": watching"
        answer = httpx.post(
            f"{gateway.url}/v1/chat/completions", json=chat(prompt(), stream=False),
            headers=caller, timeout=30,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        seen = _event(lines, "requests")
        assert [row["request_id"] for row in seen["rows"]] == ["watched-request"]
    simulator.quiet()

    found = until(lambda: _explained(admin), "the books have the request")
    assert found["requests"][0]["request"]["caller_id"] == made["id"]
    assert found["requests"][0]["attempts"][0]["outcome"] == "succeeded"
    row = until(lambda: _spent(admin, made["id"]), "the key has spent")
    assert row["tokens_today"] > 0
    assert MODEL in [line["id"] for line in admin.get("usage/lines")["items"]]
    actions = {each["action"] for each in admin.get("audit?limit=100")["items"]}
    assert actions >= {"login", "account_logged_in", "account_refreshed", "key_created"}


def test_secrets_that_come_in_never_come_out(start, admins):
    """Neither in an answer, nor in a log, nor in the database."""
    pair: Pair = start(ADMIN_SECRET=PASSWORD, LOG_LEVEL="debug")
    admin = admins(pair.gateway.url)
    secrets = {
        "refresh_token": f"rt_{CANARY}1", "access_token": f"at-{CANARY}2",
        "api_key": f"sk-{CANARY}3", "proxy": f"pw{CANARY}4", "own key": f"own-{CANARY}5",
        "password": f"guess-{CANARY}6",
    }  # fmt: skip
    said = []
    for path, body in (
        ("accounts", {"refresh_token": secrets["refresh_token"], "name": "a"}),
        ("accounts/at", {"access_token": secrets["access_token"], "name": "b"}),
        ("accounts/openai", {"api_key": secrets["api_key"], "name": "c",
                             "proxy_url": f"http://user:{secrets['proxy']}@127.0.0.1:9"}),
        ("login", {"password": secrets["password"]}),
    ):  # fmt: skip
        said.append(admin.client.post(path, json=body).text)
    shown_once = admin.client.post("keys", json={"name": "k", "key": secrets["own key"]})
    assert shown_once.status_code == 201
    pages = ("accounts", "keys", "audit", "ops/overview", "settings", "connect", "explain")
    said += [admin.client.get(path).text for path in pages]
    for row in admin.get("accounts")["items"]:
        said.append(admin.client.get(f"accounts/{row['id']}").text)
        said.append(admin.client.post(f"accounts/{row['id']}/test").text)
    data = pair.gateway.log.parent / "data"
    kept = b"".join(path.read_bytes() for path in data.glob("codex2api.db*"))
    kept += pair.gateway.printed().encode() + "".join(said).encode()
    for name, secret in {**secrets, "admin password": PASSWORD}.items():
        assert secret.encode() not in kept, name
    pair.simulator.mark()


def test_the_admin_side_has_a_listener_of_its_own(start, admins):
    """And the callers' listener has none of it then."""
    port = free_port()
    pair: Pair = start(ADMIN_SECRET=PASSWORD, CODEX_ADMIN_BIND=f"127.0.0.1:{port}")
    apart = f"http://127.0.0.1:{port}"
    admin = admins(apart)
    assert admin.get("session")["authenticated"]
    assert httpx.get(f"{apart}/admin/").status_code == 200
    for path in ("/v1/models", "/health", "/metrics"):
        assert httpx.get(f"{apart}{path}").status_code == 404
    for path in ("/api/admin/session", "/api/admin/openapi.json", "/admin/"):
        assert httpx.get(f"{pair.gateway.url}{path}").status_code == 404
    with admin.client.stream("GET", "events") as stream:
        assert next(stream.iter_lines()) == ": watching"
        pair.gateway.stop()
    assert pair.gateway.process.returncode == 0


@pytest.mark.slow
def test_ten_thousand_accounts_are_paged_without_holding_up_anybody(start, admins, tmp_path):
    """A page takes no longer than a page, and the loop goes on meanwhile."""
    pair: Pair = start(ADMIN_SECRET=PASSWORD)
    admin = admins(pair.gateway.url)
    file = tmp_path / "many.json"
    file.write_bytes(msgspec.json.encode([
        {"type": "openai", "name": f"n{number:05}", "api_key": f"sk-{number:030}",
         "base_url": "https://127.0.0.1:9/v1", "enabled": True, "models": [MODEL]}
        for number in range(10_000)
    ]))  # fmt: skip
    assert pair.gateway.command("accounts", "import", str(file))["created"] == 10_000
    until(lambda: admin.get("accounts?limit=1")["total"] >= 10_000, "they are taken over",
          within_s=60)  # fmt: skip
    for query in ("sort=used&descending=true", "q=n099&sort=name", "status=ready&offset=9900",
                  "sort=requests_per_minute&limit=500"):  # fmt: skip
        began = time.monotonic()
        page = admin.get(f"accounts?{query}")
        assert page["items"]
        assert time.monotonic() - began < PAGE_S
    assert admin.get("ops/overview")["numbers"]["loop_lag_s"] < PAGE_S


@pytest.mark.slow
def test_no_request_that_the_document_allows_or_forbids_is_a_defect(start):
    """Schemathesis makes them up."""
    pair: Pair = start(ADMIN_SECRET=PASSWORD)
    no_request_is_a_defect(
        ROOT / "docs" / "openapi.json",
        pair.gateway,
        f"X-Admin-Key: {PASSWORD}",
        *("--max-examples", "8", "--exclude-path-regex", "drain|/events|/oauth"),
        within_s=110,
    )
    pair.simulator.mark()


def _log_in_by_browser(admin: Admin) -> None:
    """Follow the address as a browser does, and paste where it ends."""
    begun = admin.post("oauth/generate-auth-url", {})
    ended = httpx.get(begun["url"], follow_redirects=False).headers["location"]
    added = admin.post("oauth/exchange-code", {"code": ended, "state": begun["state"]})
    assert added["id"]


def _log_in_by_code(admin: Admin) -> None:
    """Wait until the person has agreed, which the simulator's does after a while."""
    begun = admin.post("oauth/device", {})
    assert begun["user_code"]
    done = until(
        lambda: polled if (polled := admin.post("oauth/device/poll", {"id": begun["id"]}))["done"]
        else None,
        "the person has agreed",
    )  # fmt: skip
    assert done["account"]["id"]


def _event(lines, name: str) -> dict:
    """Return the data of the next event of that name."""
    for line in lines:
        if line == f"event: {name}":
            return msgspec.json.decode(next(lines).removeprefix("data: "))
    raise AssertionError(f"no {name}")


def _explained(admin: Admin) -> dict | None:
    answer = admin.client.get("explain/watched-request")
    found = answer.json() if answer.status_code == 200 else None
    return found if found and found["requests"] else None


def _spent(admin: Admin, key_id: str) -> dict | None:
    row = admin.get(f"keys/{key_id}")
    return row if row["requests_today"] else None
