"""Tests of app.cli.options."""

from datetime import UTC, datetime

import click
import pytest
from click.testing import CliRunner
from msgspec import UNSET

from app.cli.options import (
    Moment,
    Share,
    account_options,
    given,
    if_given,
    key_options,
    name_if_given,
)
from app.domain.enrolment import AccountChanges, KeyChanges


def run(command: click.Command, *args: str) -> str:
    """Run a command that must fail for its usage; return what it said."""
    result = CliRunner().invoke(command, args)
    assert result.exit_code == 2
    return result.stderr


@pytest.fixture
def seen() -> list[object]:
    """What the commands of this file were given."""
    return []


@pytest.fixture
def account(seen) -> click.Command:
    """A command with the options of an account."""

    @click.command()
    @account_options
    def command(*, chosen: AccountChanges) -> None:
        seen.append(chosen)

    return command


@pytest.fixture
def key(seen) -> click.Command:
    """A command with the options of a key, and a name."""

    @click.command()
    @click.option("--name", callback=name_if_given)
    @key_options
    def command(*, name: object, chosen: KeyChanges) -> None:
        seen.append((name, chosen))

    return command


def test_what_was_not_given_stays_unset(account, key, seen) -> None:
    """A command that changes something must not change the rest."""
    CliRunner().invoke(account, [], catch_exceptions=False)
    CliRunner().invoke(key, [], catch_exceptions=False)
    assert seen == [AccountChanges(), (UNSET, KeyChanges())]
    assert given(seen[0]) == {}


def test_everything_that_was_given_is_collected(account, key, seen) -> None:
    """Lists in their one form, shares as numbers, days as moments."""
    args = "--priority -3 --concurrency-max 8 --group b --group a --group b --tag x --pause-at 90%"
    args += " --model m2 --model m1 --model m2"
    CliRunner().invoke(account, args.split(), catch_exceptions=False)
    args = "--name n --model m --group g --tag t --expires 2030-12-31"
    CliRunner().invoke(key, args.split(), catch_exceptions=False)
    end = datetime(2030, 12, 31, tzinfo=UTC).timestamp()
    assert seen == [
        AccountChanges(
            priority=-3, concurrency_max=8, groups=("a", "b"), tags=("x",), pause_at=0.9,
            models=("m2", "m1"),
        ),
        ("n", KeyChanges(models=("m",), groups=("g",), tags=("t",), expires_at=end)),
    ]  # fmt: skip


def test_nothing_takes_a_value_away(account, key, seen) -> None:
    """'' empties a list, and takes a threshold or an end away."""
    args = ["--group", "", "--tag", "", "--model", "", "--pause-at", ""]
    CliRunner().invoke(account, args, catch_exceptions=False)
    CliRunner().invoke(key, ["--expires", "never"], catch_exceptions=False)
    assert seen == [
        AccountChanges(groups=(), tags=(), models=(), pause_at=None),
        (UNSET, KeyChanges(expires_at=None)),
    ]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--group", "a,b"], "Invalid value for '--group': 'a,b' has a comma"),
        (["--group", "a", "--group", " "], "Invalid value for '--group': a name must not be empty"),
        (["--tag", "x" * 65], "Invalid value for '--tag': '"),
        (["--tag", "a\nb"], "can't be shown"),
        (["--model", "m" * 129], "Invalid value for '--model': "),
        (["--model", "a", "--model", ""], "no name of 1 to 128 characters"),
        (["--priority", "high"], "Invalid value for '--priority'"),
        (["--priority", "1000001"], "-1000000<=x<=1000000"),
        (["--concurrency-max", "0"], "1<=x<=10000"),
        *((["--pause-at", wrong], f"'--pause-at': {wrong!r} is no share above 0 and up to 1")
          for wrong in ("0", "1.01", "-1", "90", "0%", "101%", "nan", "x%", "%")),
    ],
)  # fmt: skip
def test_a_wrong_value_names_its_option(account, args, told) -> None:
    """And says what was expected."""
    assert told in run(account, *args)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "n" * 201])
def test_a_name_can_be_shown(key, name) -> None:
    """A list has one line for each."""
    assert "'--name': a name has 1 to 200 characters" in run(key, "--name", name)


@pytest.mark.parametrize("text", ["tomorrow", "2030-13-01", "1800000000000"])
def test_a_wrong_moment_is_a_usage_error(key, text) -> None:
    """With examples of right ones."""
    assert "is no day or time such as 2030-12-31" in run(key, "--expires", text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2030-12-31T18:00", (2030, 12, 31, 18)),
        ("2030-12-31T18:00Z", (2030, 12, 31, 18)),
        ("2030-12-31 18:00+02:00", (2030, 12, 31, 16)),
        ("2030-12-31", (2030, 12, 31)),
    ],
)
def test_a_moment_is_utc_unless_it_says_otherwise(text, at) -> None:
    """Servers and operators sit in different zones."""
    assert Moment().convert(text, None, None) == datetime(*at, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "share"), [("1", 1.0), ("100%", 1.0), (" 0.5 ", 0.5), ("5%", 0.05)]
)
def test_a_share_is_a_number_or_a_percentage(text, share) -> None:
    """Both are common."""
    assert Share().convert(text, None, None) == pytest.approx(share)


def test_an_option_without_its_flag_is_unset(seen) -> None:
    """Also one whose default is a value."""

    @click.command()
    @click.option("--number", type=int, default=5, callback=if_given)
    def command(*, number: object) -> None:
        seen.append(number)

    CliRunner().invoke(command, [], catch_exceptions=False)
    CliRunner().invoke(command, ["--number", "5"], catch_exceptions=False)
    assert seen == [UNSET, 5]
