"""What a run was measured on: processor, kernel and the versions that matter."""

import os
import platform
import ssl
import timeit
from importlib.metadata import version
from pathlib import Path

from app import __version__
from loadtests.bench import nginx
from loadtests.bench.processes import Cores


def description(cores: Cores) -> dict[str, str]:
    """Names and values, in the order in which they are shown."""
    where = f"gateway and nginx on core {cores.program}, loader and simulator on core {cores.load}"
    return {
        "Processor": f"{_processor()}, {os.cpu_count()} cores",
        "Cores": f"one core ({cores.program}) for all" if cores.shared else where,
        "Kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_version()} ({ssl.OPENSSL_VERSION})",
        "Interpreter": f"{_interpreter_ms():.1f} ms for a hundred thousand turns of a plain loop",
        "Gateway": f"codex2api {__version__}",
        "Libraries": ", ".join(f"{name} {version(name)}" for name in ("granian", "pyreqwest")),
        "nginx": nginx.version(),
    }


def _interpreter_ms() -> float:
    """Return what a loop takes, best of some: builds of one version differ by half of that."""
    loop = "for i in range(100_000): d[i & 63] = (i, d.get(i & 31))"
    return min(timeit.repeat(loop, "d = {}", number=1, repeat=7)) * 1e3


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
