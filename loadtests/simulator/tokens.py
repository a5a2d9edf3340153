"""Everything opaque that the simulated backend hands out: tokens, sealed content, turn states.

All of it is derived from the seed and carries its owner under an HMAC, so any process with the
same seed can read it, a foreign or damaged value is recognised, and nothing has to be stored.
Rotation of refresh tokens (which generation is the current one) is the accounts' business.
"""

import base64
import hashlib
import hmac
from typing import Any

import msgspec
import orjson

_HEADER = {"alg": "HS256", "typ": "JWT", "kid": "sim"}


class AccessGrant(msgspec.Struct, frozen=True):
    """What a valid access token says."""

    account: str
    generation: int
    expires_at: float


class Mint:
    """Makes and reads the opaque values of one seed."""

    def __init__(self, seed: int) -> None:
        self._key = hashlib.sha256(f"codex-upstream-simulator:{seed}".encode()).digest()

    def refresh_token(self, account: str, generation: int) -> str:
        """The one refresh token of an account's generation."""
        return f"rt_{account}.{generation}.{self._tag('refresh', account, str(generation))}"

    def read_refresh(self, token: str) -> tuple[str, int] | None:
        """Account and generation of a refresh token, or None when it was not made here."""
        account, _, rest = token.removeprefix("rt_").rpartition(".")[0].rpartition(".")
        if not rest.isdigit() or not hmac.compare_digest(
            token.encode(), self.refresh_token(account, int(rest)).encode()
        ):
            return None
        return account, int(rest)

    def jwt(self, claims: dict[str, Any]) -> str:
        """A signed JWT with these claims."""
        signed = f"{_b64(orjson.dumps(_HEADER))}.{_b64(orjson.dumps(claims))}"
        signature = hmac.digest(self._key, signed.encode(), "sha256")
        return f"{signed}.{_b64(signature)}"

    def opaque_access(self, account: str, generation: int, expires_at: float) -> str:
        """An access token without readable claims."""
        return "at-" + self.seal("access", account, str(generation), str(int(expires_at)))

    def read_access(self, token: str) -> AccessGrant | None:
        """What an access token grants, or None when it was not made here."""
        if token.startswith("at-"):
            parts = self.unseal("access", token[3:])
            return AccessGrant(parts[0], int(parts[1]), float(parts[2])) if parts else None
        signed, _, signature = token.rpartition(".")
        expected = _b64(hmac.digest(self._key, signed.encode(), "sha256"))
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            return None
        claims = orjson.loads(_unb64(signed.partition(".")[2]))
        return AccessGrant(claims["sim_account"], claims["sim_generation"], claims["exp"])

    def seal(self, purpose: str, *parts: str) -> str:
        """An opaque text that holds the parts; `unseal` with the same purpose reads it."""
        return _b64("|".join([*parts, self._tag(purpose, *parts)]).encode())

    def unseal(self, purpose: str, text: str) -> list[str] | None:
        """The parts of a sealed text, or None when it is damaged or of another purpose."""
        try:
            *parts, tag = _unb64(text).decode().split("|")
        except ValueError:
            return None
        ours = self._tag(purpose, *parts)
        return parts if hmac.compare_digest(tag.encode(), ours.encode()) else None

    def encrypted_content(self, account: str, item_id: str) -> str:
        """Reasoning content that only this account may send back."""
        return self.seal("content", account, self._tag("nonce", item_id), item_id)

    def content_owner(self, text: str) -> str | None:
        """The account that sealed content belongs to, or None when it is corrupt."""
        parts = self.unseal("content", text)
        return parts[0] if parts else None

    def turn_state(self, account: str, session: str, turn: int) -> str:
        """The sticky-routing token of one turn."""
        return self.seal("turn", account, session.replace("|", ""), str(turn))

    def turn_owner(self, text: str) -> str | None:
        """The account a turn state was given to, or None when it is corrupt."""
        parts = self.unseal("turn", text)
        return parts[0] if parts else None

    def _tag(self, *parts: str) -> str:
        return hmac.digest(self._key, "|".join(parts).encode(), "sha256").hex()[:16]


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
