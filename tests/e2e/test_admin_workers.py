"""The admin API of two workers: whichever is asked next knows what the other one began."""

import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.asking import question
from tests.e2e.programs import API_KEY, until
from tests.e2e.several import Several, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="workers are looked up in /proc"),
]
SECRET = "an-admin-password-of-two-workers"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, postgres, redis_server) -> Iterator[Several]:
    """Two workers that keep every decision."""
    folder = tmp_path_factory.mktemp("admin")
    yield from running(
        folder, postgres, redis_server, accounts=2, environment={"ADMIN_SECRET": SECRET}
    )


@pytest.fixture
def both(gateway: Several) -> Iterator[list[httpx.Client]]:
    """A connection to each worker: one that is kept stays with whom it was opened to."""
    found: dict[int, httpx.Client] = {}
    others = []

    def two() -> bool:
        client = httpx.Client(base_url=gateway.url, headers={"x-admin-key": SECRET})
        pid = client.get("/api/admin/ops/overview").json()["worker"]["pid"]
        (others.append if pid in found else lambda each: found.update({pid: each}))(client)
        return len(found) == 2

    until(two, "a connection to each of two workers")
    yield list(found.values())
    for client in (*found.values(), *others):
        client.close()


def test_a_login_is_finished_by_another_worker(both: list[httpx.Client]) -> None:
    """PKCE: the verifier is where both find it, and works once."""
    one, other = both
    begun = one.post("/api/admin/oauth/generate-auth-url", json={}).json()
    agreed = httpx.get(begun["url"], follow_redirects=False)
    body = {"code": agreed.headers["location"]}
    added = other.post("/api/admin/oauth/exchange-code", json=body)
    assert added.status_code == 201, added.text
    assert one.get(f"/api/admin/accounts/{added.json()['id']}").status_code == 200
    again = one.post("/api/admin/oauth/exchange-code", json=body)
    assert (again.status_code, again.json()["error"]["fields"][0]["field"]) == (400, "state")


def test_a_device_login_is_polled_at_any_worker(both: list[httpx.Client]) -> None:
    """Each poll may reach another one."""
    one, other = both
    begun = one.post("/api/admin/oauth/device", json={}).json()
    turns = iter((other, one) * 500)

    def done() -> bool:
        answer = next(turns).post("/api/admin/oauth/device/poll", json={"id": begun["id"]})
        assert answer.status_code < 300, answer.text
        return answer.json()["done"]

    until(done, "the person has agreed", within_s=30)


def test_a_call_is_explained_by_another_worker(gateway: Several, both: list[httpx.Client]) -> None:
    """What one has decided, both tell."""
    settings = both[0].get("/api/admin/settings").json()
    changed = {"values": {"explain": "all"}, "version": settings["version"]}
    assert both[0].put("/api/admin/settings", json=changed).status_code == 200

    def kept() -> str | None:
        answer = httpx.post(
            f"{gateway.url}/v1/responses",
            json=question("why"),
            headers={"authorization": f"Bearer {API_KEY}"},
        )
        name = answer.headers["x-request-id"]
        found = [client.get(f"/api/admin/explain/{name}") for client in both]
        good = [each for each in found if each.status_code == 200 and each.json()["decisions"]]
        assert len(good) in {0, len(both)}, [each.text for each in found]
        return name if good else None

    name = until(kept, "a decision that is kept")
    for client in both:
        latest = client.get("/api/admin/explain", params={"limit": 20}).json()
        assert name in {each["request_id"] for each in latest}
