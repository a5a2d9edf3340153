"""One model name, four accounts of three kinds: Codex first, a paid key next, a server last."""

import json
from collections import Counter
from collections.abc import Iterator

import httpx
import openai
import pytest
from pydantic import BaseModel

from tests.e2e.asking import chat, hear, prompt, question
from tests.e2e.programs import API_KEY, DEADLINE_S, MODEL, Gateway, Pair, Simulator, until

RESPONSES = "/v1/responses"
CHAT = "/v1/chat/completions"
KEY = "sk-sim-1"
SERVER = "compatible"
EMBEDDING = "text-embedding-3-small"
ALL = ("acct-1", "acct-2", KEY, SERVER)
CODEX = {"acct-1", "acct-2"}
DOWN = {"break_before_head": "fin"}
UP = {"break_before_head": None, "fault": None}
PASSWORD = "what the operator knows"


@pytest.fixture(scope="module")
def mixed(starter) -> Iterator[Pair]:
    """Two Codex accounts, one key, one chat-only server that has the model under its own name."""
    limits = {"retries_min": 1_000_000}
    for pair in starter.pair(accounts=2, limits=limits, ADMIN_SECRET=PASSWORD):
        mix(pair)
        yield pair


def mix(pair: Pair) -> None:
    """Add a key and a server to the Codex accounts."""
    gateway, origin = pair.gateway, pair.simulator.addresses["url"]
    gateway.command("accounts", "set", "--all", "--priority", "20")
    gateway.command(
        "accounts", "add", "--kind", "openai", "--api-key", KEY, "--name", "a key",
        "--base-url", pair.simulator.addresses["api_base_url"], "--priority", "10",
    )  # fmt: skip
    gateway.command(
        "accounts", "add", "--kind", "compatible", "--base-url", f"{origin}/compatible/v1",
        "--name", "a server", "--map-model", f"{MODEL}=qwen3",
    )  # fmt: skip
    until(lambda: {EMBEDDING, "qwen3"} <= names(gateway), "the models of the keys are learnt")


@pytest.fixture
def pool(mixed: Pair) -> Pair:
    """The same, with all accounts up before the test, and none at rest from an earlier one."""
    mixed.simulator.control(accounts=dict.fromkeys(ALL, UP))
    mixed.gateway.settled()
    awake(mixed.gateway)
    return mixed


def awake(gateway: Gateway) -> None:
    """Let no account rest, as an operator may order; breaks of the past count no more."""
    admin = {"base_url": f"{gateway.url}/api/admin", "headers": {"x-admin-key": PASSWORD}}
    with httpx.Client(**admin, timeout=DEADLINE_S) as operator:
        for account in operator.get("accounts").raise_for_status().json()["items"]:
            operator.post(f"accounts/{account['id']}/reset").raise_for_status()


def names(gateway: Gateway) -> set[str]:
    """Return the names of the models that are listed."""
    return {model["id"] for model in gateway.client.get("/v1/models").json()["data"]}


def asked(simulator: Simulator, since: int) -> list[str]:
    """Return which accounts were asked since then."""
    simulator.quiet()
    return [record["account"] for record in simulator.see("ledger")[since:]]


def served(pair: Pair, path: str = CHAT, **fields) -> list[str]:
    """Make one call and return which accounts were asked; the last one answered."""
    since = len(pair.simulator.see("ledger"))
    make = question if path == RESPONSES else chat
    heard = hear(pair.gateway.client, path, make(prompt("echo: here we are"), **fields))
    assert (heard.status, "here we are" in heard.text) == (200, True), heard.raw[:500]
    return asked(pair.simulator, since)


def down(pair: Pair, *accounts: str) -> None:
    """Let accounts fail from now on."""
    pair.simulator.control(accounts=dict.fromkeys(accounts, DOWN))


@pytest.mark.parametrize("path", [RESPONSES, CHAT])
def test_killing_the_codex_accounts_moves_traffic_over_within_one_call(pool, path) -> None:
    """And back when they return: a key and a server are only the overflow."""
    until(lambda: set(served(pool, path)) <= CODEX, "traffic is at Codex")
    down(pool, "acct-1", "acct-2")
    over = served(pool, path)
    assert (set(over[:-1]) <= CODEX, over[-1]) == (True, KEY)
    down(pool, KEY)
    assert served(pool, path)[-1] == SERVER
    pool.simulator.control(accounts=dict.fromkeys(ALL, UP))
    until(lambda: set(served(pool, path)) <= CODEX, "traffic is back at Codex")


