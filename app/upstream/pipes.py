"""Realtime connections to servers that are opened by an API key: dialled, and handed through."""

from typing import Final
from urllib.parse import quote

from app.domain.account import Account, AccountKind
from app.domain.call import Call
from app.ports import Pipe, PipeRefused, UpstreamFailure
from app.upstream.addresses import Addresses
from app.upstream.keyed import PLATFORM_URL, key_headers
from app.upstream.sockets.connection import Connection, Dial, Rejected, Target, Unreachable
from app.upstream.sockets.socket import Turn

PATH: Final = "/realtime?model="


class KeyedPipes:
    """Satisfies `app.ports.Pipes`."""

    def __init__(self, *, dial: Dial, addresses: Addresses, user_agent: str) -> None:
        self._dial = dial
        self._addresses = addresses
        self._user_agent = user_agent

    async def dial(self, account: Account, call: Call) -> Pipe:
        """Return the account's connection for the call's model."""
        base_url = account.base_url or PLATFORM_URL
        if account.kind is not AccountKind.OPENAI or not base_url.startswith("http"):
            raise UpstreamFailure("this kind of account has no realtime sessions", sent=False)
        model = quote(account.name_of(call.model), safe="")
        target = Target(
            "ws" + base_url.removeprefix("http").rstrip("/") + PATH + model,
            tuple(key_headers(account, user_agent=self._user_agent)),
            account.proxy_url,
            await self._addresses.pin(account),
        )
        try:
            return _Pipe(await self._dial(target))
        except Rejected as rejected:
            raise PipeRefused(rejected.status, rejected.headers, rejected.body) from None
        except Unreachable as unreachable:
            raise UpstreamFailure(str(unreachable), sent=False) from None


class _Pipe:
    """One connection; its messages wait in a queue that holds the connection when it is full."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._unread = Turn(connection)
        self._closed = False
        connection.listen(self)

    @property
    def code(self) -> int | None:
        """The close code, once the connection is over."""
        return self._unread.failure[0] if self._unread.failure is not None else None

    async def send(self, data: bytes) -> None:
        """Send a text message."""
        try:
            await self._connection.send(data)
        except ConnectionError as error:
            raise UpstreamFailure("the realtime connection is over", sent=True) from error

    async def read(self) -> bytes:
        """Return the next message."""
        return await self._unread.read()

    async def close(self) -> None:
        """End it."""
        if not self._closed:
            self._closed = True
            await self._connection.close()

    def message(self, data: bytes) -> None:
        """Take in a message."""
        self._unread.put(data)

    def pong(self) -> None:
        """Take in an answer to a ping that nobody has sent."""

    def lost(self, code: int, reason: str) -> None:
        """Take in the end."""
        self._unread.fail(code, reason)
