"""What must be true of the machine before the gateway starts, said in sentences if it is not.

Looked at in the process that starts the workers, where a sentence on stderr is still read; later
each of these would be a traceback in a worker that is started again and again. What settings say
about each other, such as several workers without Redis, is `app.settings`' matter; whether servers
can be reached is nobody's at the start: the gateway begins without them.
"""

import os
import resource
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from app.errors import StateError
from app.settings import Settings

DESCRIPTORS_AT_REST: Final = 60
"""What a worker that carries nothing has open, or thereabouts."""
DESCRIPTORS_MIN: Final = 192
DESCRIPTORS_FEW: Final = 1_024
ROOM_BYTES_MIN: Final = 64 << 20
"""The journal reserves its room ahead."""
BUILT_AT: Final = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
BEHIND_S_MAX: Final = 86_400.0


def preflight(settings: Settings, *, now: float) -> list[str]:
    """Return what deserves a second look, a sentence each.

    Raises:
        StateError: The gateway can't run here; its message has all that is in the way.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    folders = {settings.data_dir, settings.sqlite_path.parent}
    taken = DESCRIPTORS_AT_REST + settings.limits.descriptors_spare
    faults = [
        *_few_descriptors(limit, DESCRIPTORS_MIN, taken=taken),
        *(fault for folder in sorted(folders) for fault in _unusable(folder)),
        *_no_time(now),
    ]
    if faults:
        raise StateError(" ".join(faults))
    return _few_descriptors(limit, DESCRIPTORS_FEW, taken=taken) + _behind(settings, now)


def _few_descriptors(limit: int, wanted: int, *, taken: int) -> list[str]:
    if limit == resource.RLIM_INFINITY or limit >= wanted:
        return []
    streams = max(0, limit - taken) // 2
    text = f"Only {limit} files may be open at a time, enough for {streams} streams"
    return [f"{text}: raise the limit (`ulimit -n`, LimitNOFILE in systemd, ulimits in compose)."]


def _unusable(folder: Path) -> list[str]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        text = f"{folder} can't be written by user {os.getuid()} ({error.strerror})"
        return [f"{text}: give it to that user, or set CODEX_DATA_DIR to another directory."]
    free = shutil.disk_usage(folder).free
    if free >= ROOM_BYTES_MIN:
        return []
    text = f"{folder} has {free >> 20} MiB free and needs {ROOM_BYTES_MIN >> 20}: make room, or set"
    return [f"{text} CODEX_DATA_DIR to another directory."]


def _no_time(now: float) -> list[str]:
    if now >= BUILT_AT:
        return []
    text = f"The clock says {datetime.fromtimestamp(now, UTC):%Y-%m-%d}, which is long ago"
    return [f"{text}: set it by NTP. Certificates, renewals and quotas go by it."]


def _behind(settings: Settings, now: float) -> list[str]:
    """Return a sentence if what was written last was written in the future."""
    try:
        written = max(each.stat().st_mtime for each in settings.data_dir.iterdir())
    except (OSError, ValueError):
        return []
    if written <= now + BEHIND_S_MAX:
        return []
    days = (written - now) / 86_400
    text = f"The clock is {days:.0f} days behind the latest file in {settings.data_dir}"
    return [f"{text}: if it is wrong, set it by NTP; calls are booked on the day that it says."]
