"""Settings of a gateway that a test opens in its own process."""

from pathlib import Path

import pytest

from app.limits import Limits
from app.settings import Settings

KEY = "a-key-that-is-long-enough"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a gateway of its own, which looks at its store often."""
    return Settings(data_dir=tmp_path, api_keys=(KEY,), limits=Limits(reload_poll_s=0.01))
