"""Tests of app.cli.command."""

import click
import pytest
from click.testing import CliRunner

from app.cli.command import SecretText, table
from app.domain.account import Secret


def test_bad_settings_are_told_without_a_traceback(run, env) -> None:
    """All faults, one a line, status 2."""
    env |= {"CODEX_PORT": "x", "LOG_LEVEL": "loud"}
    result = run("keys", "list")
    assert result.exit_code == 2
    assert [line.split(":")[1] for line in result.stderr.splitlines()] == [
        " CODEX_PORT",
        " LOG_LEVEL",
    ]


def test_a_store_that_cannot_be_used_is_told_in_a_sentence(run, env) -> None:
    """The store's own message, status 1."""
    run("keys", "list")
    result = run("keys", "list")
    assert result.exit_code == 0
    env["CODEX_SECRET_KEY"] = "n" * 32
    result = run("keys", "list")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The key given does not open this database")


@pytest.mark.parametrize(
    ("given", "text", "secret"),
    [("-", " from stdin\n", "from stdin"), ("@file", None, "from file"), ("plain", None, "plain")],
)
def test_a_secret_comes_from_stdin_or_a_file(tmp_path, monkeypatch, given, text, secret) -> None:
    """So that it need not stand in the arguments, where every process can read it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("from file\n")
    seen = []

    @click.command()
    @click.option("--secret", type=SecretText(), default=Secret("unused"))
    def command(secret: Secret) -> None:
        seen.append(secret)

    assert CliRunner().invoke(command, ["--secret", given], input=text).exit_code == 0
    assert CliRunner().invoke(command, []).exit_code == 0
    assert seen == [Secret(secret), Secret("unused")]


@pytest.mark.parametrize(("given", "text"), [("-", " \n"), ("@none", None)])
def test_a_secret_that_is_not_there_is_a_usage_error(tmp_path, monkeypatch, given, text) -> None:
    """An empty secret would only fail later and stranger."""
    monkeypatch.chdir(tmp_path)

    @click.command()
    @click.option("--secret", type=SecretText())
    def command(secret: Secret) -> None:
        pytest.fail(f"it ran with {secret}")

    assert CliRunner().invoke(command, ["--secret", given], input=text).exit_code == 2


def test_an_account_is_named_by_id_its_beginning_or_name(answer, run) -> None:
    """What is ambiguous or unknown is told, not guessed."""
    for name, key in (("one", "sk-1"), ("two", "sk-2"), ("two", "sk-3")):
        answer("accounts", "add", "--name", name, "--api-key", "-", text=key)
    account_id = answer("accounts", "list")[0]["id"]
    for name in (account_id, account_id[:8], "one"):
        assert run("accounts", "export", name).exit_code == 0
    assert "No account has" in run("accounts", "export", account_id[:3]).stderr
    assert "More than one account (2)" in run("accounts", "export", "two").stderr


def test_a_table_is_aligned() -> None:
    """Columns are as wide as their widest cell; no line ends in blanks."""
    assert table(("A", "B"), [("long", "x"), ("s", "")]) == ["A     B", "long  x", "s"]
