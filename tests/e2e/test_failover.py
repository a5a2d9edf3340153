"""What goes wrong upstream, and what of it the caller notices: nothing before content comes."""

import httpx
import pytest

from tests.e2e.asking import chat, failing_once, hear, prompt, question
from tests.e2e.programs import API_KEY, OTHER_API_KEY, until

CODEX = "/backend-api/codex/responses"
PUBLIC = "/v1/responses"
CHAT = "/v1/chat/completions"
CONTENT_EVENTS = 10
"""After so many events there is content: two private ones, four of the prelude, some deltas."""

UNSEEN = {
    "a usage limit": {"fault": "429_usage_limit"},
    "a usage limit that names no time": {"fault": "429_usage_limit_bare"},
    "a burst limit": {"fault": "429_rate_limit"},
    "a plan without the right": {"fault": "429_usage_not_included"},
    "a model at capacity": {"fault": "capacity_400"},
    "an error of the server": {"fault": "500"},
    "a gateway's page": {"fault": "502_html"},
    "an overload": {"fault": "503_overloaded"},
    "an overload by another name": {"fault": "529"},
    "a timeout": {"fault": "504"},
    "a challenge": {"fault": "403_cloudflare"},
    "a refused credential": {"fault": "401_expired"},
    "a credential without a scope": {"fault": "401_missing_scope"},
    "a workspace that is gone": {"fault": "402_deactivated"},
    "a path that is gone": {"fault": "404"},
    "a model this plan lacks": {"fault": "model_unsupported"},
    "a redirect": {"fault": "307_redirect"},
    "an empty body": {"fault": "empty_200"},
    "a page instead of a stream": {"fault": "html_200"},
    "a page that says it is a stream": {"fault": "html_sse_200"},
    "an error in JSON under 200": {"fault": "json_error_200"},
    "an overload inside the stream": {
        "terminal": "failed:server_is_overloaded",
        "terminal_at": "prelude",
    },
    "an error event inside the stream": {
        "terminal": "error:server_is_overloaded",
        "terminal_at": "prelude",
    },
    "an error event in its nested form": {
        "terminal": "error_nested:rate_limit_exceeded",
        "terminal_at": "prelude",
    },
    "both forms of an error": {
        "terminal": "error_failed:server_is_overloaded",
        "terminal_at": "prelude",
    },
    "no reply": {"break_before_head": "fin"},
    "a reset instead of a reply": {"break_before_head": "rst"},
    "a cut after the head": {"cut_after_events": 0},
    "a cut inside the head": {"cut_at_wire_byte": 40},
    "a cut in the prelude": {"cut_after_events": 4},
    "a reset in the prelude": {"cut_after_events": 4, "cut_mode": "rst"},
    "a proper end in the prelude": {"cut_after_events": 4, "cut_mode": "eof"},
    "a bad chunk": {"framing": "bad_chunk"},
}


@pytest.mark.parametrize("fault", UNSEEN.values(), ids=UNSEEN)
@pytest.mark.parametrize("path", [PUBLIC, CHAT])
def test_a_failure_before_content_is_not_seen(gateway, simulator, path, fault) -> None:
    """The first attempt fails, another one answers, and the caller hears only that."""
    make = chat if path == CHAT else question
    heard = hear(gateway.client, path, make(failing_once(fault)))
    assert (heard.status, "here we are" in heard.text) == (200, True), heard.raw[:500]
    records = simulator.wait_for_records(2)
    assert records[1]["terminal"] == "completed"


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "429_usage_limit"},
        {"break_before_head": "rst"},
        {"cut_after_events": CONTENT_EVENTS, "deltas": 30},
        {"cut_after_events": CONTENT_EVENTS, "cut_mode": "eof", "deltas": 30},
        {"terminal": "failed:server_is_overloaded", "terminal_at": "content"},
    ],
    ids=["limit", "reset", "cut in content", "end in content", "failure in content"],
)
@pytest.mark.parametrize("path", [PUBLIC, CHAT])
def test_without_a_stream_even_a_late_failure_is_not_seen(gateway, simulator, path, fault) -> None:
    """Nothing has gone out, so a reply that breaks off in the middle is asked for again."""
    make = chat if path == CHAT else question
    body = make(failing_once(fault), stream=False)
    answer = gateway.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert "here we are" in answer.text
    simulator.wait_for_records(2)


