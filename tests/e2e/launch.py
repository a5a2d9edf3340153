"""Starts the gateway as `codex2api serve` does, with other limits than the built-in ones.

`E2E_LIMITS` is a JSON object of fields of `app.limits.Limits`. Only tests have a reason to change
those, so the product has no knob for them. The server's workers import this module again, which is
why the patch is made at its top. `E2E_DESCRIPTORS` are as many as the machine allows. At `STALL` a
worker's event loop stands still, as one does that waits for a lock that nobody releases.
"""

import asyncio
import os
import resource
import signal
import time
from contextlib import suppress

import msgspec

from app.limits import Limits
from app.settings import Settings

STALL = signal.SIGTTOU

_from_env = Settings.from_env.__func__


def _with_limits(cls: type[Settings]) -> Settings:
    # Only a worker reads them with its loop running.
    with suppress(RuntimeError):
        asyncio.get_running_loop().add_signal_handler(STALL, _stand_still)
    limits = msgspec.json.decode(os.environ.get("E2E_LIMITS", "{}"), type=Limits)
    return msgspec.structs.replace(_from_env(cls), limits=limits)


def _stand_still() -> None:
    time.sleep(3_600)


Settings.from_env = classmethod(_with_limits)

if __name__ == "__main__":
    from app.cli.main import main

    if "E2E_DESCRIPTORS" in os.environ:
        allowed = int(os.environ["E2E_DESCRIPTORS"])
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))
    main(["serve"])
