"""Simulated callers: they stream or collect, read slowly, leave at any moment, and judge.

A caller checks that what it got is what one attempt said, from the first byte to the last.
"""

import asyncio

from msgspec import Struct

from app.domain.call import Call
from app.errors import GatewayError
from app.relay.reply import Batch, Reply
from tests.simulation.overseer import Record
from tests.simulation.process import Process


class Manner(Struct, frozen=True):
    """How a caller behaves."""

    stream: bool = True
    leaves_after_s: float | None = None
    """It goes away in the middle of whatever is happening then."""
    leaves_after_steps: int = 0
    """So many steps after that."""
    batches_max: int | None = None
    """It has had enough after so many pieces."""
    pause_s: float = 0.0
    """Between two pieces."""


class _Heard:
    """A fold that keeps the bytes of a reply."""

    def __init__(self) -> None:
        self.raw = b""

    def feed(self, batch: Batch) -> None:
        """Take the next events."""
        self.raw += batch.raw


def ask(process: Process, call: Call, manner: Manner) -> Record:
    """Send a call to a process; what becomes of it is the overseer's business."""
    record = Record(call, process, manner.stream)
    process.overseer.arrived(record)
    process.calls[call.id] = record
    loop = process.world.loop
    task = loop.create_task_of(process, _live(record, manner), name=call.id)

    def gone(_: asyncio.Task[None]) -> None:
        # Who leaves before anything has begun leaves no trace of its own.
        if record.end is None and process.alive:
            process.overseer.ended(record, "left")
        process.calls.pop(call.id, None)

    task.add_done_callback(gone)

    def leave() -> None:
        if record.end is None and process.alive:
            record.left_at = loop.time()
            task.cancel()

    if manner.leaves_after_s is not None:
        loop.call_later(
            manner.leaves_after_s, lambda: loop.after_steps(manner.leaves_after_steps, leave)
        )
    return record


async def _live(record: Record, manner: Manner) -> None:
    process, overseer = record.process, record.process.overseer
    try:
        end = await _get(record, manner)
    except asyncio.CancelledError:
        if process.alive and record.left_at is None:
            overseer.accuse("E", f"{record.call.id} was cancelled by nobody")
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is to be seen
        end = f"error:{error.code}" if isinstance(error, GatewayError) else repr(error)
        if not isinstance(error, GatewayError) and process.alive:
            overseer.accuse("E", f"{record.call.id} ended with {error!r}")
    task = asyncio.current_task()
    if record.left_at is None and process.alive and task is not None and task.cancelling():
        overseer.accuse("E", f"{record.call.id} has an end and a cancellation left over")
    if process.alive:
        overseer.ended(record, end)


async def _get(record: Record, manner: Manner) -> str:
    """Make the call and return how it ended well."""
    if manner.stream:
        return await _stream(record, manner)
    heard = await record.process.relay.whole(record.call, _Heard)
    _check_whole(record, heard.raw)
    return "whole"


async def _stream(record: Record, manner: Manner) -> str:
    reply = await record.process.relay.open(record.call)
    raw, count = b"", 0
    try:
        while (batch := await reply.read()) is not None:
            record.content = True
            raw += batch.raw
            count += 1
            if count == manner.batches_max:
                reply.abandon()
                return "enough"
            if manner.pause_s:
                await asyncio.sleep(manner.pause_s)
    finally:
        _check_part(record, raw)
        await reply.close()
    _check_end(record, reply)
    return "whole"


def _check_end(record: Record, reply: Reply) -> None:
    said = record.exchanges[-1].whole
    if not reply.ended or (
        b'"response.completed"' not in said and b'"response.failed"' not in said
    ):
        record.process.overseer.accuse("E", f"{record.call.id} ended without its last event")


def _check_part(record: Record, raw: bytes) -> None:
    """Look whether the caller got the beginning of what one attempt said, and whole events."""
    if raw and not (record.exchanges[-1].whole.startswith(raw) and raw.endswith(b"\n\n")):
        record.process.overseer.accuse("E", f"{record.call.id} got bytes that nobody sent")


def _check_whole(record: Record, raw: bytes) -> None:
    if raw != record.exchanges[-1].whole or b'"response.completed"' not in raw:
        record.process.overseer.accuse("E", f"{record.call.id} got another reply than was sent")
