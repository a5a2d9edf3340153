"""Encrypted reasoning as a thinking block's signature, and back. Pure.

Only the account that made an encrypted item can read it, so what a caller brings back must be known
to be ours: our signatures begin with a mark. A signature without it was made elsewhere (a
conversation that began with another provider), nobody here could read it, and its block is left
out. What is inside the mark is the upstream's own text, to the letter, so that it is recognised
as the account's (`app.dialects.responses.encrypted`).
"""

from typing import Final

MARK: Final = "c2a1."


def sealed(encrypted_content: str) -> str:
    """Return the signature that stands for an encrypted item."""
    return MARK + encrypted_content


def unsealed(signature: str) -> str | None:
    """Return the encrypted item that a signature stands for, None if it is not ours."""
    return signature[len(MARK) :] if signature.startswith(MARK) else None
