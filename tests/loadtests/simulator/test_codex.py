"""The Codex backend's HTTP endpoints, seen from a strict peer."""

import gzip
import hashlib
import zlib

import orjson
import pytest
import zstandard

from loadtests.simulator.config import AccountSpec
from tests.loadtests.simulator.peer import CODEX, Peer, prompt, sim

MANIFEST_KEYS = 46


async def test_a_text_arrives_in_the_order_of_the_wire(peer):
    """Private events, prelude, one message item, terminal; numbers without a gap."""
    answer = await peer.ask("echo: Hello, wörld")
    assert answer.complete
    assert answer.status == 200
    assert answer.kinds == [
        "codex.response.metadata",
        "codex.rate_limits",
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    numbers = [e["sequence_number"] for e in answer.events if "sequence_number" in e]
    assert numbers == list(range(len(numbers)))
    assert answer.text == "Hello, wörld"
    assert answer.events[-1]["response"]["output"] == []


async def test_the_same_request_gets_the_same_text(start):
    """The answer is a function of seed and request, not of account or time."""
    one, other = await start(), await start()
    texts = [(await Peer(s, n).ask("Tell me")).text for s in (one, other) for n in (0, 1)]
    assert len(set(texts)) == 1
    assert len(texts[0]) > 60


async def test_a_200_carries_the_headers_that_clients_read(peer):
    """Model, manifest version, turn state and both windows."""
    answer = await peer.ask("hi")
    assert answer.header("content-type") == "text/event-stream; charset=utf-8"
    assert answer.header("openai-model") == "gpt-5.5"
    assert answer.header("x-codex-turn-state")
    assert answer.header("x-codex-primary-window-minutes") == "300"
    assert answer.header("x-codex-secondary-window-minutes") == "10080"
    assert answer.header("x-sim-request-id") == "sim-000001"
    models = await peer.get("/backend-api/codex/models?client_version=0.146.0")
    assert answer.header("x-models-etag") == models.header("etag")


async def test_the_ledger_agrees_with_what_was_sent(simulator, peer):
    """Hash, bytes, events and tokens of the record are those that the peer saw."""
    answer = await peer.ask("echo: count me")
    (record,) = simulator.world.ledger.records
    assert record.body_sha256 == hashlib.sha256(answer.body).hexdigest()
    assert record.body_bytes == len(answer.body)
    assert record.events == len(answer.events)
    assert record.tokens == answer.events[-1]["response"]["usage"]
    assert record.terminal == "completed"
    assert (record.account, record.in_flight_max) == ("acct-1", 1)


async def test_usage_counts_a_token_per_delta(peer):
    """With the usual four characters a delta is a token."""
    answer = await peer.ask("echo: twelve chars")
    usage = answer.events[-1]["response"]["usage"]
    deltas = [e for e in answer.events if e["type"] == "response.output_text.delta"]
    assert usage["output_tokens"] == len(deltas) == 3


@pytest.mark.parametrize(
    ("headers", "status", "needle"),
    [
        ({"authorization": "Bearer nonsense"}, 401, b"Unauthorized"),
        ({"authorization": "Basic x"}, 401, b"Unauthorized"),
        ({"chatgpt-account-id": "somebody-else"}, 403, b"account_mismatch"),
    ],
)
async def test_a_wrong_credential_is_refused(peer, headers, status, needle):
    """Unknown tokens, other schemes, and an account id that is not the token's."""
    answer = await peer.post(CODEX, prompt("hi"), headers)
    assert answer.status == status
    assert needle in answer.body


async def test_an_expired_token_is_refused_in_the_backends_words(start):
    """The 401 has its code in the body and in the diagnostic header."""
    simulator = await start(account_specs=[AccountSpec(id="old", access_ttl_s=-5)])
    answer = await Peer(simulator).ask("hi")
    assert answer.status == 401
    assert answer.json["error"]["code"] == "token_expired"
    assert answer.header("x-openai-authorization-error") == "token_expired"


async def test_a_missing_account_id_is_refused_unless_allowed(simulator, peer):
    """`require_account_id` decides."""
    del peer.headers["chatgpt-account-id"]
    assert (await peer.ask("hi")).status == 401
    simulator.control(base={"require_account_id": False})
    assert (await peer.ask("hi")).status == 200


def call(call_id="call_1", **more):
    """Return a function call item."""
    return {
        "type": "function_call", "name": "f", "arguments": "{}", "call_id": call_id, **more,
    }  # fmt: skip


def output(call_id="call_1"):
    """Return the output of a call."""
    return {"type": "function_call_output", "call_id": call_id, "output": "ok"}


USER = {"role": "user", "content": [{"type": "input_text", "text": "hi"}]}
BROKEN = {
    "store": ({"store": True}, "Store must be set to false"),
    "stream": ({"stream": False}, "Stream must be set to true"),
    "input": ({"input": "hi"}, "Input must be a list"),
    "instructions": ({"instructions": None}, "Instructions are required"),
    "parameter": ({"max_output_tokens": 5}, "Unsupported parameter: max_output_tokens"),
    "previous": ({"previous_response_id": "r"}, "Unsupported parameter: previous_response_id"),
    "options": (
        {"stream_options": {"include_usage": True}},
        "Unsupported parameter: stream_options.include_usage",
    ),
    "role": ({"input": [{"role": "system", "content": "x"}]}, "System messages are not allowed"),
    "model": (
        {"model": "gpt-9"},
        "The 'gpt-9' model is not supported when using Codex with a ChatGPT account.",
    ),
    "effort": ({"reasoning": {"effort": "max"}}, "Invalid value: 'max'."),
    "tool type": ({"tools": [{"name": "x"}]}, "Unsupported tool type: None"),
    "tools": (
        {"tools": [{"type": "function", "name": f"t{n}"} for n in range(129)]},
        "array too long",
    ),
    "name": ({"tools": [{"type": "function", "name": "n" * 65}]}, "string too long"),
    "call id": ({"input": [call("c" * 65), output("c" * 65)]}, "string too long"),
    "item id": (
        {"input": [call(id="xyz"), output()]},
        "Invalid 'input[0].id': 'xyz'. Expected an ID that begins with 'fc'.",
    ),
    "arguments": ({"input": [call(arguments={}), output()]}, "expected a string"),
    "orphan call": (
        {"input": [USER, call()]},
        "No tool output found for function call call_1.",
    ),
    "orphan output": (
        {"input": [output()]},
        "No tool call found for function call output with call_id call_1.",
    ),
    "sealed": (
        {"input": [{"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}, USER]},
        "could not be verified",
    ),
    "trigger": (
        {"input": [{"type": "compaction_trigger"}, USER]},
        "'compaction_trigger' must be the last item",
    ),
    "json": (
        {"text": {"format": {"type": "json_object"}}},
        "must contain the word 'json' in some form",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_rule_is_refused_and_noted(simulator, peer, name):
    """Each rule answers 400 in the backend's words and leaves a violation."""
    changes, text = BROKEN[name]
    answer = await peer.ask("hi", **changes)
    assert answer.status == 400
    assert text in answer.body.decode()
    assert len(simulator.world.ledger.violations) == 1


async def test_strictness_can_be_turned_off(peer):
    """Without `strict` the same request is answered."""
    answer = await peer.ask(sim(strict=False), temperature=1)
    assert answer.status == 200


async def test_the_lite_marker_needs_a_lite_model(peer):
    """The marker is refused for other models; a Lite request needs no instructions."""
    marker = {"x-openai-internal-codex-responses-lite": "true"}
    refused = await peer.post(CODEX, prompt("hi"), marker)
    assert refused.json["error"]["code"] == "unsupported_value"
    body = prompt("hi", model="gpt-5.6-sol")
    del body["instructions"]
    body["input"].insert(0, {"type": "additional_tools", "role": "developer", "tools": []})
    assert (await peer.post(CODEX, body, marker)).status == 200


async def test_reasoning_may_only_come_back_to_its_account(simulator, peer):
    """Sealed content works for its account and is refused for another."""
    asked = {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]}
    answer = await peer.ask("think", **asked)
    items = [e["item"] for e in answer.events if e["type"] == "response.output_item.done"]
    assert items[0]["type"] == "reasoning"
    follow = [items[0], items[1], USER]
    assert (await peer.ask("x", input=follow)).status == 200
    foreign = await Peer(simulator, 1).ask("x", input=follow)
    assert foreign.json["error"]["code"] == "invalid_encrypted_content"
    assert simulator.world.ledger.violations[-1].kind == "foreign_encrypted_content"


async def test_a_foreign_turn_state_is_a_violation(simulator, peer):
    """It is noted, and refused when the knob says so."""
    state = (await peer.ask("hi")).header("x-codex-turn-state")
    own = await peer.post(CODEX, prompt("hi"), {"x-codex-turn-state": state})
    assert own.header("x-codex-turn-state") is None
    assert not simulator.world.ledger.violations
    other = Peer(simulator, 1)
    assert (await other.post(CODEX, prompt("hi"), {"x-codex-turn-state": state})).status == 200
    assert simulator.world.ledger.violations[0].kind == "foreign_turn_state"
    refusing = prompt(sim(foreign_turn_state="reject"))
    assert (await other.post(CODEX, refusing, {"x-codex-turn-state": state})).status == 400


async def test_a_repeated_prefix_is_billed_as_cached(peer):
    """The same long input under the same key counts as cached, in steps of 128."""
    long = [{"role": "user", "content": [{"type": "input_text", "text": "word " * 2000}]}]
    usages = []
    for tail in ([], [USER]):
        answer = await peer.ask("x", input=long + tail, prompt_cache_key="k")
        usages.append(answer.events[-1]["response"]["usage"])
    cached = usages[1]["input_tokens_details"]["cached_tokens"]
    assert usages[0]["input_tokens_details"]["cached_tokens"] == 0
    assert cached >= 1024
    assert cached % 128 == 0


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
    ],
)
async def test_compressed_requests_are_taken(peer, encoding, encode):
    """As the Codex CLI may send them."""
    body = encode(orjson.dumps(prompt("echo: packed")))
    answer = await peer.post(CODEX, body, {"content-encoding": encoding})
    assert answer.text == "packed"


async def test_a_body_that_is_no_json_is_refused(peer):
    """Damaged compression and damaged JSON alike."""
    assert (await peer.post(CODEX, b"{")).status == 400
    assert (await peer.post(CODEX, b"{}", {"content-encoding": "gzip"})).status == 400


async def test_an_old_version_is_refused(simulator, peer):
    """426 below the minimum."""
    simulator.control(base={"minimum_version": "0.140.0"})
    assert (await peer.post(CODEX, prompt("hi"), {"version": "0.99.1"})).status == 426
    assert (await peer.post(CODEX, prompt("hi"), {"version": "0.146.0"})).status == 200


async def test_compaction_by_trigger_and_by_endpoint(simulator, peer):
    """Both give one sealed item; the endpoint can be gone."""
    triggered = await peer.ask("x", input=[USER, {"type": "compaction_trigger"}])
    done = [e for e in triggered.events if e["type"] == "response.output_item.done"]
    assert [e["item"]["type"] for e in done] == ["compaction"]
    body = {"model": "gpt-5.5", "input": [USER], "instructions": ""}
    unary = await peer.post(f"{CODEX}/compact", body)
    assert [item["type"] for item in unary.json["output"]] == ["compaction"]
    simulator.control(base={"compact": "404"})
    assert (await peer.post(f"{CODEX}/compact", body)).status == 404


async def test_the_manifest_has_every_key_and_an_etag(simulator, peer):
    """A known tag gets 304; a request without version is noted."""
    path = "/backend-api/codex/models?client_version=0.146.0"
    answer = await peer.get(path)
    models = answer.json["models"]
    assert {len(model) for model in models} == {MANIFEST_KEYS}
    assert "gpt-5.6-sol" in {model["slug"] for model in models}
    again = await peer.get(path, {"if-none-match": answer.header("etag")})
    assert (again.status, again.body) == (304, b"")
    assert not simulator.world.ledger.violations
    await peer.get("/backend-api/codex/models")
    assert simulator.world.ledger.violations


async def test_unknown_routes_and_methods(peer):
    """404 and 405 in the backend's form."""
    assert (await peer.get("/nowhere")).status == 404
    assert (await peer.post("/backend-api/wham/usage", {})).status == 405
