"""Tests of app.settings."""

from pathlib import Path

import pytest

from app.settings import VARIABLES, Driver, Limits, Settings, SettingsError, misspelt

KEY = "k" * 32


def faults(env: dict[str, str]) -> dict[str, str]:
    """Return what was expected, by name."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(env)
    return {fault.name: fault.expected for fault in caught.value.faults}


def test_without_any_variable_the_embedded_default_is_served() -> None:
    """SQLite, memory, one worker, this machine only, and no open door."""
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.sqlite_path == Path("data/codex2api.db")
    assert settings.key_file == Path("data/secret.key")
    assert (settings.bind, settings.workers, settings.allow_anonymous) == ("127.0.0.1", 1, False)


def test_every_variable_sets_one_field() -> None:
    """The table names existing fields, each once."""
    fields = [variable.field for variable in VARIABLES]
    assert set(fields) == set(Settings.__struct_fields__) - {"limits"}
    assert len(set(fields)) == len(fields)


def test_variables_are_read_and_typed(tmp_path: Path) -> None:
    """Each text becomes the value that the code works with."""
    settings = Settings.from_env(
        {
            "CODEX_PORT": "9000",
            "CODEX_DATA_DIR": str(tmp_path),
            "DATABASE_DRIVER": "SQLite",
            "DATABASE_PATH": str(tmp_path / "x" / "own.db"),
            "CODEX_SECRET_KEY": f"{KEY},{KEY}2",
            "TRUSTED_PROXIES": "10.0.0.0/8, ::1",
            "UPSTREAM_PRIVATE_NAMES": "LLM.example.com, *.corp.example.com",
            "CODEX_ADMIN_BIND": "127.0.0.1:8081",
            "CODEX_MAX_REQUEST_BODY_SIZE_MB": "2",
            "UPSTREAM_BASE_URL": "http://127.0.0.1:1/backend-api/",
        }
    )
    assert settings.port == 9000
    assert settings.database_driver is Driver.SQLITE
    assert settings.key_file == tmp_path / "x" / "secret.key"
    assert settings.secret_keys == (KEY, f"{KEY}2")
    assert [str(each) for each in settings.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert settings.private_names == ("llm.example.com", "*.corp.example.com")
    assert settings.admin_bind == ("127.0.0.1", 8081)
    assert settings.body_bytes_max == 2 << 20
    assert settings.upstream_base_url == "http://127.0.0.1:1/backend-api"


def test_all_faults_are_reported_at_once() -> None:
    """One start tells an operator everything that is wrong, bad values and missing partners."""
    assert faults(
        {"CODEX_PORT": "0", "CODEX_WORKERS": "2", "LOG_LEVEL": "loud", "CACHE_DRIVER": "redis"}
    ).keys() == {"CODEX_PORT", "CODEX_WORKERS", "LOG_LEVEL", "REDIS_ADDR"}


def test_several_workers_need_postgres_and_redis() -> None:
    """The fault says what to set besides."""
    expected = faults({"CODEX_WORKERS": "2"})["CODEX_WORKERS"]
    assert "DATABASE_DRIVER=postgres" in expected
    assert "CACHE_DRIVER=redis" in expected


def test_postgres_needs_an_address_and_a_key() -> None:
    """There is no file beside Postgres that could hold a key."""
    found = faults({"DATABASE_DRIVER": "postgres"})
    assert {"DATABASE_URL", "CODEX_SECRET_KEY"} <= found.keys()


POSTGRES = {
    "DATABASE_DRIVER": "postgres",
    "DATABASE_URL": "postgresql://u:p@h/d?sslmode=require",
    "CODEX_SECRET_KEY": KEY,
}


def test_postgres_serves_one_worker_without_redis() -> None:
    """By a URL or by a host; rows are in Postgres, what changes by the call is in memory."""
    settings = Settings.from_env(POSTGRES)
    assert (settings.database_driver, settings.cache_driver) == (Driver.POSTGRES, Driver.MEMORY)
    by_host = POSTGRES | {"DATABASE_URL": "", "DATABASE_HOST": "h", "DATABASE_PASSWORD": "p"}
    assert Settings.from_env(by_host).database_host == "h"


def test_several_workers_on_postgres_still_need_redis() -> None:
    """They would not know of each other's calls."""
    assert faults(POSTGRES | {"CODEX_WORKERS": "2"}).keys() == {"CODEX_WORKERS"}


def test_several_workers_are_served_on_postgres_and_redis() -> None:
    """One worker may use Redis as well, as replicas do."""
    shared = {"CACHE_DRIVER": "redis", "REDIS_ADDR": "h:6379"}
    settings = Settings.from_env(POSTGRES | shared | {"CODEX_WORKERS": "2"})
    assert (settings.workers, settings.cache_driver) == (2, Driver.REDIS)
    assert Settings.from_env(POSTGRES | shared).workers == 1


