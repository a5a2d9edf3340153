"""What this process takes of the machine, as the machine tells it."""

import os
import resource
import sys
from pathlib import Path
from typing import Final

_STATM: Final = Path("/proc/self/statm")
_PAGE_BYTES: Final = resource.getpagesize()


def resident_bytes() -> int:
    """Return the memory that the process has now; where that is not told, the most it ever had."""
    try:
        return int(_STATM.read_text("ascii").split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def cpu_s() -> float:
    """Return the seconds of CPU that it has taken so far, all threads together."""
    times = os.times()
    return times.user + times.system
