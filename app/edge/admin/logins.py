"""`/api/admin/oauth`: an account by a login, in this browser or on any device."""

from litestar import Controller, post
from litestar.di import NamedDependency as Given
from litestar.params import JSONBody
from msgspec import Struct

from app.accounts.oauth import BrowserLogin, DeviceCode
from app.admin.audit import Auditor
from app.admin.desk import AccountDesk
from app.domain.account import Secret
from app.domain.admin import Actor
from app.edge.admin.account_bodies import Added
from app.edge.admin.bodies import Token, Url, proxy
from app.edge.admin.gate import UNREPEATED


class Begin(Struct, forbid_unknown_fields=True):
    """How to get to the authorization server; nothing for the usual way."""

    proxy_url: Url | None = None
    """A proxy of the account's own, kept with it."""


class Exchange(Struct, forbid_unknown_fields=True):
    """The address that the browser ended at, or the code in it, pasted by a person."""

    code: Token
    state: str | None = None
    """From the answer that began the login; needed with a bare code."""
    name: str = ""
    proxy_url: Url | None = None


class Poll(Struct, forbid_unknown_fields=True):
    """A device login that was begun."""

    id: str
    name: str = ""
    proxy_url: Url | None = None


class DevicePolled(Struct, frozen=True):
    """Whether the person has agreed; ask again after the interval while not."""

    done: bool
    account: Added | None = None


class LoginsController(Controller):
    """Logins in progress live for fifteen minutes; any worker finishes what another one began."""

    path = "/oauth"
    tags = ("logins",)

    @post("/generate-auth-url", status_code=200, opt={UNREPEATED: True})
    async def begin(self, data: JSONBody[Begin], desk: Given[AccountDesk]) -> BrowserLogin:
        """Begin a login: open `url`, log in, and paste the address that the browser ends at."""
        return await desk.logins.begin(proxy_url=_proxy(data.proxy_url))

    @post("/exchange-code", opt={UNREPEATED: True})
    async def finish(
        self,
        data: JSONBody[Exchange],
        desk: Given[AccountDesk],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> Added:
        """Finish a login, and add its account or give it a fresh credential."""
        own = _proxy(data.proxy_url)
        added = await desk.finish_login(data.code, state=data.state, name=data.name, own=own)
        await audit.note(actor, "account_logged_in", added.account.id)
        account = added.account
        return Added(account.id, account.name, added.created, added.credential_kept)

    @post("/device", status_code=200, opt={UNREPEATED: True})
    async def begin_device(self, data: JSONBody[Begin], desk: Given[AccountDesk]) -> DeviceCode:
        """Begin a login with a code that is typed on any device."""
        return await desk.logins.begin_device(proxy_url=_proxy(data.proxy_url))

    @post("/device/poll", status_code=200, opt={UNREPEATED: True})
    async def poll_device(
        self,
        data: JSONBody[Poll],
        desk: Given[AccountDesk],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> DevicePolled:
        """Tell whether the person has agreed; then the account is there."""
        added = await desk.poll_login(data.id, name=data.name, own=_proxy(data.proxy_url))
        if added is None:
            return DevicePolled(done=False)
        account = added.account
        await audit.note(actor, "account_logged_in", account.id)
        told = Added(account.id, account.name, added.created, added.credential_kept)
        return DevicePolled(done=True, account=told)


def _proxy(text: str | None) -> Secret | None:
    found = proxy(text)
    return found if isinstance(found, Secret) else None
