"""Tests of app.cli.settings."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from app.admin.meanings import field_meanings
from app.domain.runtime import RuntimeSettings
from app.settings import Settings
from app.store.store import Store

DEFAULTS = msgspec.to_builtins(RuntimeSettings())


def test_defaults_are_shown_with_what_they_take(run, answer) -> None:
    """For people every line that they need to choose, for scripts the plain document."""
    assert answer("settings", "show") == DEFAULTS
    lines = run("settings", "show").stdout.splitlines()
    assert "strategy=balanced" in lines
    assert "pause_at=1" in lines
    assert "    Takes a number above 0 and up to 1." in lines
    assert "    Takes a number from 60 to 86400." in lines
    assert "    Takes a whole number from 1 to 10." in lines
    assert any(line.startswith("    Takes one of balanced, round_robin,") for line in lines)
    assert any(line.startswith("    Takes entries NAME.ENTRY=VALUE: a name") for line in lines)


def test_every_setting_says_what_it_means() -> None:
    """One without a sentence under it fails here."""
    meanings = field_meanings(RuntimeSettings)
    assert set(meanings) == set(RuntimeSettings.__struct_fields__)
    assert all(meaning.endswith(".") for meaning in meanings.values())


def test_settings_are_set_and_unset(answer, run) -> None:
    """Maps grow and shrink by entries; everything else keeps its value."""
    chosen = ("strategy=round_robin", "pause_at=0.9", "probe_interval_s=60", "attempts_max=2",
              "group_pause_at.team-a=0.8", "model_aliases.gpt-5.x=gpt-5.5")  # fmt: skip
    wanted = DEFAULTS | {
        "strategy": "round_robin", "pause_at": 0.9, "probe_interval_s": 60.0, "attempts_max": 2,
        "group_pause_at": {"team-a": 0.8}, "model_aliases": {"gpt-5.x": "gpt-5.5"},
    }  # fmt: skip
    assert answer("settings", "set", *chosen) == wanted
    assert answer("settings", "show") == wanted
    shown = run("settings", "set", "model_aliases.fast = gpt-5.5").stdout
    assert shown == "model_aliases.gpt-5.x=gpt-5.5\nmodel_aliases.fast=gpt-5.5\n"
    assert run("settings", "unset", "strategy", "model_aliases.gpt-5.x").stdout == (
        "strategy=balanced\nmodel_aliases.fast=gpt-5.5\n"
    )
    assert run("settings", "unset", "model_aliases").stdout == "model_aliases=\n"
    wanted |= {"strategy": "balanced", "model_aliases": {}}
    assert answer("settings", "show") == wanted
    assert "attempts_max=2    (default: 4)" in run("settings", "show").stdout


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("hope=1", "There is no setting 'hope'; known are strategy, pause_at, group_pause_at,"),
        ("pause_at", "'pause_at' is not NAME=VALUE."),
        ("pause_at=1.5", "pause_at takes a number above 0 and up to 1, not '1.5'."),
        ("pause_at=nan", "pause_at takes a number above 0 and up to 1, not 'nan'."),
        ("attempts_max=1.5", "attempts_max takes a whole number from 1 to 10, not '1.5'."),
        ("strategy=least_busy", "strategy takes one of balanced, round_robin, least_used,"),
        ("strategy.x=balanced", "strategy is no map: give strategy=VALUE."),
        ("group_pause_at=0.9", "group_pause_at is a map: give group_pause_at.ENTRY=VALUE."),
        ("group_pause_at.=0.9", "group_pause_at is a map: give group_pause_at.ENTRY=VALUE."),
        ("group_pause_at.a,b=0.9", "group_pause_at.a,b: 'a,b' has a comma"),
        ("group_pause_at.a=2", "group_pause_at.a takes a number above 0 and up to 1, not '2'."),
        ("model_aliases.a=", "model_aliases.a takes a name of 1 to 128 characters, not ''."),
        ("prices=1", "prices is a map: give prices.ENTRY=VALUE."),
        ("prices.gpt-9=1", "prices.gpt-9: Expected `object`, got `int`; it takes a JSON object of"),
        ("prices.gpt-9={", "prices.gpt-9: Input data was truncated; it takes a JSON object of"),
        ('prices.gpt-9={"input_usd_per_mtok":1}', "missing required field `output_usd_per_mtok`"),
        (
            'prices.gpt-9={"input_usd_per_mtok":-1,"output_usd_per_mtok":1}',
            "Expected `float` >= 0.0 - at `$.input_usd_per_mtok`",
        ),
        (
            'prices.gpt-9={"input_usd_per_mtok":1,"output_usd_per_mtok":1e6}',
            "Expected `float` <= 100000.0 - at `$.output_usd_per_mtok`",
        ),
        (
            'prices.gpt-9={"input_usd_per_mtok":1,"output_usd_per_mtok":1,"cached":0}',
            "prices.gpt-9 has no 'cached'; it takes a JSON object of input_usd_per_mtok,",
        ),
        ("on_disconnect=never", "on_disconnect takes one of cancel, finish, not 'never'."),
        (f"model_aliases.{'a' * 129}=x", "The entry's name in model_aliases takes a name of 1 to"),
    ],
)
def test_a_wrong_choice_changes_nothing(run, answer, assignment, told) -> None:
    """The message names the setting and what it takes; the other assignments do not count."""
    result = run("settings", "set", "idle_timeout_s=60", assignment)
    assert result.exit_code == 2
    assert told in result.stderr
    assert answer("settings", "show") == DEFAULTS


def test_a_price_is_set_and_unset(answer, run) -> None:
    """A model's name has dots, and may have a star; what is not said of it is not stored."""
    price = '{"input_usd_per_mtok":1.25,"output_usd_per_mtok":10,"cached_input_usd_per_mtok":0.5}'
    shown = run("settings", "set", f"prices.gpt-5.5={price}", f"prices.gpt-9*={price}").stdout
    assert shown.splitlines()[0].startswith('prices.gpt-5.5={"input_usd_per_mtok":1.25,')
    assert "cache_write" not in shown
    stored = answer("settings", "show")["prices"]
    assert stored["gpt-9*"]["cached_input_usd_per_mtok"] == 0.5
    assert stored["gpt-5.5"] == stored["gpt-9*"]
    run("settings", "unset", "prices.gpt-5.5")
    assert list(answer("settings", "show")["prices"]) == ["gpt-9*"]


def test_what_was_never_there_cannot_be_unset(run) -> None:
    """A typo is no success."""
    result = run("settings", "unset", "group_pause_at.nobody")
    assert (result.exit_code, result.stderr) == (
        1, "Error: group_pause_at has no entry 'nobody'.\n"
    )  # fmt: skip
    assert run("settings", "unset", "hope").exit_code == 2


def test_a_map_has_a_bound(run, answer) -> None:
    """Every entry lives in memory."""
    many = [f"model_aliases.a{n}=x" for n in range(1_001)]
    assert len(answer("settings", "set", *many[:1_000])["model_aliases"]) == 1_000
    result = run("settings", "set", many[-1])
    assert result.exit_code == 2
    assert "Too many entries" in result.stderr


def test_a_running_gateway_hears_of_a_change(answer, env) -> None:
    """The revision that it polls grows."""

    async def revision() -> int:
        async with Store.open(Settings(data_dir=Path(env["CODEX_DATA_DIR"]))) as store:
            return await store.revision()

    before = asyncio.run(revision())
    answer("settings", "set", "pause_at=0.9")
    assert asyncio.run(revision()) == before + 1
