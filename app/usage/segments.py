"""The files of a worker's journal: made ahead of need, written in place, deleted when moved.

A segment is given its room on the disk before the first record is written to it, so a disk that is
full is noticed while there is still a segment to write to, and never in the middle of one. A folder
of segments belongs to the process that holds the lock in it; the kernel lets go of the lock when
that process dies, however it dies.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from app.errors import StateError
from app.usage.framing import HEAD

SUFFIX: Final = ".seg"
_LOCK: Final = "lock"


class Folder:
    """One worker's folder, held by this process. `release` it at the end."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def make(cls, path: Path) -> Self:
        """Make a folder of one's own.

        Raises:
            StateError: It can't be made, or another process holds it.
        """
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            held = cls.take(path)
        except OSError as error:
            raise StateError(
                f"The journal {path} can't be opened: {error.strerror}. Make its folder writable, "
                "or name another with CODEX_DATA_DIR."
            ) from error
        if held is None:
            raise StateError(f"The journal {path} belongs to another process.")
        return held

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Hold a folder whose process is gone, or return None if it is not.

        Raises:
            OSError: The lock can't be opened, or the folder is no longer there.
        """
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    @property
    def name(self) -> str:
        """The incarnation whose folder it is."""
        return self.path.name

    def numbers(self) -> list[int]:
        """Return the numbers of the segments that are there, oldest first."""
        found = (path.stem for path in self.path.glob(f"*{SUFFIX}"))
        return sorted(int(stem) for stem in found if stem.isdecimal())

    def segment(self, number: int) -> Path:
        """Return where the segment of this number is."""
        return self.path / f"{number:08d}{SUFFIX}"

    def aside(self, number: int) -> Path:
        """Return where to put what can't be moved out of a segment."""
        return self.path.parent / "bad" / f"{self.name}-{number:08d}.bad"

    def release(self) -> None:
        """Let go of the folder; its files stay."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Remove the folder, which must hold no segment any more, and let go of it."""
        with suppress(OSError):
            (self.path / _LOCK).unlink()
            self.path.rmdir()
        self.release()


class Segment:
    """A segment that is being written. `close` it at the end."""

    def __init__(self, path: Path, number: int, *, size: int) -> None:
        """Make the file and give it all its room.

        Raises:
            OSError: The disk has no room for it, or it can't be made; nothing is left behind then.
        """
        self.path = path
        self.number = number
        self._size = size
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _reserve(self._descriptor, size)
            os.pwrite(self._descriptor, HEAD, 0)
        except OSError:
            os.close(self._descriptor)
            path.unlink()
            raise
        self._offset = len(HEAD)

    @property
    def end(self) -> int:
        """Up to here whole records stand; ask from any thread."""
        return self._offset

    def append(self, data: bytes) -> bool:
        """Write `data` behind what is there; False, and nothing is written, if it does not fit.

        It is in the kernel's hands when this returns, so the death of this process can't take it.

        Raises:
            OSError: It could not be written; the next one is written to the same place.
        """
        end = self._offset + len(data)
        if end > self._size:
            return False
        if os.pwrite(self._descriptor, data, self._offset) != len(data):
            raise OSError(errno.EIO, "short write")
        self._offset = end
        return True

    def sync(self) -> None:
        """Put everything on the disk, where the death of the machine can't take it."""
        # The room was reserved with its final size, so the data is all that has to go.
        os.fdatasync(self._descriptor) if hasattr(os, "fdatasync") else os.fsync(self._descriptor)

    def close(self) -> None:
        """Sync and close."""
        try:
            self.sync()
        finally:
            os.close(self._descriptor)


def orphans(root: Path, *, own: str) -> Iterator[Folder]:
    """Hold and give the folders below `root` whose processes are gone."""
    if not root.is_dir():
        return
    for path in sorted(root.iterdir()):
        if path.name == own or not (path / _LOCK).exists():
            continue
        with suppress(OSError):
            held = Folder.take(path)
            if held is not None:
                yield held


def _reserve(descriptor: int, size: int) -> None:
    """Give the file its room; where the system can't promise it, write the zeros."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    block = bytes(65_536)
    for at in range(0, size, len(block)):
        os.pwrite(descriptor, block[: size - at], at)
