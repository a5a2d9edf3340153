"""Tests of app.cli.accounts."""

import msgspec
import pytest

from tests.cli.conftest import codex_token


def auth_json(user: str, refresh_token: str) -> dict[str, object]:
    """Return what the Codex CLI keeps of a login."""
    tokens = {"access_token": codex_token(user), "refresh_token": refresh_token}
    return {"auth_mode": "chatgpt", "tokens": tokens}


def test_an_access_token_is_added_by_what_it_tells(answer, run) -> None:
    """Name, plan and identity come from the token; the state says how long it is good."""
    added = answer("accounts", "add", "--access-token", "-", text=codex_token("u1"))
    assert (added["created"], added["name"]) == (True, "a@example.com")
    (listed,) = answer("accounts", "list")
    assert listed["chatgpt_account_id"] == "u1-w"
    assert (listed["plan"], listed["renewable"]) == ("plus", False)
    assert "good until 2100-01-01" in run("accounts", "list").stdout


def test_a_refresh_token_is_exchanged_before_it_is_stored(answer, env, upstream) -> None:
    """Nobody else can spend it meanwhile, and the account is whole at once."""
    env["OAUTH_ISSUER"] = upstream.url
    upstream.answer = {"access_token": codex_token("u1"), "refresh_token": "rt-2"}
    answer("accounts", "add", "--name", "mine", "--refresh-token", "-", text="rt-1\n")
    assert upstream.spent == ["rt-1"]
    (listed,) = answer("accounts", "list")
    assert (listed["name"], listed["chatgpt_account_id"]) == ("mine", "u1-w")
    assert (listed["renewable"], listed["generation"]) == (True, 0)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((401, {"error": {"code": "refresh_token_reused"}}), "refused (refresh_token_reused)"),
        ((200, {}), "may be spent"),
    ],
)
def test_a_failed_exchange_stores_nothing(run, answer, env, upstream, reply, said) -> None:
    """The message says what became of the refresh token, and shows nothing of it."""
    env["OAUTH_ISSUER"] = upstream.url
    upstream.status, upstream.answer = reply
    result = run("accounts", "add", "--refresh-token", "-", text="rt-secret")
    assert result.exit_code == 1
    assert said in result.stderr
    assert "rt-secret" not in result.output
    assert answer("accounts", "list") == []


def test_an_exchange_that_never_left_spends_nothing(run) -> None:
    """The operator may try the same token again."""
    result = run("accounts", "add", "--refresh-token", "-", text="rt-1")
    assert "as good as before" in result.stderr


def test_an_api_key_is_added(answer, run) -> None:
    """With its address and its models."""
    args = ("--name", "k", "--base-url", "https://api.example.com/v1", "--model", "gpt-5")
    answer("accounts", "add", *args, "--api-key", "-", text="sk-1")
    (listed,) = answer("accounts", "list")
    assert (listed["kind"], listed["models"]) == ("openai", ["gpt-5"])
    assert (
        "was there already" in run("accounts", "add", "--api-key", "-", *args, text="sk-1").stdout
    )


@pytest.mark.parametrize("args", [(), ("--api-key", "x", "--access-token", "y")])
def test_one_kind_of_credential_is_wanted(run, args) -> None:
    """Neither none nor two."""
    assert run("accounts", "add", *args).exit_code == 2


@pytest.mark.parametrize("url", ["ftp://x", "api.example.com", "https://x/?a=b"])
def test_an_address_must_be_a_plain_url(run, url) -> None:
    """A key is never sent to an address that was misread."""
    result = run("accounts", "add", "--api-key", "-", "--base-url", url, text="sk-1")
    assert result.exit_code == 2


def test_a_file_is_imported(answer, run, tmp_path) -> None:
    """Good entries are added, bad ones are told by their place, a second time changes nothing."""
    path = tmp_path / "list.json"
    path.write_bytes(msgspec.json.encode([auth_json("u1", "rt-1"), {"nothing": 1}, "at-opaque"]))
    found = answer("accounts", "import", str(path))
    assert (found["created"], found["kept"], len(found["faults"])) == (2, 0, 1)
    assert found["faults"][0]["line"] == 2
    again = run("accounts", "import", str(path))
    assert again.exit_code == 0
    assert "list.json, 2: no refresh_token, access_token or api_key in it." in again.stdout
    assert "0 added, 2 were there already (2 fresher)." in again.stdout


