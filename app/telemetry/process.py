"""What this process takes of the machine, as the machine tells it."""

import os
import resource
import sys
from pathlib import Path
from typing import Final

_STATM: Final = Path("/proc/self/statm")
_DESCRIPTORS: Final = Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")
_PAGE_BYTES: Final = resource.getpagesize()


def resident_bytes() -> int:
    """Return the memory that the process has now; where that is not told, the most it ever had."""
    try:
        return int(_STATM.read_text("ascii").split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def descriptors() -> int:
    """Return how many descriptors the process has open."""
    # Linux since 6.2 says it without listing them, which takes milliseconds for thousands.
    told = _DESCRIPTORS.stat().st_size if sys.platform == "linux" else 0
    return told or sum(1 for _ in _DESCRIPTORS.iterdir())


def descriptors_max() -> int:
    """Return how many it may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def cpu_s() -> float:
    """Return the seconds of CPU that it has taken so far, all threads together."""
    times = os.times()
    return times.user + times.system
