"""Tests of app.edge.admin.gate; that every route is behind it is told by `test_application`."""

import asyncio

import pytest

from tests.edge.admin.conftest import CALLER_KEY, PASSWORD, code


@pytest.mark.parametrize(("headers", "status"), [
    ({}, 200),
    ({"origin": "http://gateway.example:8080"}, 200),
    ({"origin": "http://GATEWAY.example:8080"}, 200),
    ({"sec-fetch-site": "same-origin"}, 200),
    ({"sec-fetch-site": "none"}, 200),
    ({"origin": "http://gateway.example"}, 403),
    ({"origin": "https://gateway.example:x"}, 403),
    ({"origin": "file://gateway.example:8080"}, 403),
])  # fmt: skip
async def test_our_own_page_may_ask(admin, headers, status):
    """By what browsers say where they may, and by the origin where they may not."""
    assert (await admin.get("session", headers=headers)).status_code == status


async def test_an_address_that_was_typed_changes_nothing(admin):
    """`none` is no page of ours."""
    answer = await admin.post("logout", headers={"sec-fetch-site": "none"})
    assert (answer.status_code, code(answer)) == (403, "wrong_origin")


@pytest.mark.parametrize("address", ["http://192.0.2.1:8080", "http://[2001:db8::1]", "https://g"])
async def test_any_address_of_ours_is_good(browser, address):
    """Plain http to another machine's address too, where `Origin` is all there is."""
    client = browser(address, origin=address)
    assert (await client.post("login", json={"password": PASSWORD})).status_code == 200


async def test_an_admin_key_is_judged_alone(admin):
    """A good session does not make a wrong key good."""
    answer = await admin.get("session", headers={"x-admin-key": CALLER_KEY})
    assert (answer.status_code, code(answer)) == (401, "invalid_credentials")


async def test_wrong_admin_keys_are_slowed(browser):
    """They are guesses at the password like any other."""
    client = browser(**{"x-admin-key": "wrong"})
    answers = [await client.get("session") for _ in range(8)]
    assert [each.status_code for each in answers] == [401] * 6 + [429] * 2


async def test_a_header_that_stands_twice_is_refused(script):
    """It could be read in two ways."""
    twice = [("host", "gateway.example"), ("host", "other.example")]
    answer = await script.get("session", headers=twice)
    assert (answer.status_code, code(answer)) == (400, "invalid_request")


async def test_the_same_post_again_gets_the_same_answer(admin):
    """A new key is shown again to whoever has the key of the request, and made once."""
    named = {"idempotency-key": "one"}
    first = await admin.post("keys", json={"name": "n"}, headers=named)
    again = await admin.post("keys", json={"name": "n"}, headers=named)
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert (await admin.get("keys?q=n&limit=9")).json()["total"] == 2
    other = await admin.post("keys", json={"name": "m"}, headers=named)
    assert (other.status_code, code(other)) == (422, "idempotency_mismatch")
    elsewhere = await admin.post("accounts/openai", json={"name": "n"}, headers=named)
    assert elsewhere.status_code == 422


async def test_a_refusal_may_be_mended_and_sent_again(admin):
    """It changed nothing."""
    named = {"idempotency-key": "two"}
    assert (await admin.post("keys", json={"nam": "n"}, headers=named)).status_code == 400
    assert (await admin.post("keys", json={"name": "n"}, headers=named)).status_code == 201


async def test_of_two_at_a_time_one_is_carried_out(admin):
    """The other one is told to come back."""
    named = {"idempotency-key": "three"}
    both = await asyncio.gather(
        *(admin.post("keys", json={"name": "both"}, headers=named) for _ in range(2))
    )
    assert sorted(each.status_code for each in both) in ([201, 201], [201, 409])
    assert (await admin.get("keys?q=both")).json()["total"] == 1


@pytest.mark.parametrize("name", ["", "x" * 256])
async def test_a_wrong_idempotency_key_is_named(admin, name):
    """Before anything is done."""
    answer = await admin.post("keys", json={"name": "n"}, headers={"idempotency-key": name})
    assert (answer.status_code, code(answer)) == (400, "invalid_request")


async def test_an_answer_is_kept_sealed(admin, settings):
    """The key in it is nowhere else."""
    made = await admin.post("keys", json={"name": "n"}, headers={"idempotency-key": "four"})
    key = made.json()["key"].encode()
    for path in settings.data_dir.glob("codex2api.db*"):
        assert key not in path.read_bytes()
