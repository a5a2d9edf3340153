"""Tests of app.cli.doctor."""

import resource
import socket
from pathlib import Path

import pytest
import redis

from app.cli import doctor
from app.cli.doctor import Verdict

OFFLINE = ("doctor", "--offline")


def verdicts(checks: list[dict[str, str]]) -> dict[str, str]:
    """Return how each check went."""
    return {check["name"]: check["verdict"] for check in checks}


@pytest.fixture
def env(env, unused_port):
    """An environment in which the port is free."""
    return env | {"CODEX_PORT": str(unused_port)}


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_fresh_machine_is_ready_and_stays_untouched(answer, run, env, monkeypatch) -> None:
    """Nothing is made by looking."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (65_536, 65_536))
    assert set(verdicts(answer(*OFFLINE)).values()) == {"ok"}
    assert "ok    python: 3." in run(*OFFLINE).stdout
    assert not Path(env["CODEX_DATA_DIR"]).exists()


def test_a_running_store_is_recognised(run, answer) -> None:
    """The key is tried and the accounts are counted."""
    answer("accounts", "add", "--api-key", "-", text="sk-1")
    assert "has 1 accounts, and the key opens them" in run(*OFFLINE).stdout


def test_a_postgres_is_examined_in_place_of_a_file(run, answer, env, postgres_url) -> None:
    """Before its first start and after; the address is told, the password is not."""
    url = postgres_url.replace("codex2api@", "codex2api:hidden@")
    env |= {"DATABASE_DRIVER": "postgres", "DATABASE_URL": url, "CODEX_SECRET_KEY": "k" * 32}
    place = postgres_url.rpartition("@")[2]
    assert f"database: {place} will be made at the first start" in run(*OFFLINE).stdout
    answer("accounts", "add", "--api-key", "-", text="sk-1")
    result = run(*OFFLINE)
    assert f"database: {place} has 1 accounts, and the key opens them" in result.stdout
    assert "hidden" not in result.stdout
    assert not Path(env["CODEX_DATA_DIR"]).exists()


def test_a_redis_is_examined_where_there_is_to_be_one(run, answer, env, redis_server) -> None:
    """Its version is told; the password is not, whatever is wrong."""
    assert "redis" not in verdicts(answer(*OFFLINE))
    env |= {"CACHE_DRIVER": "redis", "REDIS_ADDR": f"127.0.0.1:{redis_server.port}"}
    assert f"ok    redis: 127.0.0.1:{redis_server.port}/0 answers, version" in run(*OFFLINE).stdout
    with redis.Redis(port=redis_server.port) as server:
        server.config_set("requirepass", "right")
        try:
            env |= {"REDIS_PASSWORD": "hidden"}
            result = run(*OFFLINE)
        finally:
            with redis.Redis(port=redis_server.port, password="right") as owner:
                owner.config_set("requirepass", "")
    assert result.exit_code == 1
    assert "it refuses the user or the password" in result.stdout
    assert "REDIS_PASSWORD" in result.stdout
    assert "hidden" not in result.stdout


def test_a_postgres_that_is_away_fails(run, env) -> None:
    """With the store's own sentence: where it was looked for, and what to do."""
    env |= {
        "DATABASE_DRIVER": "postgres",
        "DATABASE_URL": "postgresql://u:hidden@127.0.0.1:9/d",
        "CODEX_SECRET_KEY": "k" * 32,
    }
    result = run(*OFFLINE)
    assert result.exit_code == 1
    assert "fail  database" in result.stdout
    assert "Postgres at 127.0.0.1:9/d can't be reached" in result.stdout
    assert "hidden" not in result.stdout


def test_a_lost_key_fails(run, answer, env) -> None:
    """The remedy is the store's own sentence; status 1."""
    answer("keys", "create", "--name", "k")
    (Path(env["CODEX_DATA_DIR"]) / "secret.key").unlink()
    result = run(*OFFLINE)
    assert result.exit_code == 1
    assert "fail  database" in result.stdout
    assert "No new key is made" in result.stdout


def test_what_weakens_a_machine_is_warned_of(answer, env, monkeypatch) -> None:
    """Few descriptors, an open folder, old tables and a taken port: each with its remedy."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    data = Path(env["CODEX_DATA_DIR"])
    data.mkdir()
    data.chmod(0o755)
    (data / "codex2api.db").touch()
    env["ADMIN_SECRET"] = "short"
    with socket.create_server(("127.0.0.1", int(env["CODEX_PORT"]))):
        found = answer(*OFFLINE)
    assert verdicts(found) == {
        "settings": "warn",
        "python": "ok",
        "descriptors": "warn",
        "data directory": "warn",
        "database": "ok",
        "port": "warn",
    }
    assert all(check["remedy"] for check in found if check["verdict"] == "warn")


def test_a_folder_that_cannot_be_written_fails(run, env, monkeypatch) -> None:
    """The remedy names the setting."""
    Path(env["CODEX_DATA_DIR"]).mkdir()
    monkeypatch.setattr("os.access", lambda *_: False)
    result = run(*OFFLINE)
    assert result.exit_code == 1
    assert "set CODEX_DATA_DIR to another" in result.stdout


def test_bad_settings_are_findings(run, env) -> None:
    """Every fault is a failed check, not a crash of the doctor."""
    env |= {"CODEX_PORT": "x", "LOG_LEVEL": "loud"}
    result = run("doctor")
    assert result.exit_code == 1
    assert result.stdout.count("fail  settings") == 2


def test_an_upstream_that_answers_is_reached_without_a_credential(answer, env, upstream) -> None:
    """Any status will do, the clock is compared, and no credential is sent."""
    upstream.status = 403
    env |= {"UPSTREAM_BASE_URL": f"{upstream.url}/backend-api", "OAUTH_ISSUER": upstream.url}
    found = verdicts(answer("doctor"))
    assert (found["upstream"], found["issuer"], found["clock"]) == ("ok", "ok", "ok")
    assert all("authorization" not in headers for _, headers in upstream.asked)


def test_an_upstream_that_is_away_fails(run) -> None:
    """With the settings that could be the reason; nobody can then be asked for the time."""
    result = run("doctor")
    assert result.exit_code == 1
    assert result.stdout.count("can't be reached (ConnectError)") == 2
    assert "warn  clock" in result.stdout


@pytest.mark.parametrize(
    ("server_time", "verdict"),
    [(1_000.0, Verdict.OK), (1_065.0, Verdict.OK), (1_071.0, Verdict.FAIL), (930.0, Verdict.FAIL)],
)
def test_the_clock_may_be_a_minute_off(server_time: float, verdict: Verdict) -> None:
    """Between asking and hearing any moment could be the server's."""
    assert doctor._clock(server_time, before=1_000.0, after=1_010.0).verdict is verdict
