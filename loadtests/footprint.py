"""What the gateway takes on a disk: its installed files, and its data after 100,000 requests.

    python -m loadtests.footprint

The files are those that the image has: the locked packages in an environment of their own, the
gateway and the admin UI. The data is what the ledger writes of so many requests to SQLite, and the
room that the journal reserves.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from app.settings import Settings
from app.store.store import upgrade_schema
from app.usage.journal import JournalLimits
from loadtests.db_fill import Filling, fill_sqlite

ROOT: Final = Path(__file__).parent.parent
REQUESTS: Final = 100_000
SEGMENTS: Final = 2
"""The one that is written to, and the one that is reserved ahead."""
MB_MAX: Final = 500


def size(folder: Path) -> int:
    """Return the bytes that a file, or a folder with all that is in it, takes on the disk."""
    found = [folder, *folder.rglob("*")]
    return sum(each.lstat().st_blocks * 512 for each in found if not each.is_symlink())


def installed(folder: Path) -> int:
    """Install what the image has, and return the bytes that it takes."""
    environment = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = str(environment / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    lock = [*pip, "install", "--require-hashes", "--only-binary", ":all:", "-r"]
    # The pip that comes with Python 3.11 takes an extra's pin for another package.
    subprocess.run([*lock, str(ROOT / "requirements-build.lock")], check=True)
    subprocess.run([*lock, str(ROOT / "requirements.lock")], check=True)
    subprocess.run([*pip, "uninstall", "--yes", "hatchling", "setuptools"], check=True)
    subprocess.run([*pip, "uninstall", "--yes", "pip"], check=True)
    code = sum(size(path) for path in (ROOT / "app").rglob("*.py"))
    pages = ROOT / "admin-ui" / "dist"
    return size(environment) + code + (size(pages) if pages.exists() else 0)


def data(folder: Path, requests: int) -> int:
    """Write down so many requests, and return the bytes that they take."""
    settings = Settings(data_dir=folder)
    asyncio.run(upgrade_schema(settings))
    asyncio.run(fill_sqlite(settings.sqlite_path, Filling(rows=requests)))
    return size(folder) + SEGMENTS * JournalLimits().segment_bytes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 if it takes too much."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.footprint", description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="codex2api-footprint-") as name:
        files = Path(name, "files")
        rows = Path(name, "data")
        for folder in (files, rows):
            folder.mkdir()
        os.umask(0o077)
        code_mb = installed(files) / 1e6
        data_mb = data(rows, asked.requests) / 1e6
    whole = code_mb + data_mb
    print(
        f"installed files {code_mb:.0f} MB, data after {asked.requests} requests {data_mb:.0f} MB"
    )
    print(f"together {whole:.0f} MB, at most {MB_MAX} MB")
    return 1 if whole > MB_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
