"""`codex2api accounts login`: an account from a login in a browser, here or on any device.

The store is opened before the login begins, so that a login that succeeds has a place to go. What
a person reads goes to stderr, the result to stdout. Ctrl-C is heard while a person is waited for,
and not while a code is exchanged.
"""

import asyncio
import secrets

import click
from msgspec import structs

from app.accounts.enrolment import enrolment
from app.accounts.new_account import NewAccount
from app.accounts.oauth import BrowserLogin, Logins, Unreached
from app.accounts.pending import MemoryLogins
from app.cli.command import SecretText, answer, json_option, with_store
from app.cli.enrolling import added_line, added_value, auth_server, uninterrupted
from app.cli.options import account_options, given
from app.clock import SystemClock
from app.domain.account import Secret
from app.domain.enrolment import AccountChanges, Added
from app.errors import InvalidRequest, UpstreamError
from app.settings import Settings
from app.store.store import Store

PASTES_MAX = 3


@click.command()
@click.option("--device", is_flag=True, help="Show a code to type on any device; none to paste.")
@click.option("--name", default="", help="What you call it; by default its e-mail address.")
@click.option("--proxy-url", type=SecretText(), help="A proxy of its own; '-' or @FILE.")
@account_options
@json_option
def login(
    *, device: bool, name: str, proxy_url: Secret | None, chosen: AccountChanges, as_json: bool
) -> None:
    """Log in to an account: a new one, or one whose credential is to be replaced.

    Open the address that is shown and log in. The browser ends at an address on this machine that
    does not load, as nothing listens there: paste that address here. The options are for an
    account that is new.
    """
    attempt = _Login(name=name, proxy_url=proxy_url, chosen=chosen)
    added = attempt.on_any_device() if device else attempt.in_browser()
    answer(added_value(added), as_json=as_json, lines=[added_line(added)])


class _Login:
    """One login, and what the account gets besides."""

    def __init__(self, *, name: str, proxy_url: Secret | None, chosen: AccountChanges) -> None:
        self._name = name or None
        self._proxy_url = proxy_url
        self._chosen = chosen

    def in_browser(self) -> Added:
        """Show an address, take the one that the browser ends at, and add the account."""
        logins, begun = with_store(self._begun)
        _say(f"Open this address and log in:\n\n{begun.url}\n")
        for _ in range(PASTES_MAX):
            # Asked outside of the event loop, which would not hear Ctrl-C meanwhile.
            pasted = click.prompt("The address that the browser ended at", err=True)
            try:
                return self._finish(logins, pasted, begun.state)
            except Unreached as error:
                _say(error.message)
            except InvalidRequest as error:
                if error.param != "code":
                    raise
                _say(error.message)
        raise click.ClickException("That was in vain; nothing was added.")

    def on_any_device(self) -> Added:
        """Show a code, wait until a person has typed it, and add the account."""

        async def use(store: Store, settings: Settings) -> Added:
            logins = await _logins(store, settings)
            code = await logins.begin_device(proxy_url=self._proxy_url)
            _say(f"Open {code.url} on any device and type this code: {code.user_code}")
            said = ""
            while True:
                await asyncio.sleep(code.interval_s)
                with uninterrupted():
                    try:
                        new = await logins.poll_device(code.id, name=self._name)
                    except UpstreamError as error:
                        if error.message != said:
                            said = error.message
                            _say(said)
                        continue
                    if new is not None:
                        return await self._added(store, new)

        return with_store(use)

    async def _begun(self, store: Store, settings: Settings) -> tuple[Logins, BrowserLogin]:
        logins = await _logins(store, settings)
        return logins, await logins.begin(proxy_url=self._proxy_url)

    def _finish(self, logins: Logins, pasted: str, state: str) -> Added:
        async def use(store: Store, _settings: Settings) -> Added:
            with uninterrupted():
                new = await logins.finish(pasted, state=state, name=self._name)
                return await self._added(store, new)

        return with_store(use)

    async def _added(self, store: Store, new: NewAccount) -> Added:
        whole = structs.replace(enrolment(new), proxy_url=self._proxy_url, **given(self._chosen))
        return await store.accounts.add(whole, at=SystemClock().now(), issued_now=True)


async def _logins(_store: Store, settings: Settings) -> Logins:
    server = auth_server(settings)
    return Logins(
        server=server, pending=MemoryLogins(), clock=SystemClock(), entropy=secrets.token_bytes
    )


def _say(text: str) -> None:
    click.echo(text, err=True)
