"""Tests of app.cli.logins: against the simulated issuer, with a person who does as he is told."""

import asyncio
import signal
from collections.abc import Iterator
from threading import Event, Thread

import httpx
import pytest

from app.accounts.new_account import from_line
from app.accounts.oauth import DeviceCode
from app.cli import logins
from app.errors import InvalidRequest, UpstreamError
from loadtests.simulator.config import fast
from loadtests.simulator.server import Simulator
from tests.cli.conftest import codex_token


class Issuer:
    """The simulator in a thread of its own, since the commands run loops of theirs."""

    def __init__(self) -> None:
        self.simulator: Simulator
        self._started, self._over = Event(), asyncio.Event()
        self._thread = Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with Simulator(fast(accounts=1)) as self.simulator:
            self._started.set()
            await self._over.wait()

    def start(self) -> None:
        """Return once it listens."""
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Return once it is gone."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()


@pytest.fixture
def issuer(env: dict[str, str]) -> Iterator[Issuer]:
    """An issuer with one account; the commands' settings name it."""
    running = Issuer()
    running.start()
    env["OAUTH_ISSUER"] = running.simulator.url
    yield running
    running.stop()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a person was told besides the result."""
    lines: list[str] = []
    monkeypatch.setattr(logins, "_say", lines.append)
    return lines


class Person:
    """Opens the address that was shown, logs in, and pastes where the browser ended."""

    def __init__(self, said: list[str]) -> None:
        self._said = said
        self.first: list[str] = []
        """What he pastes before he gets it right."""
        self.asked = 0

    def prompt(self, _text: str, *, err: bool) -> str:
        """Return what he pastes."""
        assert err, "stdout is for the result"
        self.asked += 1
        if self.first:
            return self.first.pop(0)
        shown = next(each for each in reversed(self._said) if "\n\n" in each)
        url = shown.split("\n\n")[1].strip()
        return httpx.get(url, follow_redirects=False).headers["location"]


@pytest.fixture
def person(said: list[str], monkeypatch: pytest.MonkeyPatch) -> Person:
    """A person at the terminal."""
    someone = Person(said)
    monkeypatch.setattr("click.prompt", someone.prompt)
    return someone


@pytest.mark.usefixtures("issuer", "person")
def test_a_login_in_the_browser_adds_the_account(answer) -> None:
    """It has both tokens, so that it serves at once and renews itself; the options are its own."""
    added = answer("accounts", "login", "--group", "team")
    assert (added["created"], added["name"]) == (True, "acct-1@example.com")
    (listed,) = answer("accounts", "list")
    assert (listed["renewable"], listed["dead"], listed["groups"]) == (True, False, ["team"])
    assert listed["expires_at"] is not None


@pytest.mark.usefixtures("issuer", "person")
def test_a_second_login_replaces_the_credential(answer, run) -> None:
    """The account stays what it is; its old refresh token is not used any more."""
    first = answer("accounts", "login", "--name", "mine")
    result = run("accounts", "login")
    assert result.exit_code == 0, result.output
    assert "was there already: credential replaced." in result.stdout
    (listed,) = answer("accounts", "list")
    assert (listed["id"], listed["name"], listed["generation"]) == (first["id"], "mine", 1)


@pytest.mark.usefixtures("issuer")
def test_a_wrong_paste_can_be_mended(answer, person, said) -> None:
    """The login is still there, as nothing was sent."""
    person.first = ["http://localhost:1455/auth/callback?state=x", "?error=access_denied"]
    assert answer("accounts", "login")["created"]
    assert said[1:] == [
        "There is no code in the pasted address.",
        "The login was refused: access_denied.",
    ]


@pytest.mark.usefixtures("issuer")
def test_pasting_ends_after_three_times(answer, run, person) -> None:
    """Nothing was added."""
    person.first = [" / "] * 9
    result = run("accounts", "login")
    assert (result.exit_code, person.asked) == (1, logins.PASTES_MAX)
    assert "nothing was added" in result.stderr
    assert answer("accounts", "list") == []


@pytest.mark.usefixtures("issuer")
def test_the_address_of_another_login_is_refused(run, person) -> None:
    """A code that somebody else slipped in buys no account."""
    person.first = ["http://localhost:1455/auth/callback?code=c&state=another"]
    result = run("accounts", "login")
    assert (result.exit_code, person.asked) == (1, 1)
    assert "belongs to another login" in result.stderr


def test_an_issuer_that_is_not_reached_can_be_tried_again(run, person, said) -> None:
    """With the same code, which was not sent."""
    person.first = ["a-code"] * 9
    result = run("accounts", "login")
    assert (result.exit_code, person.asked) == (1, logins.PASTES_MAX)
    assert said[1:] == ["The authorization server could not be reached."] * logins.PASTES_MAX


def test_a_login_begins_only_if_there_is_a_place_for_it(run, env, said, tmp_path) -> None:
    """The store is opened first: a login that can't be kept would be in vain."""
    (tmp_path / "file").write_text("")
    env["CODEX_DATA_DIR"] = str(tmp_path / "file")
    result = run("accounts", "login")
    assert result.exit_code == 1
    assert said == []


def test_a_login_by_device_code_adds_the_account(answer, issuer, said) -> None:
    """Asked at the pace that the issuer set, until the person has agreed."""
    issuer.simulator.world.book.set_base({"device_pending": 1})
    added = answer("accounts", "login", "--device", "--name", "mine")
    assert (added["created"], added["name"]) == (True, "mine")
    assert said == [
        f"Open {issuer.simulator.url}/codex/device on any device and type this code: SIMU-0001"
    ]


def test_an_issuer_without_device_codes_says_so(run, issuer) -> None:
    """There is the browser still."""
    issuer.simulator.world.book.set_base({"device_disabled": True})
    result = run("accounts", "login", "--device")
    assert result.exit_code == 1
    assert "no login by device code" in result.stderr


class SlowLogins:
    """A device login that has its troubles."""

    def __init__(self, **_: object) -> None:
        self.ends: list[object] = [UpstreamError("away"), UpstreamError("away"), None]

    async def begin_device(self, *, proxy_url: object) -> DeviceCode:
        """Begin it."""
        assert proxy_url is None
        return DeviceCode(id="d", user_code="c", url="u", interval_s=0.0, expires_at=9e9)

    async def poll_device(self, id: str, *, name: str | None) -> object:
        """Fail twice, wait once, and then agree."""
        assert (id, name) == ("d", None)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        if not self.ends:
            return from_line(codex_token("u1"), fallback="")
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end


def test_a_device_login_outlasts_an_outage(answer, said, monkeypatch) -> None:
    """What failed is said once and asked again; Ctrl-C is not heard while a token is bought."""
    monkeypatch.setattr(logins, "Logins", SlowLogins)
    assert answer("accounts", "login", "--device")["name"] == "a@example.com"
    assert said[1:] == ["away"]


def test_a_device_login_that_expires_ends(run, monkeypatch) -> None:
    """It says what to do."""

    class Expired(SlowLogins):
        async def poll_device(self, id: str, *, name: str | None) -> object:
            """Tell that it is over."""
            raise InvalidRequest(f"{id} {name} begin anew.")

    monkeypatch.setattr(logins, "Logins", Expired)
    result = run("accounts", "login", "--device")
    assert result.exit_code == 1
    assert "begin anew" in result.stderr
