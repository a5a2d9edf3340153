"""Real SQLite files, a new one for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.settings import Limits, Settings
from app.store.store import Store

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a store that does not exist yet and makes its own key file."""
    limits = Limits(
        store_busy_timeout_s=0.2,
        store_lock_timeout_s=0.2,
        account_events_max=5,
        accounts_max=4,
        keys_max=4,
    )
    return Settings(data_dir=tmp_path / "data", limits=limits)


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """An open store with nothing in it."""
    async with Store.open(settings) as store:
        yield store
