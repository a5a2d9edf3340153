"""`codex2api pool simulate` answers in a table and a plot, or in JSON, from plans and the store."""

import msgspec
import pytest

PLAN = """
hours = 2
[[accounts]]
count = 2
concurrency_max = 4
windows = [{ minutes = 60, tokens = 200000 }]
[load]
calls_per_minute = 2
"""


@pytest.fixture
def plan(tmp_path):
    """A file with a small plan."""
    file = tmp_path / "plan.toml"
    file.write_text(PLAN)
    return str(file)


def found(result):
    """Return the document that a command answered."""
    assert result.exit_code == 0, result.output
    return msgspec.json.decode(result.stdout)


def test_a_plan_is_played_with_every_strategy(run, plan):
    """The table has a line for each, the plot too, and the last line says which is best."""
    result = run("pool", "simulate", plan)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("2 accounts, ")
    assert "in 2 hours, seed 0." in lines[0]
    for strategy in ("balanced", "round_robin", "least_used", "remaining_quota", "fill_first"):
        assert sum(line.startswith(strategy) for line in lines) >= 3
    assert "usage_limit_reached" in result.stdout
    assert "Quota used" in result.stdout
    assert "Calls refused" in result.stdout
    assert lines[-1].startswith("Best: ")
    assert "calls are refused for the limits from" in lines[-1]
    assert max(len(line) for line in lines) <= 100
    assert "Simulating" in result.stderr


def test_the_same_seed_answers_the_same(run, plan):
    """In JSON everything stands that the table has; another seed draws another load."""
    first = run("pool", "simulate", plan, "--json", "--strategy", "balanced")
    assert first.stdout == run("pool", "simulate", plan, "--json", "--strategy", "balanced").stdout
    other = run("pool", "simulate", plan, "--json", "--strategy", "balanced", "--seed", "5")
    (one,), (two,) = found(first)["results"], found(other)["results"]
    assert one["strategy"] == "balanced"
    assert one["digest"] != two["digest"]
    assert one["calls"] == one["served"] + one["broken"] + one["left"] + sum(
        one["refused"].values()
    )
    assert one["exhausted_at_hour"] is not None
    assert found(other)["plan"]["seed"] == 5
    assert first.stderr == ""


def test_options_make_a_plan(run):
    """What the accounts may spend is assumed then, and the answer says so."""
    args = (
        "--accounts",
        "3",
        "--calls-per-minute",
        "1",
        "--hours",
        "1",
        "--strategy",
        "fill_first",
    )
    document = found(run("pool", "simulate", *args, "--account-plan", "pro", "--json"))
    assert document["plan"]["accounts"][0]["count"] == 3
    assert document["plan"]["accounts"][0]["plan"] == "pro"
    assert document["plan"]["load"]["calls_per_minute"] == 1.0
    assert document["assumed_quota_of_plans"] == ["pro"]
    assert document["best"] == "fill_first"
    text = run("pool", "simulate", *args).stdout
    assert "What accounts of these plans may spend is assumed: plus;" in text
    assert "no call is refused because every account is at its limit" in text
    assert "all the time" in text
    assert "Calls refused" not in text


def test_without_a_plan_the_accounts_of_the_store_are_played(run):
    """Equal ones together."""
    for number in range(3):
        added = run(
            "accounts", "add", "--name", f"k{number}", "--api-key", "-", text=f"sk-{number}"
        )
        assert added.exit_code == 0, added.output
    args = ("--calls-per-minute", "1", "--hours", "1", "--strategy", "balanced", "--json")
    document = found(run("pool", "simulate", *args))
    assert [batch["count"] for batch in document["plan"]["accounts"]] == [3]
    assert document["assumed_quota_of_plans"] == ["unknown"]


def test_a_store_without_accounts_is_told(run):
    """There is nothing to play."""
    result = run("pool", "simulate")
    assert result.exit_code == 1
    assert "give --accounts or a PLAN" in result.stderr


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (("--accounts", "2", "--hours", "0"), 1, "hours: Expected `float` > 0"),
        (("--accounts", "2", "--calls-per-minute", "0"), 1, "load.calls_per_minute: Expected"),
        (("--accounts", "0"), 2, "--accounts"),
        (("--accounts", "2", "--strategy", "best"), 2, "--strategy"),
        (("-", "--accounts", "2"), 2, "Give a PLAN or --accounts, not both."),
    ],
)
def test_a_wrong_option_is_told(run, args, status, words):
    """With its name and what was expected."""
    result = run("pool", "simulate", *args, text="")
    assert result.exit_code == status
    assert words in result.stderr


def test_a_wrong_plan_is_told_with_its_field(run):
    """It may come from stdin."""
    result = run("pool", "simulate", "-", text="[[accounts]]\ncount = -1\n")
    assert result.exit_code == 1
    assert "accounts[0].count: Expected `int` >= 1" in result.stderr


def test_a_broken_rule_is_told_as_a_defect(run, monkeypatch):
    """Somebody should hear of it, with what it takes to see it again."""

    def shrink(self):
        return self.account.concurrency_max + 3

    monkeypatch.setattr("app.pool.state.AccountState.cap", property(shrink))
    busy = PLAN.replace("calls_per_minute = 2", "calls_per_minute = 200")
    result = run("pool", "simulate", "-", "--seed", "3", text=busy)
    assert result.exit_code == 1
    assert "The pool broke a rule of its own, which is a defect: I7" in result.stderr
    assert "the seed 3" in result.stderr
