"""Tests of app.cli.config."""

from app.admin.meanings import field_meanings
from app.settings import VARIABLES, Settings


def test_good_settings_are_told_with_their_warnings(run, answer, env) -> None:
    """A name that resembles a setting is pointed out."""
    assert answer("config", "check") == {"ok": True, "warnings": []}
    env["CODEX_PROT"] = "1"
    env["ADMIN_SECRET"] = "short"
    assert len(answer("config", "check")["warnings"]) == 2
    assert run("config", "check").stdout.count("Warning: ") == 2


def test_bad_settings_have_status_2(run, env) -> None:
    """As `serve` has."""
    env["CODEX_PORT"] = "x"
    assert run("config", "check").exit_code == 2


def test_the_schema_has_every_variable(run, answer) -> None:
    """With its meaning, its default and what it takes; secrets are marked."""
    found = {each["name"]: each for each in answer("config", "schema")}
    assert list(found) == [variable.name for variable in VARIABLES]
    assert found["CODEX_PORT"]["default"] == "8080"
    assert found["CODEX_ALLOW_ANONYMOUS"]["default"] == "false"
    assert found["ADMIN_SECRET"]["secret"]
    assert found["DATABASE_URL"]["default"] is None
    assert "CODEX_PORT=8080\n    Port of the listener" in run("config", "schema").stdout


def test_every_field_says_what_it_means() -> None:
    """A setting without a sentence under it fails here."""
    meanings = field_meanings(Settings)
    assert set(meanings) == set(Settings.__struct_fields__)
    assert all(meaning.endswith(".") for meaning in meanings.values())
