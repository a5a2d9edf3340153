"""No secret stands where it does not belong: logs, metrics, answers, command lines, files."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.e2e.asking import chat, failing_once, hear, prompt, question
from tests.e2e.programs import API_KEY, OTHER_API_KEY, Gateway, Pair, until

ADMIN = "the-admins-secret-canary-4711"
WRONG = "sk-wrong-canary-0815-0815-0815"
PROMPT = "prompt-canary-of-a-caller"
TROUBLE = ({"fault": "401_expired"}, {"fault": "429_usage_limit"}, {"fault": "503_overloaded"})


def canaries(pair: Pair) -> dict[str, str]:
    """Return what must not be found, by what it is."""
    found = {"key": API_KEY, "other key": OTHER_API_KEY, "admin": ADMIN, "wrong key": WRONG}
    for account in pair.simulator.see("accounts"):
        tokens = ("refresh_token", "access_token", "id_token")
        found |= {f"{account['id']} {name}": account[name] for name in tokens}
    return found | {"prompt": PROMPT}


def command_lines(gateway: Gateway) -> Iterator[bytes]:
    """Yield what `ps` shows of the gateway's processes."""
    pids = [gateway.process.pid]
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            pids += map(int, task.read_text().split())
        yield Path(f"/proc/{pid}/cmdline").read_bytes()


def test_no_secret_is_told(start) -> None:
    """With everything logged, through failures and renewals, and in what lies on the disk."""
    pair: Pair = start(
        accounts=3,
        limits={"retries_min": 1_000_000},
        LOG_LEVEL="debug",
        LOG_FORMAT="json",
        ADMIN_SECRET=ADMIN,
    )
    gateway, client = pair.gateway, pair.gateway.client
    secrets = canaries(pair)
    answers = [hear(client, "/v1/responses", question(prompt(PROMPT)))]
    answers += [hear(client, "/v1/responses", question(failing_once(fault, text=PROMPT)))
                for fault in TROUBLE]  # fmt: skip
    answers.append(hear(client, "/v1/chat/completions", chat(prompt(PROMPT, terminal="none"))))
    with httpx.Client(base_url=gateway.url, headers={"x-api-key": WRONG}) as stranger:
        answers.append(hear(stranger, "/v1/responses", question(PROMPT)))
    metrics = client.get("/metrics").content
    until(lambda: gateway.metrics()["codex2api_journal_depth"] == 0, "all is written down")
    data = gateway.log.parent / "data"
    files = {
        str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()
    }
    places = {"log": gateway.log.read_bytes(), "metrics": metrics} | files
    places |= {f"ps {number}": line for number, line in enumerate(command_lines(gateway))}
    places |= {f"answer {number}": each.raw for number, each in enumerate(answers)}
    heads = [str(each.headers).encode() for each in answers]
    places |= {f"headers {number}": head for number, head in enumerate(heads)}
    told = [
        f"{what} in {where}"
        for what, secret in secrets.items()
        for where, data in places.items()
        if secret.encode() in data and not (what == "prompt" and where.startswith("answer"))
    ]
    assert told == []
    assert answers[-1].status == 401
    lines = [json.loads(line) for line in gateway.printed().splitlines() if line.startswith("{")]
    ids = {line["request_id"] for line in lines if line.get("event") == "call"}
    assert {answer.headers["x-request-id"] for answer in answers} <= ids
    assert not re.search(rb"Traceback", places["log"])
