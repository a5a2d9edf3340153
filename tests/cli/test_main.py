"""Tests of app.cli.main."""

import app


def test_the_version_is_the_packages(run) -> None:
    """One number, in one place."""
    assert run("--version").stdout == f"codex2api, version {app.__version__}\n"


def test_help_lists_every_noun(run) -> None:
    """What can be done is found from the top."""
    for args in (("-h",), ("--help",)):
        text = run(*args).stdout
        for noun in ("accounts", "config", "db", "doctor", "keys", "serve", "settings"):
            assert f"\n  {noun} " in text


def test_an_unknown_command_is_a_usage_error(run) -> None:
    """Scripts tell a typo from a failure by the status."""
    assert run("acounts").exit_code == 2
