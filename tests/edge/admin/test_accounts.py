"""Tests of app.edge.admin.accounts."""

import msgspec

from app.accounts.exporting import sealed, unseal
from app.domain.account import Secret
from tests.edge.admin.conftest import PASSWORD, code, fields

KEY = "sk-canary-of-an-upstream-0123456789"


async def add(admin, name: str = "one", **more) -> str:
    """Add an account by a key and return its id."""
    body = {"name": name, "api_key": f"{KEY}-{name}", "base_url": "https://api.example/v1"} | more
    answer = await admin.post("accounts/openai", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def test_an_account_is_added_shown_changed_and_deleted(admin):
    """And what was sent as a secret is never sent back."""
    account = await add(admin, models=["gpt-5.5"], proxy_url="http://user:hidden@proxy.example:1")
    row = (await admin.get(f"accounts/{account}")).json()["account"]
    assert (row["name"], row["status"], row["version"], row["has_proxy"]) == ("one", "ready", 0, 1)
    changed = await admin.patch(
        f"accounts/{account}", json={"priority": 7, "groups": ["b", "a"], "version": 0}
    )
    assert changed.status_code == 200, changed.text
    assert (changed.json()["priority"], changed.json()["groups"]) == (7, ["a", "b"])
    stale = await admin.patch(f"accounts/{account}", json={"priority": 8, "version": 0})
    assert (stale.status_code, code(stale), fields(stale)) == (409, "stale_edit", ["version"])
    paused = await admin.patch(f"accounts/{account}", json={"enabled": False})
    assert paused.json()["status"] == "disabled"
    told = (await admin.get("audit")).text + (await admin.get("accounts")).text
    assert KEY not in told
    assert "hidden" not in told
    assert (await admin.delete(f"accounts/{account}")).status_code == 204
    assert (await admin.get(f"accounts/{account}")).status_code == 404


async def test_lists_are_filtered_sorted_and_paged_here(admin):
    """`statuses` counts all, whatever is asked for."""
    for number, name in enumerate(["beta", "alpha", "gamma"]):
        await add(admin, name)
        ids = [each["id"] for each in (await admin.get("accounts?q=" + name)).json()["items"]]
        await admin.patch(f"accounts/{ids[0]}", json={"priority": number, "tags": [name]})
    page = (await admin.get("accounts?sort=name&limit=2")).json()
    assert [each["name"] for each in page["items"]] == ["alpha", "beta"]
    assert (page["total"], page["statuses"]["ready"]) == (3, 3)
    page = (await admin.get("accounts?sort=priority&descending=true&offset=1")).json()
    assert [each["name"] for each in page["items"]] == ["alpha", "beta"]
    page = (await admin.get("accounts?tag=gamma&status=ready&kind=openai")).json()
    assert [each["name"] for each in page["items"]] == ["gamma"]
    assert (await admin.get("accounts?status=banned")).json()["total"] == 0
    assert (await admin.get("accounts?today_since=0")).json()["tokens_today"] == {}


async def test_a_wrong_field_is_named(admin):
    """Unknown ones are refused, and nothing is changed."""
    account = await add(admin)
    for body, field in (
        ({"priority": 10**9}, "priority"),
        ({"colour": "red"}, "colour"),
        ({"proxy_url": "ftp://proxy"}, "proxy_url"),
        ({"name": " "}, "name"),
        ({"tags": ["a,b"]}, "tags"),
        ({"pause_at": 2}, "pause_at"),
    ):
        answer = await admin.patch(f"accounts/{account}", json=body)
        assert (answer.status_code, fields(answer)) == (400, [field]), answer.text
    assert (await admin.get(f"accounts/{account}")).json()["account"]["version"] == 0


async def test_a_file_is_imported_and_its_faults_are_told(admin):
    """By their place."""
    lines = b'{"access_token": "at-canary-1"}\nnonsense that is no token\n{"refresh_token": 5}\n'
    answer = await admin.post("accounts/import", files={"file": ("pool.jsonl", lines)})
    assert answer.status_code == 201, answer.text
    assert answer.json()["created"] == 1
    assert [each["line"] for each in answer.json()["faults"]] == [2, 3]
    nothing = await admin.post("accounts/import", files={"other": ("x", b"y")})
    assert (nothing.status_code, fields(nothing)) == (400, ["file"])


async def test_many_tokens_are_pasted_one_a_line(admin):
    """They are exchanged in the gateway's own time."""
    answer = await admin.post("accounts", json={"refresh_token": "rt_one1\nrt_two2\n", "name": "p"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["created"] == 2
    names = {each["name"] for each in (await admin.get("accounts")).json()["items"]}
    assert names == {"p 1", "p 2"}


async def test_the_same_is_done_to_many_and_tells_how_far_it_is(admin):
    """Line by line."""
    ids = [await add(admin, f"n{number}") for number in range(3)]
    answer = await admin.post(
        "accounts/bulk", json={"action": "change", "ids": ids, "changes": {"priority": 3}}
    )
    told = [msgspec.json.decode(line) for line in answer.content.splitlines()]
    assert told[0] == {"done": 0, "total": 3, "failed": 0, "finished": False}
    assert told[-1] == {"done": 3, "total": 3, "failed": 0, "finished": True}
    rows = (await admin.get("accounts")).json()["items"]
    assert {each["priority"] for each in rows} == {3}
    answer = await admin.post("accounts/bulk", json={"action": "reset", "filter": {"text": "n1"}})
    assert msgspec.json.decode(answer.content.splitlines()[-1])["total"] == 1
    answer = await admin.post("accounts/bulk", json={"action": "delete", "ids": [*ids, "gone"]})
    assert msgspec.json.decode(answer.content.splitlines()[-1])["failed"] == 1
    assert (await admin.get("accounts")).json()["total"] == 0


async def test_a_bulk_operation_says_whom_it_is_for(admin):
    """Not to all by a slip."""
    for body, field in (
        ({"action": "delete"}, "ids"),
        ({"action": "delete", "ids": ["a"], "filter": {}}, "ids"),
        ({"action": "change", "ids": ["a"]}, "changes"),
    ):
        answer = await admin.post("accounts/bulk", json=body)
        assert (answer.status_code, fields(answer)) == (400, [field])


async def test_what_can_t_be_done_to_an_account_is_told(admin):
    """A key is not renewed, and an account that is gone is gone."""
    account = await add(admin)
    tried = (await admin.post(f"accounts/{account}/refresh")).json()
    assert tried["ok"] is False
    assert (await admin.post(f"accounts/{account}/reset")).status_code == 200
    for action in ("refresh", "test", "reset"):
        assert (await admin.post(f"accounts/gone/{action}")).status_code == 404


async def test_accounts_leave_sealed_after_the_password_was_asked_for_once_more(admin):
    """Each export is written down, and nothing leaves in the clear."""
    account = await add(admin)
    body = {"password": PASSWORD, "passphrase": "a passphrase that is long"}
    answer = await admin.post("accounts/export", json=body)
    assert answer.status_code == 200, answer.text
    assert KEY not in answer.text
    opened = unseal(sealed(answer.content), Secret(body["passphrase"]))
    assert KEY.encode() in opened
    for change, status in (
        ({"password": "wrong"}, 401),
        ({"passphrase": "short"}, 400),
        ({"ids": ["gone"]}, 404),
    ):
        assert (await admin.post("accounts/export", json=body | change)).status_code == status
    entry = (await admin.get("audit?action=accounts_exported")).json()["items"][-1]
    assert account in entry["after"]
    events = (await admin.get(f"accounts/{account}")).json()["events"]
    assert events[0]["kind"] == "exported"
