"""`POST /v1/embeddings` of the API-key service: small, deterministic vectors."""

import base64
import hashlib
import struct
from typing import Any

from loadtests.simulator.events import CHARS_PER_TOKEN

DIMENSIONS = 16


def reply(body: dict[str, Any]) -> dict[str, Any]:
    """The whole answer to a request for embeddings of one text or several."""
    given = body.get("input")
    texts = given if isinstance(given, list) else [given]
    size = int(body.get("dimensions") or DIMENSIONS)
    packed = body.get("encoding_format") == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _vector(str(text), size, packed=packed),
        }
        for index, text in enumerate(texts)
    ]
    tokens = sum(max(1, len(str(text)) // CHARS_PER_TOKEN) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body.get("model"), "usage": usage}


def _vector(text: str, size: int, *, packed: bool) -> list[float] | str:
    noise = hashlib.shake_128(text.encode(errors="replace")).digest(size)
    values = [byte / 128 - 1 for byte in noise]
    return base64.b64encode(struct.pack(f"<{size}f", *values)).decode() if packed else values
