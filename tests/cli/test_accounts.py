"""Tests of app.cli.accounts."""

import msgspec
import pytest

from app.accounts.exporting import seal
from app.domain.account import Secret
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


SETTINGS = ("--priority", "5", "--concurrency-max", "8", "--group", "team-b", "--group", "team-a",
            "--tag", "eu", "--pause-at", "90%", "--model", "gpt-5.5")  # fmt: skip
CHOSEN = {"priority": 5, "concurrency_max": 8, "groups": ["team-a", "team-b"], "tags": ["eu"],
          "pause_at": 0.9, "models": ["gpt-5.5"]}  # fmt: skip
DEFAULT = {"priority": 0, "concurrency_max": 32, "groups": [], "tags": [], "pause_at": None,
           "models": []}  # fmt: skip


def settings_of(account: dict[str, object]) -> dict[str, object]:
    """Return what an operator decided of a listed account."""
    return {name: account[name] for name in DEFAULT}


def add_two(answer) -> tuple[str, str]:
    """Add the accounts `a` and `b`; return their ids."""
    return tuple(
        answer("accounts", "add", "--name", name, "--access-token", "-", text=f"at-{name}")["id"]
        for name in "ab"
    )


def test_an_account_is_added_with_its_settings(answer, run) -> None:
    """They show in the list; without them there are defaults."""
    answer("accounts", "add", "--name", "a", *SETTINGS, "--access-token", "-", text="at-1")
    answer("accounts", "add", "--name", "b", "--access-token", "-", text="at-2")
    a, b = answer("accounts", "list")
    assert settings_of(a) == CHOSEN
    assert settings_of(b) == DEFAULT
    assert "5         team-a,team-b  eu" in run("accounts", "list").stdout


def test_an_import_gives_the_new_accounts_their_settings(answer) -> None:
    """An account that was there keeps its own."""
    answer("accounts", "import", "-", "--group", "old", text="rt-1")
    assert answer("accounts", "import", "-", *SETTINGS, text="rt-1\nrt-2")["created"] == 1
    first, second = answer("accounts", "list")
    assert settings_of(first) == DEFAULT | {"groups": ["old"]}
    assert settings_of(second) == CHOSEN


def test_accounts_are_changed_by_name(answer, run) -> None:
    """What is not given stays as it is, '' takes away."""
    a, b = add_two(answer)
    assert answer("accounts", "set", "a", *SETTINGS) == {"changed": 1, "ids": [a]}
    assert run("accounts", "set", a, b, "--priority", "7", "--disable").stdout == (
        "Changed enabled, priority of 2 accounts.\n"
    )
    first, second = answer("accounts", "list")
    assert settings_of(first) == CHOSEN | {"priority": 7}
    assert settings_of(second) == DEFAULT | {"priority": 7}
    assert (first["enabled"], second["enabled"]) == (False, False)
    clear = ("--group", "", "--tag", "", "--model", "", "--pause-at", "")
    answer("accounts", "set", "a", "--name", " new ", "--enable", *clear)
    first, _ = answer("accounts", "list")
    assert settings_of(first) == DEFAULT | {"priority": 7, "concurrency_max": 8}
    assert (first["name"], first["enabled"]) == ("new", True)


def test_accounts_are_changed_by_group_and_tag(answer, run) -> None:
    """Or all of them; a choice that nobody fits is an error."""
    a, b = add_two(answer)
    answer("accounts", "set", "a", "--group", "x", "--tag", "eu")
    answer("accounts", "set", "b", "--group", "y", "--tag", "eu")
    for chosen, ids in (
        (("--in-group", "x"), [a]),
        (("--in-group", "x", "--in-group", "y"), [a, b]),
        (("--with-tag", "eu"), [a, b]),
        (("--with-tag", "eu", "--in-group", "y"), [b]),
        (("--all",), [a, b]),
    ):
        assert answer("accounts", "set", *chosen, "--priority", "1")["ids"] == ids
    result = run("accounts", "set", "--in-group", "z", "--priority", "1")
    assert (result.exit_code, result.stderr) == (1, "Error: There is no such account.\n")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("a",), "Say what to change"),
        (("--priority", "1"), "Name the accounts, or give --all"),
        (("a", "--all", "--priority", "1"), "Name the accounts, or give --all"),
        (("--all", "--with-tag", "x", "--priority", "1"), "Name the accounts"),
        (("--in-group", "", "--priority", "1"), "Name the accounts"),
        (("--all", "--name", "n"), "--name is for one account"),
        (("a", "--name", " "), "'--name': a name has 1 to 200 characters"),
        (("a", "--tag", "a,b"), "'--tag': 'a,b' has a comma"),
    ],
)
def test_a_change_that_is_unclear_changes_nothing(answer, run, args, told) -> None:
    """An empty shell variable must not mean all accounts."""
    add_two(answer)
    before = answer("accounts", "list")
    result = run("accounts", "set", *args)
    assert result.exit_code == 2
    assert told in result.stderr
    assert answer("accounts", "list") == before


def test_one_wrong_name_changes_none(answer, run) -> None:
    """All accounts are found before the first one is changed."""
    add_two(answer)
    result = run("accounts", "set", "a", "nobody", "--priority", "1")
    assert (result.exit_code, result.stderr) == (
        1, "Error: No account has the id or name 'nobody'.\n"
    )  # fmt: skip
    assert [each["priority"] for each in answer("accounts", "list")] == [0, 0]


