"""Tests of app.cli.imports."""

from pathlib import Path

import pytest

from tests.cli.conftest import codex_token
from tests.foreign.sources import (
    CODEX_LB,
    FERNET_KEY,
    GO_POSTGRES,
    GO_SQLITE,
    LITELLM,
    codex_lb_rows,
    go_rows,
    litellm_rows,
    postgres_source,
    sqlite_source,
)

TOKEN = codex_token("u1")


@pytest.fixture
def go_file(tmp_path: Path) -> str:
    """The Go version's database."""
    return str(sqlite_source(tmp_path / "go.db", GO_SQLITE, go_rows(TOKEN)))


@pytest.fixture
def codex_lb_file(tmp_path: Path) -> str:
    """The database of codex-lb."""
    return str(sqlite_source(tmp_path / "lb.db", CODEX_LB, codex_lb_rows(TOKEN)))


@pytest.fixture
def litellm_file(tmp_path: Path) -> str:
    """A copy of LiteLLM's database."""
    return str(sqlite_source(tmp_path / "llm.db", LITELLM, litellm_rows()))


def test_the_go_version_is_taken_over(go_file, run, answer, env) -> None:
    """Accounts and keys as they are; a dry run says the same and changes nothing."""
    before = answer("import", "go", go_file, "--dry-run")
    assert not Path(env["CODEX_DATA_DIR"]).exists()
    done = answer("import", "go", go_file)
    assert before == done | {"dry_run": True}
    assert done["accounts"] == {"added": 1, "there_already": 0}
    assert done["keys"] == {"added": 1, "there_already": 0}
    (account,) = answer("accounts", "list")
    assert (account["groups"], account["tags"], account["concurrency_max"]) == (
        ["team a"], ["eu"], 4,
    )  # fmt: skip
    (key,) = answer("keys", "list")
    assert (key["name"], key["tail"], key["groups"]) == ("ci", "sion", ["team a"])
    again = run("import", "go", go_file)
    assert again.exit_code == 0
    assert "0 accounts added, 1 there already." in again.stdout
    assert "0 keys added, 1 there already." in again.stdout


def test_the_go_version_on_postgres_is_taken_over(postgres_url, tmp_path, run, answer) -> None:
    """By a URL in a file, so that nobody sees the password."""
    postgres_source(postgres_url, GO_POSTGRES, go_rows(TOKEN))
    (tmp_path / "url").write_text(postgres_url.replace("@", ":hidden@"))
    done = run("import", "go", f"@{tmp_path / 'url'}")
    assert done.exit_code == 0, done.output
    assert "1 accounts added, 0 there already." in done.stdout
    assert "Importing" in done.stderr
    assert "hidden" not in done.output
    assert [each["name"] for each in answer("accounts", "list")] == ["one"]


def test_codex_lb_is_taken_over(codex_lb_file, tmp_path, run, answer) -> None:
    """With its key file; its keys open what they opened there."""
    (tmp_path / "key").write_text(FERNET_KEY)
    args = ("import", "codex-lb", codex_lb_file, "--key-file", str(tmp_path / "key"))
    said = run(*args, "--dry-run").stdout
    assert "1 accounts would be added" in said
    assert "1 keys would be added" in said
    assert answer("accounts", "list") == []
    (tmp_path / "encryption.key").write_text(FERNET_KEY)
    done = answer(*args[:3])
    assert (done["made"], done["to_make"]) == ([], [])
    (key,) = answer("keys", "list")
    assert key["models"] == ["gpt-5"]
    again = run(*args[:3]).stdout
    assert "0 keys added, 1 there already." in again


def test_a_key_whose_digest_is_not_known_is_made_anew(tmp_path, answer) -> None:
    """If that is said, and printed once; else it is only listed, with all that it may do."""
    rows = litellm_rows()
    rows["LiteLLM_VerificationToken"][0]["token"] = "0" * 40
    path = str(sqlite_source(tmp_path / "llm.db", LITELLM, rows))
    done = answer("import", "litellm", path)
    assert done["to_make"] == [
        {
            "row": "LiteLLM_VerificationToken 000000000000", "name": "ci", "enabled": True,
            "expires_at": None, "models": ["gpt-5"], "groups": [], "requests_per_minute": 60,
            "tokens_per_minute": 1000, "concurrency_max": None, "day_budget_usd": None,
            "month_budget_usd": 10.0,
        }
    ]  # fmt: skip
    assert answer("keys", "list") == []
    (made,) = answer("import", "litellm", path, "--make-keys")["made"]
    assert made["key"].startswith("sk-c2a-")
    again = answer("import", "litellm", path, "--make-keys")
    assert (again["made"], again["to_make"]) == ([], [])