CUTS = {
    "FIN": {"cut_after_events": CONTENT_EVENTS},
    "RST": {"cut_after_events": CONTENT_EVENTS, "cut_mode": "rst"},
    "a proper end of HTTP": {"cut_after_events": CONTENT_EVENTS, "cut_mode": "eof"},
    "no terminal event": {"terminal": "none"},
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("path", [PUBLIC, CODEX])
def test_a_responses_stream_that_breaks_says_so(gateway, simulator, path, cut) -> None:
    """After content the last event is a `response.failed`, numbered as the next one."""
    heard = hear(gateway.client, path, question(prompt(deltas=30, **cut)))
    last = heard.events[-1]
    assert (heard.status, last["type"]) == (200, "response.failed")
    assert last["response"]["error"]["code"] == "stream_incomplete"
    numbers = [event["sequence_number"] for event in heard.events if "sequence_number" in event]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert "response.completed" not in heard.types
    simulator.wait_for_records(1)


@pytest.mark.parametrize("path", [PUBLIC, CODEX])
def test_a_responses_stream_that_breaks_ends_under_its_own_id(gateway, path) -> None:
    """The `response.failed` has the id that `response.created` gave."""
    heard = hear(gateway.client, path, question(prompt(deltas=30, **CUTS["FIN"])))
    created = next(event for event in heard.events if event["type"] == "response.created")
    assert heard.events[-1]["response"]["id"] == created["response"]["id"]


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_a_chat_stream_that_breaks_says_so(gateway, simulator, cut) -> None:
    """The last thing is an error chunk; no `[DONE]` follows it."""
    heard = hear(gateway.client, CHAT, chat(prompt(deltas=30, **cut)))
    assert "[DONE]" not in heard.payloads
    assert heard.events[-1]["error"]["code"] == "stream_incomplete"
    assert not any(
        choice.get("finish_reason") for event in heard.events for choice in event.get("choices", ())
    )
    simulator.wait_for_records(1)


@pytest.mark.parametrize("path", [PUBLIC, CHAT])
def test_a_failure_that_the_upstream_tells_of_after_content_is_passed_on(
    gateway, simulator, path
) -> None:
    """Its own terminal event is the last one on Responses; chat has an error chunk."""
    knobs = {"terminal": "failed:server_error", "terminal_at": "content", "deltas": 10}
    make = chat if path == CHAT else question
    heard = hear(gateway.client, path, make(prompt(**knobs)))
    if path == CHAT:
        assert "error" in heard.events[-1]
        assert "[DONE]" not in heard.payloads
    else:
        assert heard.types[-1] == "response.failed"
    simulator.wait_for_records(1)


@pytest.mark.parametrize("path", [PUBLIC, CHAT, CODEX])
def test_a_caller_that_leaves_ends_the_upstreams_work(gateway, simulator, path) -> None:
    """The upstream sees the connection go, and no lease stays out."""
    make = chat if path == CHAT else question
    body = make(prompt(deltas=2_000, events_per_s=50))
    with gateway.client.stream("POST", path, json=body) as answer:
        pieces = answer.iter_raw()
        assert next(pieces)
        assert gateway.metrics()["codex2api_leases"] == 1.0
    [record] = simulator.wait_for_records(1)
    assert record["client_disconnected"]
    assert record["events"] < 2_000
    gateway.settled()


@pytest.mark.parametrize("stream", [True, False])
def test_a_caller_that_leaves_before_the_first_event_does_too(gateway, simulator, stream) -> None:
    """Also while nothing has come yet, and also if it did not ask for a stream."""
    body = question(prompt(ttft_ms=60_000), stream=stream)
    with pytest.raises(httpx.ReadTimeout):
        gateway.client.post(PUBLIC, json=body, timeout=0.5)
    [record] = simulator.wait_for_records(1)
    assert record["client_disconnected"]
    gateway.settled()


def test_a_refused_credential_is_renewed_once_for_all(start) -> None:
    """Calls that are refused together wait for one renewal and are then answered."""
    pair = start(accounts=1)
    pair.simulator.control(account_state={"acct-1": {"expire_access": True}})
    bodies = [question(prompt("echo: renewed")) for _ in range(3)]
    for body in bodies:
        heard = hear(pair.gateway.client, PUBLIC, body)
        assert "renewed" in heard.text, heard.raw
    assert pair.simulator.see("state")["accounts"]["acct-1"]["refreshes"] == 1
    assert pair.simulator.records[0]["status"] == 401


def test_the_request_itself_is_at_fault_only_once(gateway, simulator) -> None:
    """A refusal of the request is the caller's answer; nobody else is bothered with it."""
    answer = gateway.client.post(PUBLIC, json=question(prompt(fault="context_length")))
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    assert answer.json()["error"]["param"] == "input"
    simulator.wait_for_records(1)


def _reasoned(gateway, session: str, key: str = API_KEY) -> list[dict]:
    """Have a first turn with reasoning; return its output items."""
    body = question(
        prompt("echo: first turn", reasoning="on"), include=["reasoning.encrypted_content"]
    )
    headers = {"session-id": session, "authorization": f"Bearer {key}"}
    heard = hear(gateway.client, PUBLIC, body, headers=headers)
    output = heard.events[-1]["response"]["output"]
    assert output[0]["type"] == "reasoning"
    assert output[0]["encrypted_content"]
    return output


def test_a_session_stays_with_its_account(gateway, simulator) -> None:
    """All turns of a session, with what they reasoned, go to the account of the first."""
    output = _reasoned(gateway, "session-that-stays")
    for turn in range(6):
        again = question(prompt(f"echo: turn {turn}"))
        again["input"] = [*output, *again["input"]]
        heard = hear(gateway.client, PUBLIC, again, headers={"session-id": "session-that-stays"})
        assert heard.status == 200
    records = simulator.wait_for_records(7)
    assert len({record["account"] for record in records}) == 1
    assert {record["fault"] for record in records} == {None}


def test_encrypted_content_finds_its_account_without_a_session(gateway, simulator) -> None:
    """The item itself names its owner to the gateway, so nothing is refused."""
    output = _reasoned(gateway, "session-of-one-turn")
    for turn in range(6):
        again = question(prompt(f"echo: turn {turn}"))
        again["input"] = [*output, *again["input"]]
        assert hear(gateway.client, PUBLIC, again).status == 200
    records = simulator.wait_for_records(7)
    assert len({record["account"] for record in records}) == 1


def test_encrypted_content_from_elsewhere_is_never_shown(start) -> None:
    """Its account is gone for a while: another one answers without it, at the first try."""
    pair = start(accounts=2)
    output = _reasoned(pair.gateway, "session-that-moves")
    [first] = pair.simulator.wait_for_records(1)
    pair.simulator.control(accounts={first["account"]: {"fault": "429_usage_limit"}})
    again = question(prompt("echo: second turn"))
    again["input"] = [*output, *again["input"]]
    headers = {"session-id": "session-that-moves"}
    heard = hear(pair.gateway.client, PUBLIC, again, headers=headers)
    assert "second turn" in heard.text, heard.raw
    records = pair.simulator.wait_for_records(3)
    assert [record["status"] for record in records] == [200, 429, 200]
    assert records[2]["account"] != first["account"]


def test_encrypted_content_that_nobody_knows_is_stripped_once(start) -> None:
    """The gateway has forgotten whose it is: who refuses it then answers without it."""
    pair = start(accounts=1)
    output = _reasoned(pair.gateway, "session-of-long-ago")
    output[0]["encrypted_content"] = output[0]["encrypted_content"][:-8] + "unknown"
    again = question(prompt("echo: second turn"))
    again["input"] = [*output, *again["input"]]
    heard = hear(pair.gateway.client, PUBLIC, again)
    assert "second turn" in heard.text, heard.raw
    records = pair.simulator.wait_for_records(3)
    assert [record["status"] for record in records] == [200, 400, 200]
    [violation] = pair.simulator.violations
    assert violation["kind"] == "foreign_encrypted_content"
    pair.simulator.mark()


def test_turn_state_never_crosses_accounts(start) -> None:
    """The sticky token of one account is not shown to the other one."""
    pair = start(accounts=2)
    heard = hear(pair.gateway.client, CODEX, question(prompt("echo: one")))
    state = heard.headers["x-codex-turn-state"]
    [first] = pair.simulator.wait_for_records(1)
    pair.simulator.control(accounts={first["account"]: {"fault": "429_usage_limit"}})
    body = question(prompt("echo: two"))
    heard = hear(pair.gateway.client, CODEX, body, headers={"x-codex-turn-state": state})
    assert "two" in heard.text


def test_tenants_never_share_a_session(start) -> None:
    """Two callers who choose the same session id and cache key do not meet upstream."""
    pair = start(accounts=1)
    for tenant, key in (("a", API_KEY), ("b", OTHER_API_KEY)):
        heard = hear(
            pair.gateway.client,
            PUBLIC,
            question(prompt("hello", tenant=tenant), prompt_cache_key="the-same"),
            headers={"session-id": "the-same", "authorization": f"Bearer {key}"},
        )
        assert heard.status == 200
    violations = pair.simulator.violations
    pair.simulator.mark()
    assert violations == []


@pytest.mark.parametrize("stream", [True, False])
def test_a_pool_at_its_limit_says_when_to_come_back(start, stream) -> None:
    """Every account is limited: 429 with the earliest reset, and no attempt after that."""
    pair = start(accounts=2)
    pair.simulator.control(base={"fault": "429_usage_limit", "resets_in_s": 1_000})
    for path in (PUBLIC, CHAT, CODEX, PUBLIC):
        make = chat if path == CHAT else question
        answer = pair.gateway.client.post(path, json=make(prompt(), stream=stream))
        assert answer.status_code == 429, answer.text
        error = answer.json()["error"]
        assert error["code"] == "usage_limit_reached"
        assert error["resets_at"] > 0
        assert 900 < int(answer.headers["retry-after"]) <= 1_100
        assert answer.headers["x-should-retry"] == "false"
        assert answer.headers["x-codex2api-reason"] == "usage_limit_reached"
    pair.simulator.wait_for_records(2)


def test_a_limited_account_is_left_alone_until_its_reset(start) -> None:
    """The other one serves; after the reset the first one serves again."""
    pair = start(accounts=2)
    pair.simulator.control(
        rules=[{"set": {"fault": "429_usage_limit", "resets_in_s": 2}, "account": "acct-1"}]
    )
    for turn in range(6):
        heard = hear(pair.gateway.client, PUBLIC, question(prompt(f"echo: turn {turn}")))
        assert heard.status == 200
    limited = [record for record in pair.simulator.records if record["status"] == 429]
    assert len(limited) == 1
    pair.simulator.control(rules=[])

    def served_again() -> bool:
        hear(pair.gateway.client, PUBLIC, question(prompt("echo: again")))
        last = pair.simulator.records[-1]
        return (last["account"], last["status"]) == ("acct-1", 200)

    until(served_again, "the limited account serves again")
