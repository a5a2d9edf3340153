"""Limits of callers' keys over real sockets: the official client meets them, and money is exact.

The simulator tells what each call has used, so its ledger says what a key has truly spent.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.asking import prompt, question
from tests.e2e.programs import MODEL, Gateway, Pair, until

INPUT, OUTPUT = 100, 50
USED = {"input_tokens": INPUT, "output_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
NUSD_OF_ONE = INPUT * 5_000 + OUTPUT * 30_000
"""What a call of that size costs: 5 dollars for a million tokens in, 30 for a million out."""
AT_ONCE = 32


@pytest.fixture
def served(start: Callable[..., Pair]) -> Pair:
    """A pair whose upstream counts the same tokens for every call."""
    return start(accounts=4, knobs={"usage": USED})


def key(gateway: Gateway, *options: str) -> str:
    """Make a key with such limits and wait until it opens the running gateway."""
    made = gateway.command("keys", "create", "--name", "limited", *options)["key"]
    bearer = {"authorization": f"Bearer {made}"}

    def known() -> bool:
        return httpx.get(f"{gateway.url}/v1/models", headers=bearer).status_code == 200

    until(known, "the gateway knows the new key")
    return made


def client(gateway: Gateway, api_key: str, *, max_retries: int = 0) -> openai.OpenAI:
    """Return the official client with this key."""
    return openai.OpenAI(api_key=api_key, base_url=f"{gateway.url}/v1", max_retries=max_retries)


def ask(sdk: openai.OpenAI, text: str = "echo: hello", **options: Any) -> Any:
    """Ask something that was never asked before; return the raw answer."""
    return sdk.responses.with_raw_response.create(model=MODEL, input=prompt(text), **options)


def test_so_many_calls_a_minute(served: Pair) -> None:
    """Every answer says what is left; the one too many when to come back, and costs nothing."""
    api_key = key(served.gateway, "--requests-per-minute", "3", "--tokens-per-minute", "100000")
    with client(served.gateway, api_key) as sdk:
        for left in ("2", "1", "0"):
            headers = ask(sdk).headers
            assert headers["x-ratelimit-remaining-requests"] == left
            assert headers["x-ratelimit-limit-requests"] == "3"
            assert headers["x-ratelimit-limit-tokens"] == "100000"
        with pytest.raises(openai.RateLimitError) as refused:
            ask(sdk)
    answer, error = refused.value.response, refused.value
    assert (error.code, error.type) == ("rate_limit_exceeded", "requests")
    assert 15 <= int(answer.headers["retry-after"]) <= 20
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    assert answer.headers["x-codex2api-reason"] == "rate_limit_exceeded"
    assert len(served.simulator.records) == 3


def test_the_client_comes_back_by_itself(served: Pair) -> None:
    """It reads `Retry-After`, waits that long, and is let in: nobody is locked out for asking."""
    api_key = key(served.gateway, "--requests-per-minute", "60")
    with client(served.gateway, api_key, max_retries=5) as sdk, ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: ask(sdk), range(64)))
    assert {answer.status_code for answer in answers} == {200}
    assert any(int(a.http_request.headers["x-stainless-retry-count"]) for a in answers)


def test_so_many_tokens_a_minute(served: Pair) -> None:
    """Set aside by what a call may take, and given back by what it took."""
    api_key = key(served.gateway, "--tokens-per-minute", "10000")
    with client(served.gateway, api_key) as sdk:
        # Each may take some 4,100, and takes 150.
        headers = [ask(sdk).headers for _ in range(8)]
        left = [int(each["x-ratelimit-remaining-tokens"]) for each in headers]
        assert all(3_000 < tokens < 6_500 for tokens in left)
        with pytest.raises(openai.RateLimitError) as refused:
            ask(sdk, max_output_tokens=9_900)
    assert refused.value.type == "tokens"


def test_so_many_calls_at_a_time(served: Pair) -> None:
    """The place is free as soon as the call is over, also if its caller has just left."""
    api_key = key(served.gateway, "--concurrency", "1")
    with client(served.gateway, api_key) as sdk:
        body = question(prompt(deltas=4_000, events_per_s=50))
        headers = {"authorization": f"Bearer {api_key}"}
        with served.gateway.client.stream("POST", "/v1/responses", json=body, headers=headers) as a:
            # Kept: a reader that is dropped closes its stream.
            events = a.iter_raw()
            assert next(events)
            with pytest.raises(openai.RateLimitError) as refused:
                ask(sdk)
            assert refused.value.response.headers["retry-after"] == "1"
        left_at = time.monotonic()

        def free() -> bool:
            try:
                return ask(sdk).status_code == 200
            except openai.RateLimitError:
                return False

        until(free, "the place is free again")
    assert time.monotonic() - left_at < 3.0


def spent_nusd(pair: Pair) -> int:
    """Return what the upstream's own counts cost."""
    pair.simulator.quiet()
    return sum(
        each["tokens"]["input_tokens"] * 5_000 + each["tokens"]["output_tokens"] * 30_000
        for each in pair.simulator.records
        if each["tokens"]
    )


