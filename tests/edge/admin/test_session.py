"""Tests of app.edge.admin.session."""

import pyotp

from tests.edge.admin.conftest import PASSWORD, code, fields


async def test_a_login_gives_a_cookie_that_scripts_of_a_page_can_t_read(browser):
    """On plain http without Secure, as a browser would not send it back otherwise."""
    client = browser()
    answer = await client.post("login", json={"password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("codex2api_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    assert (await client.get("session")).json() == answer.json()


async def test_over_https_the_cookie_is_bound_to_the_host(browser):
    """`__Host-` makes the browser hold us to it."""
    answer = await browser("https://gateway.example").post("login", json={"password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-codex2api=")
    assert "Secure" in cookie
    assert "Domain" not in cookie


async def test_a_wrong_password_stands_beside_its_field(browser):
    """It says nothing else."""
    answer = await browser().post("login", json={"password": "wrong"})
    assert (answer.status_code, code(answer)) == (401, "invalid_credentials")
    assert fields(answer) == ["password"]
    assert "set-cookie" not in answer.headers


async def test_guessing_is_slowed(browser):
    """After a few tries the right password has to wait as well, and is told how long."""
    client = browser()
    for _ in range(6):
        answer = await client.post("login", json={"password": "wrong"})
        assert answer.status_code == 401
    answer = await client.post("login", json={"password": PASSWORD})
    assert (answer.status_code, code(answer)) == (429, "too_many_attempts")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_logout_ends_the_session(admin):
    """The cookie opens nothing any more, whoever has kept it."""
    cookie = dict(admin.cookies)
    assert (await admin.post("logout")).status_code == 204
    admin.cookies.clear()
    admin.cookies.update(cookie)
    assert (await admin.get("session")).status_code == 401


async def test_sessions_are_listed_and_ended(admin, browser):
    """A browser that was lost is logged out from here."""
    other = browser()
    await other.post("login", json={"password": PASSWORD})
    listed = (await admin.get("sessions")).json()["items"]
    assert sorted(each["current"] for each in listed) == [False, True]
    (lost,) = [each["id"] for each in listed if not each["current"]]
    assert (await admin.delete(f"sessions/{lost}")).status_code == 204
    assert (await other.get("session")).status_code == 401
    assert (await admin.delete(f"sessions/{lost}")).status_code == 404
    assert (await admin.get("session")).status_code == 200


async def test_a_password_of_the_environment_is_changed_there(admin):
    """Otherwise the next start would undo it."""
    answer = await admin.post(
        "password", json={"password": PASSWORD, "new_password": "another long password"}
    )
    assert (answer.status_code, code(answer)) == (409, "set_by_environment")


async def test_a_second_factor_is_set_asked_for_and_removed(admin, browser, opened):
    """A code is good once."""
    begun = (await admin.post("totp", json={"password": PASSWORD})).json()
    totp = pyotp.TOTP(begun["secret"])
    now = opened.clock.now()
    assert begun["url"].startswith("otpauth://totp/")
    wrong = await admin.post("totp/confirm", json={"code": "000000"})
    assert wrong.status_code == 401
    done = await admin.post("totp/confirm", json={"code": totp.at(now - 30)})
    assert done.status_code == 204
    answer = await browser().post("login", json={"password": PASSWORD})
    assert (answer.status_code, code(answer)) == (401, "totp_required")
    right = {"password": PASSWORD, "code": totp.at(now)}
    assert (await browser().post("login", json=right)).status_code == 200
    assert (await browser().post("login", json=right)).status_code == 401
    assert (await admin.get("session")).json()["totp"] is True
    gone = {"password": PASSWORD, "code": totp.at(now + 30)}
    assert (await admin.post("totp/remove", json=gone)).status_code == 204
    assert (await browser().post("login", json={"password": PASSWORD})).status_code == 200


async def test_a_script_has_no_session(script):
    """Its key is enough, also for changes."""
    state = (await script.get("session")).json()
    assert (state["csrf_token"], state["session_id"]) == (None, None)
    assert (await script.post("keys", json={"name": "made by a script"})).status_code == 201