def test_an_import_without_any_account_fails(run) -> None:
    """Scripts see it by the status; stdin will do as a file."""
    result = run("accounts", "import", "-", text="nonsense")
    assert result.exit_code == 1
    assert "0 added" in result.stdout


def test_a_refresh_token_alone_waits_for_the_gateway(answer, run) -> None:
    """An import of many spends nothing; the gateway renews them one by one."""
    answer("accounts", "import", "-", text="rt-1\nrt-2\n")
    assert run("accounts", "list").stdout.count("waits for its first renewal") == 2


def test_an_export_is_an_import(answer, run, tmp_path, env) -> None:
    """What one gateway writes another one reads, whole; the file is private and never replaced."""
    answer("accounts", "import", "-", text=msgspec.json.encode(auth_json("u1", "rt-1")).decode())
    answer(
        "accounts",
        "add",
        "--name",
        "k",
        "--api-key",
        "-",
        "--base-url",
        "https://x/v1",
        text="sk-1",
    )
    before = answer("accounts", "list")
    path = tmp_path / "export.json"
    assert run("accounts", "export", "--all", "--output", str(path)).exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert run("accounts", "export", "--all", "--output", str(path)).exit_code == 1
    env["CODEX_DATA_DIR"] += "2"
    assert answer("accounts", "import", str(path))["created"] == 2
    same = ("name", "kind", "base_url", "chatgpt_account_id", "expires_at", "renewable", "email")
    for old, new in zip(
        before, sorted(answer("accounts", "list"), key=lambda a: a["kind"]), strict=True
    ):
        assert [old[name] for name in same] == [new[name] for name in same]


def test_an_export_names_what_it_wants(run) -> None:
    """Everything must be asked for."""
    assert run("accounts", "export").exit_code == 2
    assert run("accounts", "export", "x", "--all").exit_code == 2


def test_a_test_asks_the_upstream(answer, run, env, upstream) -> None:
    """The status of the answer is told, and makes the command's own."""
    env["UPSTREAM_BASE_URL"] = upstream.url
    added = answer("accounts", "add", "--name", "a", "--access-token", "-", text="at-1")
    assert answer("accounts", "test", added["id"])["ok"]
    upstream.status = 401
    result = run("accounts", "test", "a")
    assert (result.exit_code, result.stdout) == (1, "a: the upstream answers 401.\n")
    env["UPSTREAM_BASE_URL"] = "http://127.0.0.1:9"
    assert "can't be reached (ConnectError)" in run("accounts", "test", "a").stdout


def test_a_refresh_renews_and_identifies(answer, env, upstream) -> None:
    """The stored token is spent once, its successor kept, and the owner learnt."""
    env["OAUTH_ISSUER"] = upstream.url
    answer("accounts", "import", "-", text="rt-1")
    account_id = answer("accounts", "list")[0]["id"]
    upstream.answer = {"access_token": codex_token("u1"), "refresh_token": "rt-2"}
    assert answer("accounts", "refresh", account_id)["ok"]
    assert answer("accounts", "refresh", account_id)["ok"]
    assert upstream.spent == ["rt-1", "rt-2"]
    (listed,) = answer("accounts", "list")
    assert (listed["generation"], listed["chatgpt_account_id"]) == (2, "u1-w")


def test_a_refused_refresh_is_told_and_remembered(answer, run, env, upstream) -> None:
    """The list says that somebody must log in again."""
    env["OAUTH_ISSUER"] = upstream.url
    answer("accounts", "import", "-", text="rt-1")
    account_id = answer("accounts", "list")[0]["id"]
    upstream.status = 401
    upstream.answer = {"error": {"code": "refresh_token_expired"}}
    result = run("accounts", "refresh", account_id)
    assert result.exit_code == 1
    assert "not renewed (refresh_token_expired)" in result.stdout
    assert "log in again (refresh_token_expired)" in run("accounts", "list").stdout
