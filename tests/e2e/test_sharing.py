"""Two workers over one Postgres and one Redis behave as one: callers can't tell which they met."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.asking import hear, prompt, question
from tests.e2e.programs import API_KEY, MODEL, until
from tests.e2e.several import Several, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="workers are looked up in /proc"),
]

ACCOUNTS = 4
KEY = "sk-sim-1"
ASKED = 30
"""Fresh connections, so that hardly ever one worker gets all of them."""
PER_MINUTE = 20
INPUT, OUTPUT = 100, 50
USED = {"input_tokens": INPUT, "output_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
USD_OF_ONE = INPUT * 5e-6 + OUTPUT * 30e-6
LONG = {"deltas": 10, "events_per_s": 20}
"""Half a second: no caller goes on sooner than workers hear of each other."""


@pytest.fixture(scope="module")
def several(tmp_path_factory, postgres, redis_server) -> Iterator[Several]:
    """Two workers that serve all tests of this file."""
    folder = tmp_path_factory.mktemp("sharing")
    yield from running(folder, postgres, redis_server, accounts=ACCOUNTS, usage=USED)


@pytest.fixture(autouse=True)
def watched(several: Several) -> Iterator[None]:
    """Afterwards the simulator has nothing to complain about."""
    several.simulator.mark()
    yield
    several.simulator.quiet()
    assert several.simulator.violations == []


def key(several: Several, *options: str) -> str:
    """Make a key, and wait until it opens both workers."""
    made = several.command("keys", "create", "--name", "k", *options)
    assert until(lambda: statuses(several, made["key"]) == {200}, "both workers know the key")
    return str(made["key"])


def statuses(several: Several, api_key: str) -> set[int]:
    """Ask for the models as many times as nobody is left out."""
    bearer = {"authorization": f"Bearer {api_key}"}
    ask = f"{several.url}/v1/models"
    return {httpx.get(ask, headers=bearer).status_code for _ in range(20)}


def ask(several: Several, api_key: str = API_KEY, **fields: Any) -> int:
    """Make one call on a connection of its own; return its status."""
    bearer = {"authorization": f"Bearer {api_key}"}
    body = question(prompt("echo: served"), **fields)
    heard = hear(several.client, "/v1/responses", body, headers=bearer)
    assert heard.status != 200 or "served" in heard.text, heard.raw
    return heard.status


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_official_client_is_served_by_whoever_it_meets(several, stream) -> None:
    """Chat and responses, each call on a connection of its own."""
    for _ in range(10):
        with openai.OpenAI(api_key=API_KEY, base_url=f"{several.url}/v1", max_retries=0) as client:
            said = [{"role": "user", "content": prompt("echo: served")}]
            answer: Any = client.chat.completions.create(model=MODEL, messages=said, stream=stream)
            if stream:
                text = "".join(
                    chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices
                )
            else:
                text = answer.choices[0].message.content
            assert "served" in text
            response: Any = client.responses.create(
                model=MODEL, input=prompt("echo: served"), stream=stream
            )
            if stream:
                response = list(response)[-1].response
            assert "served" in response.output_text


def test_an_expired_credential_is_exchanged_once_for_all_workers(several) -> None:
    """Whoever comes second adopts what the first has bought; no token is spent twice."""
    simulator = several.simulator
    before = simulator.see("state")["accounts"]
    names = [f"acct-{number}" for number in range(1, ACCOUNTS + 1)]
    simulator.control(account_state={name: {"expire_access": True} for name in names})
    with ThreadPoolExecutor(ASKED) as callers:
        assert set(callers.map(lambda _: ask(several), range(ASKED))) == {200}
    after = simulator.see("state")["accounts"]
    renewed = {name: after[name]["refreshes"] - before[name]["refreshes"] for name in names}
    assert set(renewed.values()) <= {0, 1}
    assert sum(renewed.values()) >= 1


def test_a_conversation_finds_its_account_on_either_worker(several) -> None:
    """With what only that account can read, and without a second attempt."""
    items: list[dict[str, Any]] = []
    for _ in range(8):
        body = question(
            prompt("Go on.", reasoning="on", **LONG), include=["reasoning.encrypted_content"]
        )
        body["input"] = items = [*items, *body["input"]]
        heard = hear(several.client, "/v1/responses", body)
        assert heard.status == 200, heard.raw
        items = [*items, *heard.events[-1]["response"]["output"]]
    records = several.simulator.wait_for_records(8)
    assert len({record["account"] for record in records}) == 1
    assert any(item["type"] == "reasoning" for item in items)


@pytest.mark.parametrize("frozen", [False, True], ids=["with Redis", "with Redis frozen"])
def test_a_revoked_key_opens_neither_worker(several, redis_server, frozen) -> None:
    """With Redis or without: each looks at the store by itself."""
    made = several.command("keys", "create", "--name", "to be revoked")
    assert until(lambda: statuses(several, made["key"]) == {200}, "both workers know the key")
    if frozen:
        redis_server.freeze()
    try:
        several.command("keys", "revoke", made["id"])
        until(lambda: statuses(several, made["key"]) == {401}, "the key opens nothing")
        assert ask(several) == 200
    finally:
        redis_server.thaw()


def test_calls_of_a_minute_are_counted_over_both_workers(several) -> None:
    """Beyond the limit comes at most what the other one let in before it was heard of."""
    api_key = key(several, "--requests-per-minute", str(PER_MINUTE))
    found = [ask(several, api_key) for _ in range(3 * PER_MINUTE)]
    assert set(found) == {200, 429}
    assert PER_MINUTE <= found.count(200) <= 2 * PER_MINUTE
    until(lambda: {ask(several, api_key) for _ in range(5)} == {429}, "both workers refuse")


def test_money_is_spent_once_over_both_workers(several) -> None:
    """A storm on one key spends its budget, and at most what both set aside at the same time."""
    api_key = key(several, "--day-budget", f"{30 * USD_OF_ONE:.6f}")
    with ThreadPoolExecutor(8) as callers:
        found = list(callers.map(lambda _: ask(several, api_key, max_output_tokens=60), range(80)))
    assert set(found) == {200, 429}
    assert found.count(200) <= 60
    assert len(several.simulator.records) == found.count(200)


def test_a_key_that_one_worker_was_refused_with_is_used_by_none(several) -> None:
    """Until its operator gives it anew; a worker that has never met it knows as well."""
    simulator = several.simulator
    given = (
        "accounts", "add", "--kind", "openai", "--api-key", KEY, "--model", MODEL,
        "--priority", "10", "--base-url", simulator.addresses["api_base_url"],
    )  # fmt: skip
    several.command(*given)
    until(lambda: askers(several) == {KEY}, "both workers ask the key first")
    simulator.control(accounts={KEY: {"fault": "401_invalid_api_key"}})
    assert ask(several) == 200
    until(lambda: "invalid_api_key" in refusals(several), "it is written down")
    simulator.control(accounts={KEY: {"fault": None}})
    until(lambda: KEY not in askers(several), "both workers have heard")
    assert KEY not in askers(several)
    several.command(*given)
    until(lambda: askers(several) == {KEY}, "it is asked again")
    several.command("accounts", "set", "--all", "--priority", "0")
    rows = several.command("accounts", "list")
    several.command("accounts", "set", *(r["id"] for r in rows if r["kind"] == "openai"),
                    "--disable")  # fmt: skip


def askers(several: Several) -> set[str]:
    """Ask as many times as no worker is left out; return which accounts answered."""
    since = len(several.simulator.see("ledger"))
    assert {ask(several) for _ in range(12)} == {200}
    several.simulator.quiet()
    return {record["account"] for record in several.simulator.see("ledger")[since:]}


def refusals(several: Several) -> list[str]:
    """Return why accounts are known as dead to whoever reads the store."""
    rows = several.command("accounts", "list")
    return [row["refused_code"] for row in rows if row["dead"]]
