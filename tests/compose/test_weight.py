"""What a process on SQLite and memory leaves unloaded: packages for what it does not do."""

import subprocess
import sys
from typing import Final

ELSEWHERE: Final = ("alembic", "asyncpg", "pyreqwest", "redis", "splintr")
LOAD: Final = """
import asyncio, sys
from pathlib import Path
import app.compose.admin
from app.settings import Settings
from app.store.store import Store

async def main():
    async with Store.open(Settings(data_dir=Path(sys.argv[1]))):
        print(*sorted(set(sys.argv[2:]) & set(sys.modules)))

asyncio.run(main())
"""


def loaded(folder: str) -> list[str]:
    """Return which of those packages a new process has loaded once its store is open."""
    command = [sys.executable, "-c", LOAD, folder, *ELSEWHERE]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.split()


def test_a_process_by_itself_loads_nothing_for_others(tmp_path):
    """The first start makes the tables, which takes Alembic; every other one finds them."""
    folder = str(tmp_path / "data")
    assert loaded(folder) == ["alembic"]
    assert loaded(folder) == []