@pytest.mark.parametrize("path", [RESPONSES, CHAT])
@pytest.mark.parametrize("alone", [KEY, SERVER])
def test_every_kind_calls_tools_for_every_dialect(pool, path, alone) -> None:
    """Through the official library, streamed, with what the model calls put together by it."""
    down(pool, *(set(ALL) - {alone}))
    text = prompt("What is the weather? parallel")
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    with openai.OpenAI(base_url=f"{pool.gateway.url}/v1", api_key=API_KEY) as sdk:
        if path == CHAT:
            tool = {"type": "function", "function": {"name": "weather", "parameters": schema}}
            messages = [{"role": "user", "content": text}]
            with sdk.chat.completions.stream(
                model=MODEL, messages=messages, tools=[tool]
            ) as stream:
                stream.until_done()
                message = stream.get_final_completion().choices[0].message
            called = [call.function.arguments for call in message.tool_calls]
        else:
            tool = {"type": "function", "name": "weather", "parameters": schema}
            with sdk.responses.stream(model=MODEL, input=text, tools=[tool]) as stream:
                final = stream.until_done().get_final_response()
            called = [item.arguments for item in final.output if item.type == "function_call"]
            assert final.usage.output_tokens > 0
    assert called
    assert set(called) == {'{"city":"Oslo"}'}


@pytest.mark.parametrize("alone", ["acct-1", KEY, SERVER])
def test_the_helpers_of_the_library_parse_on_every_kind(pool, alone) -> None:
    """Structured output in both dialects, by the schema that the helper makes."""

    class Trip(BaseModel):
        city: str

    down(pool, *(set(ALL) - {alone}))
    text = prompt("A trip, please.")
    with openai.OpenAI(base_url=f"{pool.gateway.url}/v1", api_key=API_KEY) as sdk:
        messages = [{"role": "user", "content": text}]
        answer = sdk.chat.completions.parse(model=MODEL, messages=messages, response_format=Trip)
        beta = sdk.beta.chat.completions.parse(model=MODEL, messages=messages, response_format=Trip)
        response = sdk.responses.parse(model=MODEL, input=text, text_format=Trip)
    assert isinstance(answer.choices[0].message.parsed, Trip)
    assert isinstance(beta.choices[0].message.parsed, Trip)
    assert isinstance(response.output_parsed, Trip)


def test_the_key_is_asked_natively_and_heeds_what_codex_refuses(pool) -> None:
    """A chat caller in chat, a Responses caller in Responses, each with its limits."""
    down(pool, "acct-1", "acct-2", SERVER)
    since = len(pool.simulator.see("ledger"))
    for path, make, limit in (
        (CHAT, chat, "max_tokens"),
        (RESPONSES, question, "max_output_tokens"),
    ):
        body = make(prompt("echo: hey"), temperature=0.5, **{limit: 50})
        assert hear(pool.gateway.client, path, body).status == 200
    pool.simulator.quiet()
    records = [r for r in pool.simulator.see("ledger")[since:] if r["account"] == KEY]
    assert [record["path"] for record in records] == ["/v1/chat/completions", "/v1/responses"]


def test_a_server_is_asked_under_its_own_name_and_needs_no_key(pool) -> None:
    """The caller hears the pool's name for the model."""
    down(pool, "acct-1", "acct-2", KEY)
    since = len(pool.simulator.see("ledger"))
    heard = hear(pool.gateway.client, RESPONSES, question(prompt("echo: hey")))
    assert heard.events[-1]["response"]["model"] == MODEL
    pool.simulator.quiet()
    record = pool.simulator.see("ledger")[since:][-1]
    assert (record["account"], record["model"]) == (SERVER, "qwen3")


def test_a_model_that_only_one_account_has_goes_there(pool) -> None:
    """Whatever its priority."""
    assert served(pool, CHAT, model="qwen3") == [SERVER]


