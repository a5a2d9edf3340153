"""Where the workers of one program leave what they have counted, each for all.

    run/metrics/<program>/<worker>/counts     what a worker has counted, replaced as a whole
                                  /lock       held by that worker for as long as it lives
                         /retired             the sum of those that are gone, and their names

The kernel lets go of a lock when its process dies, however it dies; whoever of the others sees it
first adds that worker's counts to `retired` and removes its folder. `retired` names those it is the
sum of, so a worker counts once although two files have its figures for a moment: whoever adds up
reads `retired` last and leaves out whom it names. Several programs may share a data directory; a
program's files live until the next one starts and finds nobody in there.
"""

import fcntl
import logging
import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from msgspec import DecodeError

from app.errors import StateError
from app.telemetry.page import Page, Place, bounded, decode, encode, together

COUNTS: Final = "counts"
RETIRED: Final = "retired"
LOCK: Final = "lock"
GONE_MAX: Final = 1_000
"""Names kept in `retired`: a name is only looked for until its folder is removed."""
TURN_S: Final = 5.0
"""As long as a start waits for another; what they do takes milliseconds."""
_LOOK_S: Final = 0.02

logger = logging.getLogger(__name__)


def this_program() -> str:
    """Return a name that the workers of one start have in common, and no other start has.

    It is made from the random key that `multiprocessing` gives all children of one process, and
    tells nothing about it.
    """
    return sha256(bytes(multiprocessing.current_process().authkey)).hexdigest()[:16]


class Folder:
    """One worker's place among the others. `leave` it at the end. Every method may wait for disk.

    No two methods may run at the same time.
    """

    def __init__(self, home: Path, name: str, descriptor: int) -> None:
        self._home = home
        self._name = name
        self._descriptor = descriptor

    @classmethod
    def join(cls, root: Path, *, program: str, name: str) -> Self:
        """Take a place, and remove what programs have left that are gone.

        Raises:
            StateError: The folder can't be made or another process keeps it for too long.
        """
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _turn(root / LOCK, within_s=TURN_S) as taken:
                if not taken:
                    raise StateError(f"The folder {root} is kept by another process.")
                for other in root.iterdir():
                    if other.is_dir() and other.name != program and not _inhabited(other):
                        shutil.rmtree(other, ignore_errors=True)
                return cls(root / program, name, _settle(root / program, name))
        except OSError as error:
            raise StateError(
                f"The folder {root} can't be used: {error.strerror}. Make it writable, or name "
                "another with CODEX_DATA_DIR."
            ) from error

    def put(self, page: Page) -> None:
        """Replace what this worker has said before.

        Raises:
            OSError: It can't be; what was said before stands.
        """
        _replace(self._home / self._name / COUNTS, encode(page))

    def others(self) -> list[Page]:
        """Return what all other workers have counted; of those that are gone only the totals.

        Raises:
            OSError: Some of it can't be read now.
        """
        pages = {}
        for name in self._neighbours():
            found = _read(self._home / name / COUNTS)
            alive = _held(self._home / name)
            pages[name] = found if alive else Page(found.totals)
        retired = _read(self._home / RETIRED)
        return [retired, *(page for name, page in pages.items() if name not in retired.gone)]

    def retire(self, *, place: Place) -> list[str]:
        """Add up the workers that are gone, each once, and return their names.

        Raises:
            OSError: It can't be done now; nothing is lost and nothing is counted twice.
        """
        if all(_held(self._home / name) for name in self._neighbours()):
            return []
        with _turn(self._home / LOCK, within_s=0.0) as taken:
            gone = [name for name in self._neighbours() if not _held(self._home / name)]
            if not taken or not gone:
                return []
            retired = _read(self._home / RETIRED)
            new = [name for name in gone if name not in retired.gone]
            parts = [_read(self._home / name / COUNTS).totals for name in new]
            total = bounded(together([[], retired.families, *parts], place=place))
            names = [*retired.gone, *new][-GONE_MAX:]
            _replace(self._home / RETIRED, encode(Page(total, names)))
            for name in gone:
                shutil.rmtree(self._home / name, ignore_errors=True)
            return new

    def leave(self) -> None:
        """Let go; the others add up what this worker has said last."""
        os.close(self._descriptor)

    def _neighbours(self) -> list[str]:
        with suppress(FileNotFoundError):
            return sorted(
                path.name
                for path in self._home.iterdir()
                if path.name[0] != "." and path.name != self._name and path.is_dir()
            )
        return []


def _settle(home: Path, name: str) -> int:
    """Make a worker's folder, and return the descriptor that holds its lock.

    It gets its name when it is locked: nobody ever sees it free while its worker lives.
    """
    hidden = home / f".{name}"
    hidden.mkdir(mode=0o700, parents=True)
    descriptor = _open(hidden / LOCK)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    hidden.rename(home / name)
    return descriptor


def _inhabited(home: Path) -> bool:
    return any(_held(path) for path in home.iterdir() if path.is_dir())


def _held(folder: Path) -> bool:
    """Tell whether the worker of a folder lives; one that is being removed does not."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextmanager
def _turn(path: Path, *, within_s: float) -> Iterator[bool]:
    """Hold a lock within the block, and tell whether it could be had in time."""
    descriptor = _open(path)
    try:
        for _ in range(1 + int(within_s / _LOOK_S)):
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield True
                return
            time.sleep(_LOOK_S)
        yield False
    finally:
        os.close(descriptor)


def _replace(path: Path, data: bytes) -> None:
    """Write a file so that it is never seen half written."""
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(data)
    beside.replace(path)


def _read(path: Path) -> Page:
    """Return what is in a file: nothing if it is not there or spoilt."""
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        return Page()
    except DecodeError as error:
        logger.warning("spoilt metrics are left out: %s: %s", path, error)
        return Page()
