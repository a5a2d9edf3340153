"""Tests of app.cli.keys."""

import asyncio
import re
import time

import pytest

from app.settings import Settings
from app.store.store import Store


def test_a_key_is_printed_once(run, answer) -> None:
    """Creating prints the key and nothing else; listing shows its end only."""
    key = run("keys", "create", "--name", "k").stdout.strip()
    assert re.fullmatch(r"sk-c2a-[0-9a-f]{10}-[\w-]{43}", key)
    listed = run("keys", "list").stdout
    assert f"...{key[-4:]}" in listed
    assert key not in listed
    assert answer("keys", "list")[0]["tail"] == key[-4:]


def test_a_running_gateway_knows_a_new_key_when_the_command_ends(run, env, monkeypatch) -> None:
    """Whoever uses it in the next line of a script is let in; without a gateway nobody waits."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    run("keys", "create", "--name", "before")
    assert waits == []

    async def beside_a_gateway() -> None:
        async with Store.open(Settings.from_env(env)) as store:
            await store.revision()
            await asyncio.to_thread(run, "keys", "create", "--name", "beside")

    asyncio.run(beside_a_gateway())
    assert waits == [pytest.approx(1.5)]


def test_a_key_of_ones_own_comes_from_stdin(run, answer) -> None:
    """It has no format, but a form: what is wrong is told in a sentence."""
    made = answer("keys", "create", "--name", "k", "--key", "-", text="my-own-key\n")
    assert made["key"] == "my-own-key"
    result = run("keys", "create", "--name", "k", "--key", "-", text="x")
    assert (result.exit_code, result.stderr.split(":")[0]) == (1, "Error")


def test_a_key_is_bound_to_models_and_days(run, answer) -> None:
    """Both show in the list."""
    answer("keys", "create", "--name", "k", "--model", "a", "--model", "b", "--days", "1")
    (key,) = answer("keys", "list")
    assert key["models"] == ["a", "b"]
    assert key["expires_at"] - key["created_at"] == 86_400
    assert re.search(r"until \d{4}-\d\d-\d\d  a,b", run("keys", "list").stdout)


def test_a_revoked_key_is_gone(run, answer) -> None:
    """It is listed on request only, and revoking again says that there is nothing to do."""
    made = answer("keys", "create", "--name", "k")
    assert answer("keys", "revoke", made["id"]) == {"id": made["id"], "revoked": True}
    assert run("keys", "list").stdout == "No keys.\n"
    assert "revoked" in run("keys", "list", "--revoked").stdout
    assert run("keys", "revoke", made["id"]).exit_code == 1


def test_a_key_is_bound_to_groups_and_tags(answer, run) -> None:
    """They are chosen when it is made and changed later; '' and never take away."""
    made = answer("keys", "create", "--name", "k", "--group", "b", "--group", "a", "--tag", "eu",
                  "--model", "m", "--expires", "2100-01-01")  # fmt: skip
    assert (made["groups"], made["tags"], made["models"]) == (["a", "b"], ["eu"], ["m"])
    assert made["expires_at"] == 4_102_444_800
    assert re.search(r"until 2100-01-01  m +a,b +eu +none", run("keys", "list").stdout)
    changed = answer("keys", "set", "k", "--group", "c", "--expires", "never", "--name", "new")
    assert (changed["groups"], changed["tags"], changed["expires_at"]) == (["c"], ["eu"], None)
    said = run("keys", "set", made["id"], "--group", "", "--tag", "", "--model", "", "--disable")
    assert said.stdout == f"Changed enabled, models, groups, tags of new ({made['id']}).\n"
    (listed,) = answer("keys", "list")
    assert (listed["groups"], listed["tags"], listed["models"]) == ([], [], [])
    assert (listed["name"], listed["enabled"]) == ("new", False)
    assert answer("keys", "set", "new", "--enable")["enabled"]


LIMITS = ("--requests-per-minute", "60", "--tokens-per-minute", "9000", "--concurrency", "5",
          "--day-budget", "12.5", "--month-budget", "$100", "--endpoint", "responses",
          "--endpoint", "chat", "--network", "192.0.2.7", "--network", "10.1.2.3/8")  # fmt: skip
LIMITED = {
    "requests_per_minute": 60, "tokens_per_minute": 9_000, "concurrency_max": 5,
    "day_budget_usd": 12.5, "month_budget_usd": 100.0, "endpoints": ["chat", "responses"],
    "networks": ["10.0.0.0/8", "192.0.2.7/32"],
}  # fmt: skip
FREE = dict.fromkeys(LIMITED, None) | {"endpoints": [], "networks": []}


@pytest.mark.parametrize("nothing", ["", "none"])
def test_a_key_has_limits(answer, run, nothing) -> None:
    """Chosen when it is made or later, shown in the list, and taken away by saying so."""
    made = answer("keys", "create", "--name", "k", *LIMITS)
    plain = answer("keys", "create", "--name", "plain")
    assert made | LIMITED == made
    assert plain | FREE == plain
    listed = run("keys", "list").stdout
    assert re.search(
        r"60/min, 9000 tokens/min, 5 at a time, \$12.5/day, \$100/month +chat,responses +"
        r"10\.0\.0\.0/8,192\.0\.2\.7/32\n", listed,
    )  # fmt: skip
    assert re.search(r"none +all +any\n", listed)
    changed = answer("keys", "set", "plain", *LIMITS)
    assert changed | LIMITED == changed
    off = [word if word.startswith("--") else nothing for word in LIMITS]
    del off[12:14], off[-2:]
    changed = answer("keys", "set", "k", *off)
    assert changed | FREE == changed
    kept = answer("keys", "set", "plain", "--day-budget", "0.000001")
    assert kept | LIMITED | {"day_budget_usd": 1e-6} == kept


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--requests-per-minute", "0", "'0' is no whole number from 1 to"),
        ("--requests-per-minute", "-5", "'-5' is no whole number from 1 to"),
        ("--tokens-per-minute", "1e6", "'1e6' is no whole number from 1 to"),
        ("--tokens-per-minute", "9" * 5_000, "is no whole number from 1 to"),
        ("--concurrency", "many", "'many' is no whole number from 1 to"),
        ("--day-budget", "-1", "'-1' is no amount from 0 to 1000000 dollars"),
        ("--month-budget", "1000001", "is no amount from 0 to 1000000 dollars"),
        ("--month-budget", "nan", "'nan' is no amount from 0 to"),
        ("--month-budget", "ten", "'ten' is no amount of dollars such as 12.50"),
        ("--endpoint", "telepathy", "'--endpoint': 'telepathy' is none of chat, "),
        ("--network", "10.0.0.0/40", "'--network': '10.0.0.0/40' is no address and no network"),
        ("--network", "example.org", "'--network': 'example.org' is no address"),
    ],
)
def test_a_wrong_limit_is_refused(run, answer, option, value, told) -> None:
    """The message names the option and what it takes, and nothing is made or changed."""
    answer("keys", "create", "--name", "k", "--day-budget", "1")
    before = answer("keys", "list")
    for args in (("create", "--name", "n"), ("set", "k")):
        result = run("keys", *args, f"{option}={value}")
        assert result.exit_code == 2
        assert option in result.stderr
        assert told in result.stderr
    assert answer("keys", "list") == before


@pytest.mark.parametrize(
    ("args", "status", "told"),
    [
        (("set", "k"), 2, "Say what to change"),
        (("set", "nobody", "--disable"), 1, "No key has the id or name 'nobody'."),
        (("set", "k", "--expires", "2020-01-01"), 2, "that moment has passed"),
        (("set", "k", "--group", "a,b"), 2, "'--group': 'a,b' has a comma"),
        (("set", "k", "--name", ""), 2, "'--name': a name has 1 to 200"),
        (("create", "--name", "n", "--days", "1", "--expires", "never"), 2, "not both"),
        (("create", "--name", " "), 2, "'--name': a name has 1 to 200"),
    ],
)
def test_a_key_with_a_wrong_setting_stays_as_it_is(run, answer, args, status, told) -> None:
    """The message names the option."""
    answer("keys", "create", "--name", "k")
    before = answer("keys", "list")
    result = run("keys", *args)
    assert result.exit_code == status
    assert told in result.stderr
    assert answer("keys", "list") == before


def test_a_revoked_key_is_not_changed(run, answer) -> None:
    """It is gone for good."""
    made = answer("keys", "create", "--name", "k")
    answer("keys", "revoke", made["id"])
    assert run("keys", "set", made["id"], "--enable").exit_code == 1