def test_embeddings_go_to_a_key_in_both_encodings(pool) -> None:
    """The SDK asks for base64; the vectors are the same."""
    with openai.OpenAI(base_url=f"{pool.gateway.url}/v1", api_key=API_KEY) as sdk:
        packed = sdk.embeddings.create(model=EMBEDDING, input=["one", "two"])
        plain = sdk.embeddings.create(model=EMBEDDING, input="one", encoding_format="float")
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding)
    assert packed.usage.prompt_tokens > 0
    answer = pool.gateway.client.post("/embeddings", json={"model": EMBEDDING, "input": "x"})
    assert (answer.status_code, answer.json()["object"]) == (200, "list")
    spent = pool.gateway.metrics()
    counted = {name: value for name, value in spent.items() if "tokens_total" in name}
    assert any(EMBEDDING in name or "other" in name for name in counted), counted


@pytest.mark.parametrize("stream", [False, True])
def test_legacy_completions_are_answered_by_every_kind(pool, stream) -> None:
    """Through the official library; the last chunk says why it ended."""
    for alone in ("acct-1", KEY, SERVER):
        down(pool, *(set(ALL) - {alone}))
        with openai.OpenAI(base_url=f"{pool.gateway.url}/v1", api_key=API_KEY) as sdk:
            asked = sdk.completions.create(
                model=MODEL, prompt=prompt("echo: old but good"), stream=stream, max_tokens=20
            )
            chunks = list(asked) if stream else [asked]
        assert "".join(chunk.choices[0].text for chunk in chunks).startswith("old but good")
        assert chunks[-1].choices[0].finish_reason == "stop"
        pool.simulator.control(accounts=dict.fromkeys(ALL, UP))


def test_a_key_whose_money_is_spent_is_taken_out(start) -> None:
    """It needs its operator; the call is answered elsewhere, and the next does not go there."""
    pair = start(accounts=1)
    gateway, simulator = pair.gateway, pair.simulator
    gateway.command("accounts", "set", "--all", "--priority", "-1")
    gateway.command(
        "accounts", "add", "--kind", "openai", "--api-key", KEY, "--model", MODEL,
        "--base-url", simulator.addresses["api_base_url"],
    )  # fmt: skip
    until(lambda: served(pair)[-1] == KEY, "the key is in the pool")
    simulator.control(accounts={KEY: {"fault": "429_insufficient_quota"}})
    assert served(pair) == [KEY, "acct-1"]
    assert served(pair) == ["acct-1"]
    simulator.control(accounts={KEY: {"fault": None}})
    assert served(pair) == ["acct-1"]
    known = until(lambda: dead(gateway), "it is written down")
    assert known == ["insufficient_quota"]


def dead(gateway: Gateway) -> list[str]:
    """Return why accounts are known as dead to whoever reads the store."""
    rows = gateway.command("accounts", "list")
    return [row["refused_code"] for row in rows if row["dead"]]


def test_a_rate_limit_does_not_bench_a_key_for_long(start) -> None:
    """It is back as soon as the upstream said."""
    pair = start(accounts=1)
    gateway, simulator = pair.gateway, pair.simulator
    gateway.command("accounts", "set", "--all", "--priority", "-1")
    gateway.command(
        "accounts", "add", "--kind", "openai", "--api-key", KEY, "--model", MODEL,
        "--base-url", simulator.addresses["api_base_url"],
    )  # fmt: skip
    until(lambda: served(pair)[-1] == KEY, "the key is in the pool")
    simulator.control(rules=[{"set": {"fault": "429_rate_limit", "retry_after": "1"},
                              "account": KEY, "first": 1}])  # fmt: skip
    assert served(pair) == [KEY, "acct-1"]
    until(lambda: served(pair) == [KEY], "the key is back")