def test_litellm_is_taken_over(litellm_file, answer) -> None:
    """Its keys open what they opened there."""
    done = answer("import", "litellm", litellm_file)
    assert (done["to_make"], done["made"]) == ([], [])
    (key,) = answer("keys", "list")
    assert (key["name"], key["models"]) == ("ci", ["gpt-5"])


def test_a_disabled_key_is_listed_as_such(tmp_path, run) -> None:
    """Whoever makes it anew must know."""
    rows = litellm_rows()
    rows["LiteLLM_VerificationToken"][0] |= {
        "token": "no digest",
        "blocked": True,
        "models": "[]",
        "max_budget": None,
    }
    path = str(sqlite_source(tmp_path / "llm.db", LITELLM, rows))
    said = run("import", "litellm", path, "--dry-run").stdout
    assert "  ci: all models; 60 requests a minute; 1000 tokens a minute; disabled\n" in said


def test_what_cannot_be_taken_is_listed(tmp_path, run, answer) -> None:
    """With its row; the rest is taken. If nothing is left, that is an error."""
    rows = go_rows(TOKEN)
    rows["api_keys"] = [{"id": 5, "name": "bad", "key": "sk-of-the-go-version", "quota_limit": -3}]
    path = str(sqlite_source(tmp_path / "go.db", GO_SQLITE, rows))
    done = run("import", "go", path)
    assert done.exit_code == 0
    assert "api_keys 5 (bad): quota_limit is -3.0: expected 0 to 1000000." in done.stdout
    assert "1 rows can't be taken, 0 keys were made anew." in done.stdout
    assert answer("keys", "list") == []
    only_bad = {"api_keys": rows["api_keys"]}
    path = str(sqlite_source(tmp_path / "bad.db", GO_SQLITE, only_bad))
    assert run("import", "go", path).exit_code == 1


def test_many_remarks_are_cut_short(tmp_path, run) -> None:
    """A script gets all of them."""
    accounts = [{"id": number, "credentials": {}} for number in range(1, 251)]
    path = str(sqlite_source(tmp_path / "go.db", GO_SQLITE, {"accounts": accounts}))
    result = run("import", "go", path, "--dry-run")
    assert "... and 50 more; --json lists all." in result.stdout
    assert "accounts 1 (-): no refresh_token" in result.stdout


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("go", "gone.db"), "There is no file gone.db."),
        (("go", "text.db"), "text.db can't be read as a SQLite database: file is not a database."),
        (("go", "llm.db"), "llm.db is no database of the Go Codex2API: it has no table accounts."),
        (("litellm", "postgresql://u:hidden@127.0.0.1:9/x"), "can't be reached"),
        (("litellm", "mysql://u:hidden@h/x"), "A database is named as"),
        (("codex-lb", "lb.db"), "name its key file with --key-file"),
        (("codex-lb", "lb.db", "--key-file", "text.db"), "expected 32 bytes in URL-safe base64"),
        (("codex-lb", "lb.db", "--key-file", "other.key"), "does not open the tokens"),
        (("codex-lb", "lb.db", "--key-file", "gone.key"), "gone.key can't be read"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_line(
    run, env, codex_lb_file, litellm_file, args, told
) -> None:
    """With status 1, and nothing is stored."""
    del codex_lb_file, litellm_file
    Path("text.db").write_text("this is a text, and a long one at that" * 20)
    Path("other.key").write_text("A" * 43 + "=")
    result = run("import", *args)
    assert result.exit_code == 1
    assert told in result.stderr
    assert "hidden" not in result.output
    assert len(result.stderr.splitlines()) == 1
    assert not Path(env["CODEX_DATA_DIR"]).exists()


def test_a_database_that_is_not_there_is_told(run, postgres) -> None:
    """In the words of the server's own errors."""
    result = run("import", "go", postgres.url("nowhere"))
    assert result.exit_code == 1
    assert "has no database 'nowhere'" in result.stderr
