"""What is written down of calls: the upstream's own figures, or an estimate that says so."""

import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from tests.e2e.asking import chat, hear, prompt, question
from tests.e2e.programs import MODEL, Gateway, Pair, until

DELTAS = 200
SLOWLY = {"deltas": DELTAS, "events_per_s": 100}


def rows(gateway: Gateway, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table, oldest first."""
    file = gateway.log.parent / "data" / "codex2api.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY at")]  # noqa: S608 - a table's name, from here


def written(gateway: Gateway, count: int) -> list[dict[str, Any]]:
    """Return the requests once there are so many."""
    found = until(
        lambda: found if len(found := rows(gateway, "requests")) >= count else None,
        f"{count} requests are in the database",
    )
    assert len(found) == count
    return found


def figures(row: dict[str, Any]) -> dict[str, int]:
    """Return the tokens of a row as the upstream names them."""
    return {"input_tokens": row["input"], "output_tokens": row["output"]}


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/responses", question), ("/v1/chat/completions", chat)]
)
@pytest.mark.parametrize("stream", [True, False])
def test_a_call_is_written_down_with_the_upstreams_figures(start, path, body, stream) -> None:
    """Once, with what it cost and how long each part took."""
    pair: Pair = start(accounts=1)
    asked = body(prompt("echo: hello"), model=f"{MODEL}-high", stream=stream)
    assert hear(pair.gateway.client, path, asked).status == 200
    [record] = pair.simulator.wait_for_records(1)
    [request] = written(pair.gateway, 1)
    [attempt] = rows(pair.gateway, "attempts")
    assert figures(request) == figures(attempt)
    assert figures(request).items() <= record["tokens"].items()
    assert (request["source"], request["status"], request["code"]) == ("upstream", 200, "ok")
    assert (request["asked_model"], request["model"]) == (f"{MODEL}-high", MODEL)
    assert request["cost_nusd"] == attempt["cost_nusd"] > 0
    assert bool(request["stream"]) == stream
    assert (attempt["outcome"], attempt["delivered"]) == ("succeeded", 1)
    if stream:
        assert 0 < request["added_s"] < request["first_event_s"] <= request["seconds"]


@pytest.mark.parametrize(("policy", "source"), [("cancel", "estimated"), ("finish", "upstream")])
def test_a_caller_that_leaves_is_accounted_for(
    start: Callable[..., Pair], policy: str, source: str
) -> None:
    """At once and roughly, or a little later and exactly, as the operator has chosen."""
    pair = start(accounts=1)
    pair.gateway.signal(signal.SIGINT)
    pair.gateway.wait()
    pair.gateway.command("settings", "set", f"on_disconnect={policy}")
    pair.gateway.start()
    body = question(prompt(**SLOWLY))
    with pair.gateway.client.stream("POST", "/v1/responses", json=body) as answer:
        assert next(answer.iter_raw())
    [request] = written(pair.gateway, 1)
    [record] = pair.simulator.wait_for_records(1)
    assert (request["status"], request["code"]) == (499, "caller_left")
    assert request["source"] == source
    assert request["output"] > 0
    assert request["cost_nusd"] > 0
    if policy == "finish":
        assert figures(request).items() <= record["tokens"].items()
    else:
        assert request["output"] < DELTAS
