"""Who may administer: a password for people, sessions for their browsers, the password for scripts.

Rule 1: a session is a random text in a cookie. Only its digest is stored, so a copy of the
database opens nothing. It ends after half an hour without a request, and after twelve hours anyway.
Rule 2: whatever tries the password waits its turn (`app.admin.throttle`) before anything is hashed.
Rule 3: a change of the password or of the second factor ends every session.
Rule 4: what is in the environment wins: such a password is changed there.

Scripts send the password itself as a header. Once it was right, its digest under a key of this
process alone is kept in memory, so that not each of their requests costs a hash.
"""

import hmac
import secrets
from hashlib import sha256
from typing import Final

import pyotp
from msgspec import Struct

from app.admin.passwords import Passwords, TooManyHashes
from app.admin.rows import AdminRows
from app.admin.throttle import Throttle
from app.domain.account import Secret
from app.domain.admin import Session
from app.errors import CallerError, InvalidRequest, TooManyRequests, Unauthenticated
from app.ports import Clock

IDLE_S: Final = 1_800.0
LIFE_S: Final = 12 * 3_600.0
SEEN_EVERY_S: Final = 60.0
"""How often a session's last use is written down."""
PASSWORD_CHARS_MIN: Final = 12
PASSWORD_CHARS_MAX: Final = 256
USER_AGENT_CHARS_MAX: Final = 200
ISSUER: Final = "codex2api"
_STEP_S: Final = 30
_WRONG: Final = "The password or the one-time code is wrong."


class Opened(Struct, frozen=True):
    """A session that was just begun: `cookie` is told to the browser, and to nobody else."""

    cookie: Secret
    session: Session


class SecondFactor(Struct, frozen=True):
    """What an authenticator is shown, once."""

    secret: Secret
    url: str


