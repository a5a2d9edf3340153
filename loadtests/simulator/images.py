"""`POST /v1/images/...` of the API-key service: pictures of one pixel, as many as are asked for."""

import base64
from typing import Any

from loadtests.simulator.events import CHARS_PER_TOKEN
from loadtests.simulator.item_events import PNG

OUTPUT_TOKENS = 1_056
"""What one image takes."""


def reply(body: dict[str, Any], created: int) -> dict[str, Any]:
    """The whole answer to a request for images."""
    count = int(body.get("n") or 1)
    picture = base64.b64encode(PNG).decode()
    asked = max(1, len(str(body.get("prompt"))) // CHARS_PER_TOKEN)
    given = len(body.get("images") or ())
    usage = {
        "input_tokens": asked + given * 100,
        "input_tokens_details": {"text_tokens": asked, "image_tokens": given * 100},
        "output_tokens": count * OUTPUT_TOKENS,
        "total_tokens": asked + given * 100 + count * OUTPUT_TOKENS,
    }
    return {
        "created": created,
        "data": [{"b64_json": picture}] * count,
        "output_format": "png",
        "size": "1024x1024",
        "usage": usage,
    }