def test_the_list_takes_filters(answer, run) -> None:
    """Any of the groups, all of the tags."""
    add_two(answer)
    answer("accounts", "set", "a", "--group", "x", "--tag", "eu", "--tag", "new")
    answer("accounts", "set", "b", "--group", "y", "--tag", "eu")

    def names(*args: str) -> str:
        return "".join(each["name"] for each in answer("accounts", "list", *args))

    assert names("--group", "x", "--group", "y") == "ab"
    assert names("--tag", "eu", "--tag", "new") == "a"
    assert names("--group", "y", "--tag", "eu") == "b"
    assert run("accounts", "list", "--group", "z").stdout == "No accounts.\n"
    assert run("accounts", "list", "--group", "a,b").exit_code == 2


def test_the_list_shows_what_happened(answer, run, env, upstream) -> None:
    """Newest first, a refused renewal with its code; so many of each account."""
    env["OAUTH_ISSUER"] = upstream.url
    upstream.status, upstream.answer = 401, {"error": {"code": "refresh_token_expired"}}
    answer("accounts", "import", "-", text="rt-1\nrt-2")
    first, second = answer("accounts", "list", "--events")
    run("accounts", "refresh", first["id"])
    first, second = answer("accounts", "list", "--events")
    assert [event["kind"] for event in second["events"]] == ["added"]
    assert [event["kind"] for event in first["events"]] == ["renewal_refused", "added"]
    assert first["events"][0]["code"] == "refresh_token_expired"
    assert first["events"][0]["next_at"] is None
    first, _ = answer("accounts", "list", "--events", "--limit", "1")
    assert [event["kind"] for event in first["events"]] == ["renewal_refused"]
    lines = run("accounts", "list", "--events").stdout.splitlines()
    assert lines[0].startswith(f"{first['name']} ({first['id']}): log in again")
    assert "renewal_refused  refresh_token_expired" in lines[2]
    assert run("accounts", "list", "--events", "--group", "z").stdout == "No accounts.\n"
    assert "events" not in answer("accounts", "list")[0]
    assert run("accounts", "list", "--limit", "1").exit_code == 2


def test_an_export_carries_the_settings(answer, run, tmp_path) -> None:
    """What is as it always is stays out, for other programs' sake."""
    add_two(answer)
    answer("accounts", "set", "a", *SETTINGS, "--disable")
    path = tmp_path / "export.json"
    run("accounts", "export", "--all", "--output", str(path))
    a, b = msgspec.json.decode(path.read_bytes())
    plain = {"type": "codex", "access_token": "at-b", "name": "b"}
    assert b == plain | {"priority": 0, "concurrency_max": 32}
    assert a == plain | CHOSEN | {"access_token": "at-a", "name": "a", "enabled": False}


def test_a_sealed_export_is_read_with_its_passphrase(answer, run, tmp_path) -> None:
    """Without it nothing is; the wrong one is told."""
    entries = [{"type": "codex", "name": "sealed", "access_token": codex_token("u")}]
    file = tmp_path / "sealed.json"
    file.write_bytes(msgspec.json.encode(seal(entries, Secret("a long passphrase"))))
    assert run("accounts", "import", str(file)).exit_code == 2
    assert run("accounts", "import", str(file), "--passphrase", "another one").exit_code == 1
    added = answer("accounts", "import", str(file), "--passphrase", "a long passphrase")
    assert added["created"] == 1


def test_a_server_is_added_with_names_of_its_models(answer) -> None:
    """It needs no key; what is given is listed."""
    answer(
        "accounts", "add", "--kind", "compatible", "--base-url", "http://ollama:11434/v1",
        "--map-model", "gpt-5.5=qwen3", "--map-model", "a=b=c", "--priority", "-5",
    )  # fmt: skip
    (listed,) = answer("accounts", "list")
    assert (listed["kind"], listed["name"], listed["priority"]) == ("compatible", "ollama", -5)
    assert listed["model_map"] == {"gpt-5.5": "qwen3", "a": "b=c"}
    answer("accounts", "set", "ollama", "--map-model", "", "--organization", "org-1")
    (listed,) = answer("accounts", "list")
    assert (listed["model_map"], listed["organization"]) == ({}, "org-1")
    answer("accounts", "set", "ollama", "--organization", "")
    assert answer("accounts", "list")[0]["organization"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--kind", "compatible"), "--base-url: a compatible server has to have one"),
        (("--kind", "openai"), "--api-key: the platform asks for one"),
        (("--kind", "codex", "--api-key", "-"), "Give --api-key, or"),
        (("--kind", "openai", "--access-token", "-"), "this kind takes --api-key"),
        (("--api-key", "-", "--base-url", "http://example.com/v1"), "private networks only"),
        (("--api-key", "-", "--map-model", "x"), "expected NAME=ITS_NAME"),
        (("--api-key", "-", "--map-model", "x="), "no name of 1 to"),
        (("--api-key", "-", "--project", "a b"), "without spaces"),
    ],
)
def test_an_account_of_a_kind_that_lacks_something_is_refused(run, answer, options, said) -> None:
    """The message names the option, and nothing is stored."""
    result = run("accounts", "add", *options, text="sk-1")
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert answer("accounts", "list") == []
