"""A conversation stays where its cache and its secrets are, and what is secret never leaves."""

from typing import Any

import pytest

from tests.e2e.asking import chat, hear, prompt, question
from tests.e2e.programs import API_KEY, OTHER_API_KEY, Gateway, Pair, until

PUBLIC = "/v1/responses"
CODEX = "/backend-api/codex/responses"
CHAT = "/v1/chat/completions"
INCLUDE = {"include": ["reasoning.encrypted_content"]}
LIMITED = {"fault": "429_usage_limit", "resets_in_s": 1_000}


def turn(
    gateway: Gateway, *before: dict[str, Any], session: str | None = None, key: str = API_KEY
) -> list[dict[str, Any]]:
    """Make one turn with reasoning after what was before; return all items so far."""
    body = question(prompt("echo: here we are", reasoning="on"), **INCLUDE)
    body["input"] = [*before, *body["input"]]
    headers = {"authorization": f"Bearer {key}"} | ({"session-id": session} if session else {})
    heard = hear(gateway.client, PUBLIC, body, headers=headers)
    assert heard.status == 200, heard.raw
    return [*body["input"], *heard.events[-1]["response"]["output"]]


def accounts(pair: Pair, count: int) -> list[str]:
    """Return the accounts of so many calls, which all went well."""
    records = pair.simulator.wait_for_records(count)
    assert {record["status"] for record in records} <= {200, 429}
    return [record["account"] for record in records if record["status"] == 200]


def compacted(gateway: Gateway, *before: dict[str, Any]) -> dict[str, Any]:
    """Return the item that a compaction of what was before gives."""
    body = question(prompt("compact this"))
    body["input"] = [*before, *body["input"], {"type": "compaction_trigger"}]
    heard = hear(gateway.client, CODEX, body)
    [item] = [
        event["item"] for event in heard.events if event["type"] == "response.output_item.done"
    ]
    assert item["type"] == "compaction", heard.raw
    return item


@pytest.mark.parametrize("session", ["a session", None], ids=["named", "known by its beginning"])
def test_a_conversation_stays_with_its_account(start, session) -> None:
    """While that is healthy, whether its caller names it or not."""
    pair = start(accounts=6)
    items = turn(pair.gateway, session=session)
    for _ in range(5):
        items = turn(pair.gateway, *items, session=session)
    assert len(set(accounts(pair, 6))) == 1


def test_a_chat_without_a_name_stays_with_its_account(start) -> None:
    """What it begins with is its name."""
    pair = start(accounts=6)
    messages = [{"role": "system", "content": "Be kind."}]
    for number in range(5):
        messages.append({"role": "user", "content": prompt(f"echo: turn {number}")})
        body = chat("", messages=messages, stream=False)
        answer = pair.gateway.client.post(CHAT, json=body).json()
        messages.append(
            {"role": "assistant", "content": answer["choices"][0]["message"]["content"]}
        )
    assert len(set(accounts(pair, 5))) == 1


def test_different_conversations_are_spread(start) -> None:
    """Nothing holds them together."""
    pair = start(accounts=4)
    for _ in range(16):
        turn(pair.gateway)
    assert len(set(accounts(pair, 16))) == 4


def test_a_conversation_moves_and_leaves_its_secrets_behind(start) -> None:
    """While its account rests another one answers, and is shown none of the first one's items.

    The simulator refuses items of another account, and writes that down.
    """
    pair = start(accounts=2)
    items = turn(pair.gateway, session="s")
    items = turn(pair.gateway, *items, session="s")
    [home, _] = accounts(pair, 2)
    pair.simulator.control(accounts={home: LIMITED})
    items = turn(pair.gateway, *items, session="s")
    items = turn(pair.gateway, *items, session="s")
    assert sum(item["type"] == "reasoning" for item in items) == 4
    assert set(accounts(pair, 5)[2:]) == {"acct-1", "acct-2"} - {home}
    assert pair.simulator.violations == []


def test_a_compacted_conversation_is_bound_to_its_account(start) -> None:
    """It goes on there, and nowhere else: while that account rests it is refused with 409."""
    pair = start(accounts=3)
    item = compacted(pair.gateway, *turn(pair.gateway))
    home = accounts(pair, 2)[-1]
    body = question(prompt("echo: and then"))
    body["input"] = [item, *body["input"]]
    for _ in range(4):
        assert "and then" in hear(pair.gateway.client, CODEX, body).text
    assert set(accounts(pair, 6)[2:]) == {home}
    pair.simulator.control(accounts={home: LIMITED})
    for path, stream in ((CODEX, True), (PUBLIC, True), (PUBLIC, False)):
        answer = pair.gateway.client.post(path, json={**body, "stream": stream})
        assert answer.status_code == 409, answer.text
        error = answer.json()["error"]
        assert error["code"] == "response_context_unavailable"
        assert "compacted" in error["message"]
        assert 900 < int(answer.headers["retry-after"]) <= 1_100
        assert answer.headers["x-codex2api-reason"] == "response_context_unavailable"
    pair.simulator.wait_for_records(7)
    assert "here we are" in str(turn(pair.gateway))


def test_a_compacted_conversation_of_an_account_that_is_gone_is_refused(start) -> None:
    """For good: there is no moment to come back at."""
    pair = start(accounts=2)
    item = compacted(pair.gateway)
    [home] = accounts(pair, 1)
    listed = pair.gateway.command("accounts", "list")
    [name] = [each["name"] for each in listed if home in each["name"]]
    pair.gateway.command("accounts", "set", "--disable", name)
    body = question(prompt("echo: and then"))
    body["input"] = [item, *body["input"]]

    def refused() -> bool:
        answer = pair.gateway.client.post(PUBLIC, json=body)
        return answer.status_code == 409 and "retry-after" not in answer.headers

    until(refused, "the gateway has noticed that the account is gone")


def test_two_callers_with_the_same_session_do_not_share_it(start) -> None:
    """Each has its own account, and an item of the one binds nothing of the other."""
    pair = start(accounts=2)
    for key in (API_KEY, OTHER_API_KEY):
        items = turn(pair.gateway, session="the same", key=key)
        for _ in range(3):
            items = turn(pair.gateway, *items, session="the same", key=key)
    served = accounts(pair, 8)
    assert set(served[:4]) != set(served[4:])
    assert (len(set(served[:4])), len(set(served[4:]))) == (1, 1)
