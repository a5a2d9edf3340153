"""Starts the gateway so that it dies at one step of its first renewal, as if the power went.

`E2E_CRASH` names the step, and after a colon how many seconds later; without it nobody dies. The
process that serves kills its parent and then itself by SIGKILL, so that nothing is tidied up. The
product has no such switch: what crashes is wrapped here. The workers import this module again,
which is why that is done at its top.

Another process's intent counts for half a second here, so that a test need not wait for it.
"""

import multiprocessing
import os
import signal
import threading
import time
from typing import Any

from sqlalchemy import Engine, event

from app.store import credentials
from app.store.credentials import StoredCredentials
from app.upstream.auth_server import OAuthServer

STEPS = (
    "before the intent",
    "after the intent",
    "before the exchange",
    "after the exchange",
    "before storing",
    "in the transaction",
    "in the commit",
    "after storing",
)

_step, _, _delay_s = os.environ.get("E2E_CRASH", "").partition(":")
_storing = threading.Event()


def _at(step: str) -> None:
    """Die, if this is the step to die at."""
    if step == _step and multiprocessing.parent_process() is not None:
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def _around(holder: Any, name: str, before: str, after: str) -> None:
    real = getattr(holder, name)

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        _at(before)
        result = await real(*args, **kwargs)
        _at(after)
        return result

    setattr(holder, name, wrapped)


def _written() -> None:
    """Wrap the write of the tokens: what follows in this transaction is the commit."""
    real = credentials.write_tokens

    async def wrapped(*args: Any, **kwargs: Any) -> None:
        await real(*args, **kwargs)
        _storing.set()
        _at("in the transaction")

    credentials.write_tokens = wrapped


def _soon() -> None:
    # Not a timer: a thread that sleeps is as punctual as it gets.
    time.sleep(float(_delay_s or 0))
    _at("in the commit")


def _commits(_connection: object) -> None:
    if _storing.is_set() and _step == "in the commit":
        threading.Thread(target=_soon).start()


# Its workers import this file under the second name; a test that does so must change nothing.
if __name__ in {"__main__", "__mp_main__"}:
    credentials.INTENT_LIFE_S = 0.5
    event.listen(Engine, "commit", _commits)
    _around(StoredCredentials, "intend", "before the intent", "after the intent")
    _around(OAuthServer, "renew", "before the exchange", "after the exchange")
    _around(StoredCredentials, "renewed", "before storing", "after storing")
    _written()

if __name__ == "__main__":
    from app.cli.main import main

    main(["serve"])
