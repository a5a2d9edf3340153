"""Tests of app.cli.main."""

import subprocess
import sys

from click.testing import CliRunner

import app
from app.cli.main import NOUNS, main


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


def test_every_noun_is_where_it_is_said_to_be() -> None:
    """A module that moved is noticed here, not by the operator who asks for it."""
    with main.make_context("codex2api", ["--help"], resilient_parsing=True) as context:
        for noun in NOUNS:
            command = main.get_command(context, noun)
            assert command is not None
            assert command.name == noun


def test_serving_does_not_load_what_other_nouns_need() -> None:
    """The supervising process lives as long as its workers, and needs no database."""
    code = (
        "import sys; from app.cli.main import main; main.get_command(None, 'serve'); "
        "print({'sqlalchemy', 'alembic', 'httpx', 'litestar'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_an_interrupt_is_no_error(monkeypatch) -> None:
    """Ctrl-C ends with the status that shells know."""

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("app.cli.serve.run", interrupted)
    assert CliRunner().invoke(main, ["serve"]).exit_code == 130
