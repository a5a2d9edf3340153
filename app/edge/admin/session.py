"""`/api/admin/login`, `/session`, `/sessions`, `/password`, `/totp`: who is logged in, and how."""

from typing import Annotated

from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency as Given
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from app.admin.access import Access, Opened, csrf_token
from app.admin.audit import Auditor
from app.domain.account import Secret
from app.domain.admin import Actor
from app.edge.admin.bodies import PasswordText
from app.edge.admin.errors import ErrorBody
from app.edge.admin.gate import OPEN, UNREPEATED, Where
from app.errors import CallerError, NotAllowed

CodeText = Annotated[str, Meta(min_length=6, max_length=16)]


class Login(Struct, forbid_unknown_fields=True):
    """What a person types to log in."""

    password: PasswordText
    code: CodeText | None = None
    """The one-time code, once a second factor is set."""


class SessionState(Struct, frozen=True):
    """Who is logged in; send `csrf_token` as the header `X-CSRF-Token` with every change."""

    authenticated: bool
    csrf_token: str | None
    """Null for a script that sends `X-Admin-Key`."""
    session_id: str | None
    totp: bool
    """A second factor is set."""
    password_from_environment: bool
    """The password is changed where the environment is."""


class SessionRow(Struct, frozen=True):
    """A browser that is logged in."""

    id: str
    created_at: float
    seen_at: float
    ip: str
    user_agent: str
    current: bool


class Sessions(Struct, frozen=True):
    """All browsers that are logged in."""

    items: list[SessionRow]


class NewPassword(Struct, forbid_unknown_fields=True):
    """A change of the password."""

    password: PasswordText
    new_password: PasswordText


class Password(Struct, forbid_unknown_fields=True):
    """The password once more, for what must not be done by whoever finds a browser open."""

    password: PasswordText


class OneTimeCode(Struct, forbid_unknown_fields=True):
    """A one-time code."""

    code: CodeText


class PasswordAndCode(Struct, forbid_unknown_fields=True):
    """Both factors."""

    password: PasswordText
    code: CodeText


class SecondFactorBegun(Struct, frozen=True):
    """What an authenticator takes; it counts once a code was confirmed."""

    secret: str
    url: str


class SessionController(Controller):
    """Logging in and out."""

    tags = ("session",)

    @post(
        "/login",
        opt={OPEN: True, UNREPEATED: True},
        status_code=200,
        responses={401: ResponseSpec(ErrorBody, generate_examples=False)},
    )
    async def log_in(
        self,
        data: JSONBody[Login],
        access: Given[Access],
        audit: Given[Auditor],
        actor: Given[Actor],
        where: Given[Where],
    ) -> Response[SessionState]:
        """Begin a session; its cookie comes with the answer."""
        try:
            opened = await access.log_in(
                Secret(data.password),
                code=data.code,
                address=where.address,
                user_agent=where.user_agent,
            )
        except CallerError as error:
            await audit.note(actor, "login_failed", after=error.code)
            raise
        await audit.note(actor, "login", opened.session.id)
        return await _opened(opened, access, where)

    @get("/session")
    async def session(
        self, access: Given[Access], actor: Given[Actor], cookie: Given[Secret | None]
    ) -> SessionState:
        """Tell who is logged in; 401 if nobody is."""
        if actor.session is None:
            return await _state(None, None, access)
        return await _state(cookie, actor.session.id, access)

    @post("/logout", opt={UNREPEATED: True}, status_code=204)
    async def log_out(
        self, access: Given[Access], audit: Given[Auditor], actor: Given[Actor], where: Given[Where]
    ) -> Response[None]:
        """End this session."""
        if actor.session is not None:
            await access.end(actor.session.digest)
            await audit.note(actor, "logout", actor.session.id)
        return Response(None, status_code=204, cookies=[where.cookie(None)])

    @get("/sessions")
    async def sessions(self, access: Given[Access], actor: Given[Actor]) -> Sessions:
        """List the browsers that are logged in."""
        mine = actor.session.digest if actor.session else ""
        return Sessions(
            [
                SessionRow(
                    id=each.id,
                    created_at=each.created_at,
                    seen_at=each.seen_at,
                    ip=each.ip,
                    user_agent=each.user_agent,
                    current=each.digest == mine,
                )
                for each in await access.sessions()
            ]
        )

    @delete("/sessions/{session_id:str}", status_code=204)
    async def end_session(
        self,
        session_id: FromPath[str],
        access: Given[Access],
        audit: Given[Auditor],
        actor: Given[Actor],
    ) -> None:
        """Log a browser out."""
        known = [each.digest for each in await access.sessions() if each.id == session_id]
        if not known or not await access.end(known[0]):
            raise CallerError("There is no such session.", status=404, code="not_found")
        await audit.note(actor, "session_ended", session_id)

    @post("/password", opt={UNREPEATED: True}, status_code=200)
    async def change_password(
        self,
        data: JSONBody[NewPassword],
        access: Given[Access],
        audit: Given[Auditor],
        actor: Given[Actor],
        where: Given[Where],
    ) -> Response[SessionState]:
        """Change the password: every session ends, and this browser gets a new one."""
        opened = await access.change_password(
            Secret(data.password),
            Secret(data.new_password),
            address=where.address,
            user_agent=where.user_agent,
        )
        await audit.note(actor, "password_changed")
        return await _opened(opened, access, where)

    @post("/totp", opt={UNREPEATED: True}, status_code=200)
    async def begin_totp(
        self,
        data: JSONBody[Password],
        access: Given[Access],
        audit: Given[Auditor],
        actor: Given[Actor],
        where: Given[Where],
    ) -> SecondFactorBegun:
        """Begin to set a second factor."""
        if await access.has_second_factor():
            raise NotAllowed("A second factor is set: remove it first.", code="totp_set")
        begun = await access.begin_second_factor(Secret(data.password), address=where.address)
        await audit.note(actor, "totp_begun")
        return SecondFactorBegun(begun.secret.reveal(), begun.url)

    @post("/totp/confirm", opt={UNREPEATED: True}, status_code=204)
    async def confirm_totp(
        self,
        data: JSONBody[OneTimeCode],
        access: Given[Access],
        audit: Given[Auditor],
        actor: Given[Actor],
        where: Given[Where],
    ) -> None:
        """Let the second factor count from now on."""
        await access.confirm_second_factor(data.code, address=where.address)
        await audit.note(actor, "totp_set")

    @post("/totp/remove", opt={UNREPEATED: True}, status_code=204)
    async def remove_totp(
        self,
        data: JSONBody[PasswordAndCode],
        access: Given[Access],
        audit: Given[Auditor],
        actor: Given[Actor],
        where: Given[Where],
    ) -> None:
        """Let a login do without a one-time code."""
        await access.remove_second_factor(Secret(data.password), data.code, address=where.address)
        await audit.note(actor, "totp_removed")


async def _opened(opened: Opened, access: Access, where: Where) -> Response[SessionState]:
    state = await _state(opened.cookie, opened.session.id, access)
    return Response(state, cookies=[where.cookie(opened.cookie)])


async def _state(cookie: Secret | None, session_id: str | None, access: Access) -> SessionState:
    return SessionState(
        authenticated=True,
        csrf_token=csrf_token(cookie) if cookie else None,
        session_id=session_id,
        totp=await access.has_second_factor(),
        password_from_environment=access.from_environment,
    )
