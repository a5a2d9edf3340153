"""The headers that the data plane itself adds to its answers."""

from math import ceil
from typing import Final

from app.edge.company import Headers
from app.errors import GatewayError, UpstreamRefused

JSON: Final = (b"content-type", b"application/json")
ALLOW: Final = (b"allow", b"POST")
RETRY_HINT_MAX_S: Final = 120.0
"""OpenAI's SDKs wait at most this long; a longer wait is told to be no retry."""


def error_headers(error: GatewayError) -> Headers:
    """Return the headers that go with an error."""
    headers: Headers = [JSON]
    if not isinstance(error, UpstreamRefused):
        headers.append((b"x-codex2api-reason", error.code.encode("latin-1", "replace")))
    if error.retry_after_s is None:
        if error.status == 409:
            # The SDKs send again what was refused with a 409, unless they are told otherwise.
            headers.append((b"x-should-retry", b"false"))
    else:
        seconds = max(1, ceil(error.retry_after_s))
        headers.append((b"retry-after", b"%d" % seconds))
        if error.retry_after_s > RETRY_HINT_MAX_S:
            headers.append((b"x-should-retry", b"false"))
    return headers
