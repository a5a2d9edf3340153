"""Beginning to wait without a task."""

import asyncio

import pytest

from app.edge.stepping import begun


async def test_what_needs_no_waiting_is_done_at_once():
    """Before anybody awaits anything."""
    sent = []

    async def send() -> None:
        sent.append(1)

    assert begun(send()) is None
    assert sent == [1]


async def test_what_waits_is_awaited_to_its_end():
    """From where it has come to; it is begun once."""
    gate = asyncio.get_running_loop().create_future()
    sent = []

    async def send() -> None:
        sent.append(1)
        await gate
        await asyncio.sleep(0)
        sent.append(2)

    rest = begun(send())
    assert sent == [1]
    asyncio.get_running_loop().call_soon(gate.set_result, None)
    assert rest is not None
    await rest
    assert sent == [1, 2]


async def test_what_goes_wrong_is_raised_where_it_shows():
    """At once, or where it is awaited."""
    gate = asyncio.get_running_loop().create_future()

    async def send(*, wait: bool) -> None:
        if wait:
            await gate
        raise OSError

    with pytest.raises(OSError):
        begun(send(wait=False))
    rest = begun(send(wait=True))
    gate.set_result(None)
    assert rest is not None
    with pytest.raises(OSError):
        await rest


async def test_whoever_awaits_can_be_cancelled():
    """What it waits for is cancelled with it."""
    gate = asyncio.get_running_loop().create_future()
    rest = begun(_on(gate))

    async def wait() -> None:
        assert rest is not None
        await rest

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.cancelled()


async def _on(gate: asyncio.Future[None]) -> None:
    await gate