def test_a_storm_on_one_key_stays_within_its_budget(served: Pair) -> None:
    """However many calls come at once: each sets aside more than it costs before it begins."""
    budget_nusd = 20 * NUSD_OF_ONE + 10_000_000
    api_key = key(served.gateway, "--day-budget", f"{budget_nusd / 1e9:.9f}")
    headers = {"authorization": f"Bearer {api_key}"}

    def storm(number: int) -> tuple[int, dict[str, Any]]:
        # What may be written costs 9 millidollars, what is written 1.5: so six at a time at most.
        body = question(prompt("echo: hello"), stream=bool(number % 2), max_output_tokens=300)
        url = f"{served.gateway.url}/v1/responses"
        answer = httpx.post(url, json=body, headers=headers, timeout=30)
        return answer.status_code, answer.json() if answer.status_code == 429 else {}

    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = list(threads.map(storm, range(10 * AT_ONCE)))
    served_calls = [status for status, _ in answers if status == 200]
    assert {status for status, _ in answers} == {200, 429}
    assert {body["error"]["code"] for _, body in answers if body} == {"insufficient_quota"}
    assert spent_nusd(served) == len(served_calls) * NUSD_OF_ONE <= budget_nusd
    assert len(served_calls) >= 20, "money that is there can be spent"


def test_a_budget_outlives_the_gateway(served: Pair) -> None:
    """What was spent before a restart is spent; the refusal says when there is money again."""
    budget_nusd = 2 * NUSD_OF_ONE + 4_000_000
    api_key = key(served.gateway, "--month-budget", f"{budget_nusd / 1e9:.9f}")
    with client(served.gateway, api_key) as sdk:
        for _ in range(2):
            ask(sdk, max_output_tokens=60)
    served.gateway.process.kill()
    served.gateway.wait()
    served.gateway.start()
    with client(served.gateway, api_key) as sdk:
        ask(sdk, max_output_tokens=60)
        with pytest.raises(openai.RateLimitError) as refused:
            ask(sdk, max_output_tokens=60)
    assert refused.value.code == "insufficient_quota"
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert refused.value.body["resets_at"] > time.time()


def test_a_key_is_for_its_endpoints_and_networks(served: Pair) -> None:
    """The connection counts, not what somebody says of himself."""
    chat_only = key(served.gateway, "--endpoint", "chat", "--network", "127.0.0.0/8")
    with client(served.gateway, chat_only) as sdk:
        with pytest.raises(openai.PermissionDeniedError) as refused:
            ask(sdk)
        assert refused.value.code == "endpoint_not_allowed"
        messages = [{"role": "user", "content": prompt("echo: hello")}]
        assert sdk.chat.completions.create(model=MODEL, messages=messages).choices
    made = served.gateway.command("keys", "create", "--name", "afar", "--network", "192.0.2.0/24")
    headers = {"authorization": f"Bearer {made['key']}", "x-forwarded-for": "192.0.2.1"}

    def refusal() -> httpx.Response | None:
        answer = httpx.get(f"{served.gateway.url}/v1/models", headers=headers)
        return answer if answer.status_code == 403 else None

    answer = until(refusal, "the key is known, but not from here")
    assert answer.json()["error"]["code"] == "network_not_allowed"


def metric(pair: Pair, name: str) -> float:
    """Return the sum of a metric's samples."""
    page = pair.gateway.client.get("/metrics").text
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(name))


def test_costs_and_the_journal_are_metrics(served: Pair) -> None:
    """A refusal is a request with its code, what was served has its price, and all is moved on."""
    api_key = key(served.gateway, "--requests-per-minute", "1")
    with client(served.gateway, api_key) as sdk:
        ask(sdk)
        with pytest.raises(openai.RateLimitError):
            ask(sdk)
    assert metric(served, "codex2api_cost_usd_total") == pytest.approx(NUSD_OF_ONE / 1e9)
    assert metric(served, 'codex2api_requests_total{code="rate_limit_exceeded"') == 1.0
    until(lambda: metric(served, "codex2api_journal_depth") == 0, "everything is moved on")
    assert metric(served, "codex2api_journal_age_seconds") == 0
