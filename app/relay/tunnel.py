"""A leased pipe to an upstream, for connections that carry no calls: one attempt, no loop.

What goes through is not looked at, but for what the books need: a response that is done says what
it used. The lease lasts as long as the tunnel and is settled when it is closed.
"""

from typing import Final

import msgspec
from msgspec import Struct

from app.domain.call import Call
from app.domain.needs import said
from app.domain.outcome import Abandoned, Broken, Outcome, Succeeded
from app.domain.usage import Heard, Usage
from app.errors import CapacityError, GatewayError, NotSupportedByUpstream
from app.pool.pool import AccountPool, Lease
from app.ports import Clock, Observer, Pipe, PipeRefused, Pipes, UpstreamFailure
from app.relay.admission import Admission
from app.relay.attempt import Attempt, Desk
from app.relay.diagnosis import diagnose, read
from app.relay.verdict import last_word

DONE: Final = b'"response.done"'
NORMAL: Final = frozenset({1000, 1001, 1005})


class _Details(Struct):
    cached_tokens: int = 0


class _Told(Struct):
    input_tokens: int = 0
    output_tokens: int = 0
    input_token_details: _Details | None = None


class _Response(Struct):
    usage: _Told | None = None


class _Done(Struct):
    type: str
    response: _Response | None = None


_DONE: Final = msgspec.json.Decoder(_Done)


class Tunnels:
    """Opens tunnels on leased accounts."""

    def __init__(
        self,
        *,
        pool: AccountPool,
        admission: Admission,
        pipes: Pipes,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._desk = Desk(pool, admission, clock, observer)
        self._pipes = pipes

    async def open(self, call: Call) -> "Tunnel":
        """Return a tunnel; `close` it, whatever happens.

        Raises:
            CapacityError: No account can take the call before its deadline.
            NotSupportedByUpstream: No configured account can at all.
            UpstreamError: The account that was chosen could not be reached, or refused.
        """
        lease = await self._lease(call)
        attempt = Attempt(self._desk, call, lease)
        attempt.heard = Heard()
        outcome: Outcome
        try:
            pipe = await self._pipes.dial(lease.account, call)
        except PipeRefused as refused:
            fault = read(refused.status, refused.headers, refused.body, limits=attempt.limits)
            outcome = diagnose(fault, model=call.model, now=self._desk.clock.now())
        except UpstreamFailure as failure:
            outcome = Broken(failure.reason, sent=failure.sent)
        except BaseException:
            attempt.conclude(Abandoned())
            raise
        else:
            attempt.began()
            return Tunnel(pipe, attempt, attempt.heard)
        attempt.conclude(outcome)
        raise last_word(outcome)

    async def _lease(self, call: Call) -> Lease:
        desk = self._desk
        asked_at = desk.clock.monotonic()
        try:
            lease = await desk.admission.lease(call)
        except CapacityError as error:
            told: GatewayError = error
            if error.code == "pool_empty" and not desk.pool.able(call.needs):
                words = f"No configured upstream is of a kind that can do this: {said(call.needs)}."
                told = NotSupportedByUpstream(words)
            desk.observer.refused(call, told.code, desk.clock.monotonic() - asked_at)
            raise told from None
        desk.observer.leased(call, lease.reason, desk.clock.monotonic() - asked_at)
        return lease


class Tunnel:
    """Messages both ways. One task may `send` while another one `reads`."""

    def __init__(self, pipe: Pipe, attempt: Attempt, heard: Heard) -> None:
        self._pipe = pipe
        self._attempt = attempt
        self._heard = heard

    @property
    def code(self) -> int | None:
        """What the upstream has closed with, once it has."""
        return self._pipe.code

    async def send(self, data: bytes) -> None:
        """Hand a message on. Raises UpstreamFailure at the end."""
        await self._pipe.send(data)

    async def read(self) -> bytes:
        """Return the upstream's next message. Raises UpstreamFailure at the end."""
        data = await self._pipe.read()
        if DONE in data[:256]:
            self._heard.usage = _added(self._heard.usage, data)
        return data

    async def close(self) -> None:
        """Let go of the upstream, and settle the lease with what was used."""
        code = self._pipe.code
        try:
            await self._pipe.close()
        finally:
            if code is None or code in NORMAL:
                begun_after_s = self._attempt.begun_after_s or 0.0
                self._attempt.conclude(Succeeded(begun_after_s, self._heard.usage))
            else:
                self._attempt.conclude(Broken(f"closed with {code}", sent=True))


def _added(before: Usage | None, data: bytes) -> Usage | None:
    """Return what was used so far, with what this response says."""
    try:
        done = _DONE.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return before
    told = done.response.usage if done.response else None
    if done.type != "response.done" or told is None:
        return before
    had = before or Usage()
    cached = told.input_token_details.cached_tokens if told.input_token_details else 0
    return msgspec.structs.replace(
        had,
        input=had.input + told.input_tokens,
        cached=had.cached + cached,
        output=had.output + told.output_tokens,
    )