def test_what_no_kind_in_the_pool_can_do_is_501(gateway) -> None:
    """Codex accounts alone have no embeddings; and their models are no embedding models."""
    body = {"model": MODEL, "input": "x"}
    answer = gateway.client.post("/v1/embeddings", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (
        501,
        "not_supported_by_upstream",
    )


def test_traffic_is_spread_over_both_codex_accounts(pool) -> None:
    """Priority decides among kinds, the strategy among equals."""
    counts: Counter[str] = Counter()

    def spread() -> bool:
        counts.update(served(pool))
        return counts.keys() >= CODEX

    until(spread, f"both have a share: {counts}")
    assert counts.keys() == CODEX


def test_an_address_where_no_upstream_may_be_is_refused(mixed) -> None:
    """Before anything is stored or asked."""
    with pytest.raises(AssertionError, match="no address that an upstream can have"):
        mixed.gateway.command(
            "accounts", "add", "--kind", "compatible", "--base-url", "http://169.254.169.254/v1"
        )


def test_accounts_of_all_kinds_leave_and_come_back(mixed, tmp_path) -> None:
    """An export is what an import reads, with addresses, keys and names of models."""
    gateway, file = mixed.gateway, tmp_path / "accounts.json"
    exported = gateway.run("accounts", "export", "a key", "a server", "--output", str(file))
    assert exported.returncode == 0, exported.stderr
    entries = {each["name"]: each for each in json.loads(file.read_text())}
    assert (entries["a key"]["type"], entries["a key"]["api_key"]) == ("openai", KEY)
    assert entries["a server"]["model_map"] == {MODEL: "qwen3"}
    again = gateway.command("accounts", "import", str(file))
    assert (again["created"], again["faults"]) == (0, [])


def test_a_key_is_tested_without_cost(mixed) -> None:
    """Its list of models costs nothing."""
    assert mixed.gateway.command("accounts", "test", "a key")["ok"] is True
    assert mixed.gateway.command("accounts", "test", "a server")["ok"] is True
    with httpx.Client(base_url=mixed.gateway.url) as stranger:
        assert stranger.get("/v1/models").status_code == 401


def test_a_conversation_is_compacted_by_the_key_once_codex_is_at_its_limit(pool) -> None:
    """At the endpoint that the platform has for it; what it sealed can be read by it alone."""
    limited = {"fault": "429_usage_limit"}
    pool.simulator.control(accounts={"acct-1": limited, "acct-2": limited})
    since = len(pool.simulator.see("ledger"))
    with openai.OpenAI(base_url=f"{pool.gateway.url}/v1", api_key=API_KEY, max_retries=0) as sdk:
        short = sdk.responses.compact(model=MODEL, input=prompt("a long story"))
        assert (short.object, short.output[-1].type) == ("response.compaction", "compaction")
        assert short.usage.input_tokens > 0
        pool.simulator.quiet()
        record = pool.simulator.see("ledger")[since:][-1]
        assert (record["account"], record["path"]) == (KEY, "/v1/responses/compact")
        pool.simulator.control(accounts=dict.fromkeys(ALL, UP))
        awake(pool.gateway)
        kept = [item.model_dump(exclude_unset=True) for item in short.output]
        since = len(pool.simulator.see("ledger"))
        again = [*kept, {"role": "user", "content": "echo: and on it goes"}]
        assert sdk.responses.create(model=MODEL, input=again).output_text == "and on it goes"
    assert asked(pool.simulator, since) == [KEY]


@pytest.mark.parametrize("stream", [False, True])
def test_several_images_at_once_are_made_by_the_key(pool, stream) -> None:
    """Codex accounts make one at a time; the key has the endpoint itself."""
    since = len(pool.simulator.see("ledger"))
    with openai.OpenAI(base_url=f"{pool.gateway.url}/v1", api_key=API_KEY) as sdk:
        asked_for = {"model": "gpt-image-1", "prompt": "two fjords", "n": 2, "stream": stream}
        answer = sdk.images.generate(**asked_for)
        if stream:
            kinds = [event.type for event in answer]
            assert kinds == ["image_generation.completed"] * 2
        else:
            assert (len(answer.data), answer.usage.output_tokens > 1_000) == (2, True)
    assert asked(pool.simulator, since) == [KEY]


def test_an_image_is_changed_by_the_key_once_codex_is_at_its_limit(pool) -> None:
    """By the image tool as long as there is an account with it."""
    png = ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(59))
    since = len(pool.simulator.see("ledger"))
    with openai.OpenAI(base_url=f"{pool.gateway.url}/v1", api_key=API_KEY) as sdk:
        assert sdk.images.edit(image=png, prompt=prompt("a boat")).data
        assert set(asked(pool.simulator, since)) <= CODEX
        down(pool, "acct-1", "acct-2")
        since = len(pool.simulator.see("ledger"))
        assert sdk.images.edit(image=png, prompt=prompt("a boat")).data
    assert asked(pool.simulator, since)[-1] == KEY
