"""Clients hear of the models that the upstream has today, and can call them."""

import json

import httpx
import pytest

from tests.e2e.asking import hear, prompt, question
from tests.e2e.programs import until

CODEX = "/backend-api/codex/models"
PUBLIC = "/v1/models"
VERSION = {"client_version": "0.169.0"}
LEARNT = "gpt-6.1-sol"
"""The simulator's manifest has it, the built-in one does not."""


def manifest(client: httpx.Client, path: str = CODEX, **headers: str) -> httpx.Response:
    """Return the manifest for a client of today."""
    return client.get(path, params=VERSION, headers=headers)


def slugs(answer: httpx.Response) -> list[str]:
    """Return the models of a manifest."""
    return [model["slug"] for model in answer.raise_for_status().json()["models"]]


@pytest.mark.parametrize("path", [CODEX, PUBLIC])
def test_a_client_gets_the_upstreams_manifest(gateway, path) -> None:
    """Its new models and its instructions; only WebSockets are not recommended."""
    models = manifest(gateway.client, path).raise_for_status().json()["models"]
    assert LEARNT in [model["slug"] for model in models]
    assert {model["base_instructions"] for model in models} == {"You are Codex, a coding agent."}
    assert [model["prefer_websockets"] for model in models] == [False] * len(models)


def test_who_has_the_manifest_gets_nothing_again(gateway) -> None:
    """Its tag is the upstream's own, which stands in every reply to a call too."""
    first = manifest(gateway.client)
    heard = hear(gateway.client, "/backend-api/codex/responses", question(prompt()))
    assert heard.headers["x-models-etag"] == first.headers["etag"]
    for tag in (first.headers["etag"], f'"x", W/{first.headers["etag"]}', "*"):
        again = manifest(gateway.client, **{"if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")
    assert manifest(gateway.client, **{"if-none-match": '"x"'}).content == first.content


def test_a_learnt_model_can_be_called(gateway, simulator) -> None:
    """In its own dialect, by its name with an effort too; it is listed, and others are not."""

    def listed() -> list[str]:
        return [model["id"] for model in gateway.client.get(PUBLIC).json()["data"]]

    until(lambda: LEARNT in listed(), "the gateway has learnt the model")
    assert gateway.client.get(f"{PUBLIC}/{LEARNT}").status_code == 200
    for model in (LEARNT, f"{LEARNT}-high"):
        heard = hear(gateway.client, "/v1/responses", question(prompt(), model=model))
        assert (heard.status, heard.types[-1]) == (200, "response.completed")
    assert {record["model"] for record in simulator.wait_for_records(2)} == {LEARNT}
    refused = gateway.client.post("/v1/responses", json=question(prompt(), model="gpt-6.2-sol"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")


def test_a_key_with_a_list_sees_no_more_than_it(gateway) -> None:
    """Under a tag of its own."""
    made = gateway.command("keys", "create", "--name", "few", "--model", LEARNT)
    mine = {"authorization": f"Bearer {made['key']}"}
    until(lambda: manifest(gateway.client, **mine).status_code == 200, "the gateway knows the key")
    answer = manifest(gateway.client, **mine)
    assert slugs(answer) == [LEARNT]
    assert answer.headers["etag"] != manifest(gateway.client).headers["etag"]
    again = manifest(gateway.client, **mine, **{"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_while_the_upstream_has_no_manifest_the_built_in_one_serves(start) -> None:
    """And once it has one, the gateway hears of it without a restart."""
    pair = start(knobs={"fault": "500"})
    client = pair.gateway.client
    built_in = manifest(client)
    assert "gpt-5.6-sol" in slugs(built_in)
    assert LEARNT not in slugs(built_in)
    assert json.loads(client.get(PUBLIC).content)["data"]
    pair.simulator.control(base={"fault": None})
    unseen = {"client_version": "0.170.0"}
    assert LEARNT in slugs(client.get(CODEX, params=unseen))
