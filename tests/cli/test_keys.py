"""Tests of app.cli.keys."""

import re


def test_a_key_is_printed_once(run, answer) -> None:
    """Creating prints the key and nothing else; listing shows its end only."""
    key = run("keys", "create", "--name", "k").stdout.strip()
    assert re.fullmatch(r"sk-c2a-[0-9a-f]{10}-[\w-]{43}", key)
    listed = run("keys", "list").stdout
    assert f"...{key[-4:]}" in listed
    assert key not in listed
    assert answer("keys", "list")[0]["tail"] == key[-4:]


def test_a_key_of_ones_own_comes_from_stdin(run, answer) -> None:
    """It has no format, but a form: what is wrong is told in a sentence."""
    made = answer("keys", "create", "--name", "k", "--key", "-", text="my-own-key\n")
    assert made["key"] == "my-own-key"
    result = run("keys", "create", "--name", "k", "--key", "-", text="x")
    assert (result.exit_code, result.stderr.split(":")[0]) == (1, "Error")


def test_a_key_is_bound_to_models_and_days(run, answer) -> None:
    """Both show in the list."""
    answer("keys", "create", "--name", "k", "--model", "a", "--model", "b", "--days", "1")
    (key,) = answer("keys", "list")
    assert key["models"] == ["a", "b"]
    assert key["expires_at"] - key["created_at"] == 86_400
    assert re.search(r"until \d{4}-\d\d-\d\d  a,b", run("keys", "list").stdout)


def test_a_revoked_key_is_gone(run, answer) -> None:
    """It is listed on request only, and revoking again says that there is nothing to do."""
    made = answer("keys", "create", "--name", "k")
    assert answer("keys", "revoke", made["id"]) == {"id": made["id"], "revoked": True}
    assert run("keys", "list").stdout == "No keys.\n"
    assert "revoked" in run("keys", "list", "--revoked").stdout
    assert run("keys", "revoke", made["id"]).exit_code == 1
