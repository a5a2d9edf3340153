"""A login in progress: what stands between the operator's browser and an account's credential."""

from typing import Final

from msgspec import Struct

from app.domain.account import Secret

LOGINS_MAX: Final = 256
"""Logins in progress at a time; the oldest give way."""


class AuthorizationGrant(Struct, frozen=True):
    """A one-time code and the PKCE verifier that proves it is ours; `device` says how it came."""

    code: Secret
    verifier: Secret
    device: bool = False


class DeviceLogin(Struct, frozen=True):
    """A device-code login as the authorization server opened it.

    The person opens `url` and types `user_code`; ask for the grant every `interval_s`.
    """

    device_id: Secret
    user_code: str
    url: str
    interval_s: float


class Claim(Struct, frozen=True):
    """What came of wanting to go on with a login that is in progress."""

    login: Secret | None
    """None while it is not due, or somebody else goes on with it."""
