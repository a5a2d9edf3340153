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