class Access:
    """The door of one worker; all workers have the same sessions."""

    def __init__(
        self, *, rows: AdminRows, passwords: Passwords, clock: Clock, from_environment: bool
    ) -> None:
        self._rows = rows
        self._passwords = passwords
        self._clock = clock
        self._throttle = Throttle()
        self._pepper = secrets.token_bytes(32)
        self._known_key: tuple[str, bytes] | None = None
        """The hash that was stored when the header was right, and the header's digest."""
        self.from_environment = from_environment

    async def prepare(self, given: Secret | None) -> Secret | None:
        """Make the stored password that of the environment; without one make one up at first.

        Returns a password that was made up, to be shown this once.
        """
        stored = await self._rows.password()
        now = self._clock.now()
        if given is not None:
            if stored is None or not await self._passwords.matches(stored.hash, given):
                await self._rows.set_password(await self._passwords.hash(given), at=now)
            return None
        if stored is not None:
            return None
        made = Secret(secrets.token_urlsafe(18))
        first = await self._rows.first_password(await self._passwords.hash(made), at=now)
        return made if first else None

    async def log_in(
        self, password: Secret, *, code: str | None, address: str, user_agent: str
    ) -> Opened:
        """Begin a session.

        Raises:
            Unauthenticated: The password or the code is wrong, or a code is wanted.
            TooManyRequests: It is too early for another try.
        """
        await self.prove(password, address=address)
        secret = await self._rows.second_factor()
        if secret is not None:
            if not code:
                raise Unauthenticated(
                    "A one-time code is wanted as well.", code="totp_required", param="code"
                )
            await self._prove_code(secret, code, address=address)
        self._throttle.succeeded(address)
        return await self._open(address, user_agent)

    async def prove(self, password: Secret, *, address: str) -> None:
        """Check the password; raises like `log_in`."""
        monotonic = self._clock.monotonic()
        wait_s = self._throttle.wait_s(address, now=monotonic)
        if wait_s > 0:
            raise _too_early(wait_s)
        stored = await self._rows.password()
        try:
            right = stored is not None and await self._passwords.matches(stored.hash, password)
        except TooManyHashes:
            raise _too_early(1.0) from None
        if not right:
            self._throttle.failed(address, now=monotonic)
            raise Unauthenticated(_WRONG, code="invalid_credentials", param="password")

    async def admit_key(self, key: Secret, *, address: str) -> None:
        """Check the password that a script sends as a header; raises like `log_in`."""
        stored = await self._rows.password()
        given = hmac.digest(self._pepper, key.reveal().encode("utf-8", "surrogatepass"), "sha256")
        known = self._known_key
        if (
            known is not None
            and stored is not None
            and known[0] == stored.hash
            and hmac.compare_digest(known[1], given)
        ):
            return
        await self.prove(key, address=address)
        if stored is not None:
            self._known_key = (stored.hash, given)

    async def session(self, cookie: Secret) -> Session | None:
        """Return the session that a cookie holds, if it is not over; it has been used now."""
        found = await self._rows.session(_digest(cookie))
        now = self._clock.now()
        if found is None or not _lasts(found, now):
            return None
        if now - found.seen_at > SEEN_EVERY_S:
            await self._rows.see_session(found.digest, at=now)
        return found

    async def alive(self, cookie: Secret) -> bool:
        """Tell whether a session is not over, without using it."""
        found = await self._rows.session(_digest(cookie))
        return found is not None and _lasts(found, self._clock.now())

    async def sessions(self) -> list[Session]:
        """Return the sessions that are not over."""
        now = self._clock.now()
        return [each for each in await self._rows.sessions() if _lasts(each, now)]

    async def end(self, session_id: str) -> bool:
        """End a session by its id or digest; False if there is none."""
        return await self._rows.end_session(session_id)

    async def change_password(
        self, old: Secret, new: Secret, *, address: str, user_agent: str
    ) -> Opened:
        """Replace the password, end every session, and begin a new one; raises like `log_in`.

        Raises:
            InvalidRequest: The new one is too short or too long.
            CallerError: It stands in the environment, where it is to be changed.
        """
        if self.from_environment:
            raise CallerError(
                "The password is set by ADMIN_SECRET in the environment: change it there.",
                status=409,
                code="set_by_environment",
            )
        text = new.reveal()
        if not PASSWORD_CHARS_MIN <= len(text) <= PASSWORD_CHARS_MAX:
            raise InvalidRequest(
                f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters.",
                param="new_password",
            )
        await self.prove(old, address=address)
        await self._rows.set_password(await self._passwords.hash(new), at=self._clock.now())
        return await self._open(address, user_agent)

    async def has_second_factor(self) -> bool:
        """Tell whether a one-time code is wanted at a login."""
        return await self._rows.second_factor() is not None

    async def begin_second_factor(self, password: Secret, *, address: str) -> SecondFactor:
        """Make a secret for an authenticator; it counts once a code of it was confirmed."""
        await self.prove(password, address=address)
        secret = Secret(pyotp.random_base32())
        await self._rows.set_second_factor(secret, pending=True)
        url = pyotp.TOTP(secret.reveal()).provisioning_uri(name="admin", issuer_name=ISSUER)
        return SecondFactor(secret, url)

    async def confirm_second_factor(self, code: str, *, address: str) -> None:
        """Let the secret that was made count from now on; raises like `log_in`.

        Raises:
            InvalidRequest: None was made.
        """
        secret = await self._rows.second_factor(pending=True)
        if secret is None:
            raise InvalidRequest("No second factor was begun.", param="code")
        await self._prove_code(secret, code, address=address)
        await self._rows.set_second_factor(secret)

    async def remove_second_factor(self, password: Secret, code: str, *, address: str) -> None:
        """Let a login do without a code; raises like `log_in`."""
        await self.prove(password, address=address)
        secret = await self._rows.second_factor()
        if secret is None:
            raise InvalidRequest("There is no second factor.", param="code")
        await self._prove_code(secret, code, address=address)
        await self._rows.set_second_factor(None)

    async def _prove_code(self, secret: Secret, code: str, *, address: str) -> None:
        monotonic = self._clock.monotonic()
        wait_s = self._throttle.wait_s(address, now=monotonic)
        if wait_s > 0:
            raise _too_early(wait_s)
        totp, step = pyotp.TOTP(secret.reveal()), int(self._clock.now()) // _STEP_S
        given = code.replace(" ", "")
        # Clocks differ: the codes before and after count as well, each of them once.
        matching = [
            each
            for each in (step - 1, step, step + 1)
            if hmac.compare_digest(totp.at(each * _STEP_S).encode(), given.encode())
        ]
        if not matching or not await self._rows.take_step(matching[0]):
            self._throttle.failed(address, now=monotonic)
            raise Unauthenticated(_WRONG, code="invalid_credentials", param="code")

    async def _open(self, address: str, user_agent: str) -> Opened:
        cookie, now = Secret(secrets.token_urlsafe(32)), self._clock.now()
        session = Session(
            digest=_digest(cookie),
            created_at=now,
            seen_at=now,
            ip=address[:64],
            user_agent=user_agent[:USER_AGENT_CHARS_MAX],
        )
        await self._rows.add_session(session, expired_before=(now - LIFE_S, now - IDLE_S))
        return Opened(cookie, session)


def csrf_token(cookie: Secret) -> str:
    """Return what a page must send along with changes: only who is told it can know it."""
    return hmac.digest(cookie.reveal().encode(), b"codex2api csrf", "sha256").hex()


def _lasts(session: Session, now: float) -> bool:
    return now - session.created_at <= LIFE_S and now - session.seen_at <= IDLE_S


def _digest(cookie: Secret) -> str:
    return sha256(cookie.reveal().encode("utf-8", "surrogatepass")).hexdigest()


def _too_early(wait_s: float) -> TooManyRequests:
    return TooManyRequests(
        f"Too many tries: come back in {max(1, round(wait_s))} s.",
        code="too_many_attempts",
        retry_after_s=wait_s,
    )
