"""Tests of app.edge.admin.logins; the whole way is gone in tests/e2e/test_admin.py."""

from urllib.parse import parse_qs, urlsplit

from tests.edge.admin.conftest import fields


async def test_a_login_begins_with_an_address_to_open(admin):
    """It carries the state that comes back."""
    begun = (await admin.post("oauth/generate-auth-url", json={})).json()
    query = parse_qs(urlsplit(begun["url"]).query)
    assert query["state"] == [begun["state"]]
    assert query["code_challenge_method"] == ["S256"]


async def test_what_is_pasted_must_belong_to_a_login(admin):
    """Otherwise it is told beside its field."""
    answer = await admin.post("oauth/exchange-code", json={"code": "abc", "state": "unknown"})
    assert (answer.status_code, fields(answer)) == (400, ["state"])
    answer = await admin.post("oauth/exchange-code", json={"code": "http://localhost/?x=1"})
    assert (answer.status_code, fields(answer)) == (400, ["code"])
    answer = await admin.post("oauth/device/poll", json={"id": "unknown"})
    assert (answer.status_code, fields(answer)) == (400, ["id"])
