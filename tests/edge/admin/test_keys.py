"""Tests of app.edge.admin.keys."""

from tests.edge.admin.conftest import CALLER_KEY, code, fields


async def test_a_key_is_made_shown_once_changed_and_revoked(admin, opened):
    """The running gateway knows it at once."""
    body = {"name": "team", "requests_per_minute": 5, "day_budget_usd": 2.5, "models": ["gpt-5.5"]}
    made = (await admin.post("keys", json=body)).json()
    assert opened.keys.find(made["key"]).allowance.day_nusd == 2_500_000_000
    row = (await admin.get(f"keys/{made['id']}")).json()
    assert row == made["row"]
    assert (row["tail"], row["day_budget_usd"]) == (made["key"][-4:], 2.5)
    change = {"day_budget_usd": None, "enabled": False, "version": 0}
    changed = await admin.patch(f"keys/{made['id']}", json=change)
    assert (changed.json()["day_budget_usd"], changed.json()["version"]) == (None, 1)
    stale = await admin.patch(f"keys/{made['id']}", json=change)
    assert (stale.status_code, code(stale)) == (409, "stale_edit")
    assert (await admin.delete(f"keys/{made['id']}")).status_code == 204
    assert opened.keys.find(made["key"]) is None
    assert (await admin.delete(f"keys/{made['id']}")).status_code == 404
    told = (await admin.get("keys?revoked=true")).text + (await admin.get("audit")).text
    assert made["key"] not in told


async def test_an_operator_s_own_key_is_taken_over(admin, opened):
    """Unless it is there already."""
    assert (await admin.post("keys", json={"name": "n", "key": "my-own-key"})).status_code == 201
    assert opened.keys.find("my-own-key").name == "n"
    again = await admin.post("keys", json={"name": "n", "key": CALLER_KEY})
    assert (again.status_code, fields(again)) == (400, ["key"])


async def test_a_wrong_limit_is_named(admin):
    """Before anything is made."""
    for body, field in (
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"networks": ["nowhere"]}, "networks"),
        ({"endpoints": ["everything"]}, "endpoints"),
        ({"day_budget_usd": -1}, "day_budget_usd"),
        ({"color": 1}, "color"),
    ):
        answer = await admin.post("keys", json={"name": "n"} | body)
        assert (answer.status_code, fields(answer)) == (400, [field]), answer.text
    assert (await admin.get("keys?q=n&limit=1")).json()["total"] == 1


async def test_keys_are_found_by_name_and_paged(admin):
    """In the order of their names."""
    for name in ("b", "a", "c"):
        await admin.post("keys", json={"name": f"key {name}"})
    page = (await admin.get("keys?q=key%20&limit=2&offset=1")).json()
    assert [each["name"] for each in page["items"]] == ["key b", "key c"]
    assert page["total"] == 3
