"""Starts the gateway as `tests.e2e.launch` does, with an impatient server as well.

How long the server waits for a request's head is a constant of `app.serving`; a test that waits a
minute for it would be in the way.
"""

import app.serving
from tests.e2e import launch

HEADER_TIMEOUT_MS = 1_000

app.serving.HEADER_TIMEOUT_MS = HEADER_TIMEOUT_MS

if __name__ == "__main__":
    from app.cli.main import main

    assert launch
    main(["serve"])
