"""Whose is what: for every route that names something, what its owner and another key are told.

What another key made is as unknown as what never was: not even that it exists is told. What has no
name (a session, a limit, a budget) is tried in test_affinity and test_limits_of_keys, and over
WebSockets in test_websocket.
"""

import re
from typing import Any

import httpx
import pytest

from tests.e2e.asking import prompt, question
from tests.e2e.programs import API_KEY, OTHER_API_KEY, Gateway, until

GONE_ON = ("/v1/responses", "/responses", "/v1/responses/compact", "/v1/responses/input_tokens")
"""Routes at which a conversation goes on by `previous_response_id`."""
FETCHED = (
    ("GET", "/v1/responses/{}"),
    ("DELETE", "/v1/responses/{}"),
    ("POST", "/v1/responses/{}/cancel"),
    ("GET", "/v1/responses/{}/input_items"),
    ("GET", "/responses/{}"),
)
"""Routes at which nobody can have a response, not even whose it is."""
SEEN = (
    "usage/requests?caller_id={}",
    "usage/overview?caller_id={}",
    "keys/{}",
    "explain/{}",
    "events",
)
"""Routes at which usage and decisions of callers are seen: administrators only."""
NEVER = "resp_that_never_was"


def told(
    gateway: Gateway, key: str, method: str, path: str, body: Any = None
) -> tuple[int, str, str]:
    """Return status, code and message of an answer, without what names the request or the thing."""
    headers = {"authorization": f"Bearer {key}"}
    answer = httpx.request(method, f"{gateway.url}{path}", json=body, headers=headers, timeout=15)
    error = answer.json().get("error") or {}
    message = re.sub(r"(resp|req)_\w+|[0-9a-f]{16,}", "", error.get("message", ""))
    return answer.status_code, error.get("code") or "", message


@pytest.fixture
def mine(gateway: Gateway) -> str:
    """The id of a response that the first key was given."""
    body = question(prompt("echo: mine"), stream=False)
    headers = {"authorization": f"Bearer {API_KEY}"}
    answer = httpx.post(f"{gateway.url}/v1/responses", json=body, headers=headers, timeout=15)
    name: str = answer.json()["id"]
    return name


@pytest.mark.parametrize("path", GONE_ON)
def test_only_its_owner_goes_on_from_a_response(gateway: Gateway, mine: str, path: str) -> None:
    """To another key it is like one that never was."""

    def going_on(name: str) -> dict[str, Any]:
        body = question(prompt("and on"), previous_response_id=name)
        body["stream"] = False
        wanted = ("model", "input", "previous_response_id")
        return body if path.endswith("responses") else {each: body[each] for each in wanted}

    assert told(gateway, API_KEY, "POST", path, going_on(mine))[0] == 200
    refused = told(gateway, OTHER_API_KEY, "POST", path, going_on(mine))
    assert refused[:2] == (409, "response_context_unavailable")
    assert refused == told(gateway, OTHER_API_KEY, "POST", path, going_on(NEVER))


@pytest.mark.parametrize(("method", "path"), FETCHED)
def test_nobody_fetches_a_response(gateway: Gateway, mine: str, method: str, path: str) -> None:
    """Both keys are told the same, of this one and of any."""
    answers = {
        told(gateway, key, method, path.format(name))
        for key in (API_KEY, OTHER_API_KEY)
        for name in (mine, NEVER)
    }
    assert len(answers) == 1
    assert answers.pop()[0] == 404


@pytest.mark.parametrize("path", SEEN)
@pytest.mark.parametrize("header", ["authorization", "x-api-key", "x-admin-key"])
def test_no_key_sees_what_others_did(gateway: Gateway, path: str, header: str) -> None:
    """Nor its own: usage is the administrator's to show."""
    for key in (API_KEY, OTHER_API_KEY):
        value = f"Bearer {key}" if header == "authorization" else key
        url = f"{gateway.url}/api/admin/{path.format('any')}"
        answer = httpx.get(url, headers={header: value}, timeout=15)
        assert answer.status_code in {401, 429}, answer.text


def test_a_key_is_shown_only_the_models_that_it_may_use(gateway: Gateway) -> None:
    """The other one sees all of them."""
    made = gateway.command("keys", "create", "--name", "narrow", "--model", "gpt-5.5")

    def shown(key: str) -> set[str]:
        headers = {"authorization": f"Bearer {key}"}
        answer = httpx.get(f"{gateway.url}/v1/models", headers=headers, timeout=15).json()
        return {each["id"] for each in answer.get("data", [])}

    until(lambda: shown(made["key"]) == {"gpt-5.5"}, "the new key is known and sees one model")
    assert shown(API_KEY) > {"gpt-5.5"}