@pytest.mark.parametrize(
    "address",
    ["h:5432/d", "mysql://h/d", "postgresql://", "postgresql://h:port/d", "postgresql://h:99999/d"],
)
def test_a_bad_postgres_url_is_refused_without_being_shown(address: str) -> None:
    """The fault says what a URL looks like, and never repeats the password in it."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(POSTGRES | {"DATABASE_URL": f"{address}?password=hidden"})
    assert [fault.name for fault in caught.value.faults] == ["DATABASE_URL"]
    assert "postgresql:// URL" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_a_fault_of_a_name_hides_what_would_follow_from_it() -> None:
    """A short key is one fault, not also a missing key."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"DATABASE_DRIVER": "postgres", "CODEX_SECRET_KEY": "short"})
    names = [fault.name for fault in caught.value.faults]
    assert names.count("CODEX_SECRET_KEY") == 1
    assert "short" not in str(caught.value)


@pytest.mark.parametrize("given", ["CODEX_TLS_CERT", "CODEX_TLS_KEY"])
def test_certificate_and_key_go_together(tmp_path: Path, given: str) -> None:
    """One without the other names the missing one."""
    (tmp_path / "pem").write_text("pem")
    missing = {"CODEX_TLS_CERT": "CODEX_TLS_KEY", "CODEX_TLS_KEY": "CODEX_TLS_CERT"}[given]
    assert faults({given: str(tmp_path / "pem")}).keys() == {missing}


def test_no_secret_is_shown() -> None:
    """The settings can be logged: every secret is stars."""
    secrets = {
        "ADMIN_SECRET": "hidden-admin",
        "CODEX_API_KEYS": "hidden-caller",
        "CODEX_SECRET_KEY": f"hidden-{KEY}",
        "UPSTREAM_PROXY_URL": "http://hidden:pw@proxy:1",
        "CODEX_METRICS_TOKEN": "hidden-token",
        "DATABASE_URL": "postgresql://hidden@h/d",
    }
    shown = repr(Settings.from_env(secrets))
    assert "hidden" not in shown
    assert "port=8080" in shown


def test_weak_choices_are_warned_of() -> None:
    """What is allowed but risky is told, without the value."""
    warnings = Settings.from_env(
        {
            "CODEX_API_KEYS": "tiny",
            "ADMIN_SECRET": "tiny",
            "CODEX_ALLOW_ANONYMOUS": "true",
            "CODEX_BIND": "0.0.0.0",  # noqa: S104 - the case that is warned of
        }
    ).warnings()
    assert len(warnings) == 3
    assert "tiny" not in " ".join(warnings)
    assert Settings().warnings() == []


def test_the_process_and_its_dotenv_are_read(tmp_path, monkeypatch) -> None:
    """Without an argument the process counts, before `./.env`; a terminal gets readable logs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODEX_PORT", "9001")
    monkeypatch.delenv("LOG_FORMAT", raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    (tmp_path / ".env").write_text("CODEX_PORT=9002\nLOG_LEVEL=debug\n")
    settings = Settings.from_env()
    assert (settings.port, settings.log_level, settings.log_format) == (9001, "debug", "console")


def test_another_dotenv_can_be_named_and_must_be_there(tmp_path: Path) -> None:
    """`CODEX_ENV_FILE` names it; a name without a file is a fault, not a default."""
    path = tmp_path / "my.env"
    assert faults({"CODEX_ENV_FILE": str(path)}).keys() == {"CODEX_ENV_FILE"}
    path.write_text("CODEX_PORT=9003\n")
    assert Settings.from_env({"CODEX_ENV_FILE": str(path)}).port == 9003


def test_a_misspelt_name_is_pointed_out(tmp_path: Path) -> None:
    """A name that resembles a setting is told; other programs' variables are their own business."""
    path = tmp_path / "my.env"
    path.write_text("DATABSE_URL=x\nHOME=y\n")
    env = {
        "CODEX_ENV_FILE": str(path),
        "CODEX_PROT": "1",
        "CODEX_PORT_FILE": "x",
        "CODEX_HOME": "/",
    }
    assert misspelt(env | {"NIX_SSL_CERT_FILE": "/"}) == [
        "CODEX_PROT is no setting; CODEX_PORT may be meant.",
        "DATABSE_URL is no setting; DATABASE_URL may be meant.",
    ]


def test_limits_can_be_replaced_by_a_test() -> None:
    """They are values like any other, only not read from the environment."""
    assert Settings(limits=Limits(attempts_max=1)).limits.attempts_max == 1
