"""Tests of app.cli.serve."""


def test_serving_gets_the_settings_and_gives_the_status(run, env, monkeypatch) -> None:
    """The command reads, warns and hands over; the status is the server's."""
    served = []

    def serve(settings) -> int:
        served.append(settings.port)
        return 3

    monkeypatch.setattr("app.cli.serve.run", serve)
    env |= {"CODEX_PORT": "9000", "ADMIN_SECRET": "short"}
    result = run("serve")
    assert (result.exit_code, served) == (3, [9000])
    assert "Warning: ADMIN_SECRET" in result.stderr


def test_bad_settings_are_not_served(run, env, monkeypatch) -> None:
    """Nothing is started; status 2."""
    monkeypatch.setattr("app.cli.serve.run", None)
    env["CODEX_WORKERS"] = "2"
    assert run("serve").exit_code == 2


def test_a_person_is_told_where_it_is(run, env, monkeypatch) -> None:
    """By an address that can be opened; who reads JSON is not."""
    monkeypatch.setattr("app.cli.serve.run", lambda _settings: 0)
    env |= {"CODEX_PORT": "9000", "CODEX_BIND": "0.0.0.0", "LOG_FORMAT": "console"}  # noqa: S104
    assert "http://127.0.0.1:9000/admin/" in run("serve").stderr
    env |= {"CODEX_BIND": "::1"}
    assert "http://[::1]:9000," in run("serve").stderr
    env |= {"LOG_FORMAT": "json"}
    assert "9000" not in run("serve").stderr
