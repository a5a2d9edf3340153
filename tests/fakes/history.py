"""A history that keeps much, for as long as a test lasts."""

from app.relay.history import HistoryBounds, MemoryHistory
from tests.fakes.clock import FakeClock


def memory_history(clock: FakeClock | None = None, **bounds: float) -> MemoryHistory:
    """Return a history; a megabyte of it, half of it a key's, unless told otherwise."""
    usual = {
        "bytes_max": 1 << 20,
        "key_bytes_max": 1 << 19,
        "conversation_bytes_max": 1 << 18,
        "ttl_s": 3600.0,
    }
    return MemoryHistory(bounds=HistoryBounds(**(usual | bounds)), clock=clock or FakeClock())
