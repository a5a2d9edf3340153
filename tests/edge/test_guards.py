"""Tests of app.edge.guards."""

from ipaddress import ip_network

import pytest

from app.domain.caller import Caller, KeyId
from app.edge.guards import ANONYMOUS, Guard
from app.errors import CallerError, NotAllowed, StateError, Unauthenticated
from tests.edge.asgi import CALLER, KEY, Callers, scope
from tests.fakes.clock import FakeClock


def guard(callers: Callers | None = None, *, anonymous: bool = False, stale: bool = False) -> Guard:
    """Return a guard that knows these callers, perhaps no more than those of a while ago."""
    known, clock = Callers() if callers is None else callers, FakeClock(now=1_000.0)
    return Guard(callers=known, clock=clock, allow_anonymous=anonymous, stale=lambda: stale)


def one(**fields) -> Callers:
    """Return callers of whom one is so."""
    return Callers([(KEY, Caller(KeyId("key-1"), "one", **fields))])


def test_a_key_tells_who_asks() -> None:
    """The caller is the one whose key it is."""
    assert guard().identify(KEY) == CALLER


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_nobody_gets_in(key) -> None:
    """The error says how a key is sent."""
    with pytest.raises(Unauthenticated) as refused:
        guard().identify(key)
    assert "Authorization: Bearer" in refused.value.message
    assert (refused.value.status, refused.value.code) == (401, "invalid_api_key")


def test_an_unknown_key_and_a_revoked_one_look_the_same() -> None:
    """Nobody learns that a key was good once."""
    with pytest.raises(Unauthenticated) as unknown:
        guard().identify("sk-unknown")
    with pytest.raises(Unauthenticated) as revoked:
        guard(one(enabled=False)).identify(KEY)
    assert unknown.value.message == revoked.value.message
    assert unknown.value.code == revoked.value.code
    assert "sk-unknown" not in unknown.value.message


@pytest.mark.parametrize(("expires_at", "good"), [
    (None, True), (1_000.5, True), (1_000.0, False), (999.0, False),
])  # fmt: skip
def test_a_key_ends_at_its_time(expires_at, good) -> None:
    """An expired one is told so, by its own code."""
    guarded = guard(one(expires_at=expires_at))
    if good:
        assert guarded.identify(KEY).name == "one"
        return
    with pytest.raises(Unauthenticated) as refused:
        guarded.identify(KEY)
    assert refused.value.code == "key_expired"


@pytest.mark.parametrize("known", [Callers(), Callers([])])
def test_an_unknown_key_is_not_judged_while_the_store_is_away(known) -> None:
    """It may have been made meanwhile, so it is not called wrong, and it opens nothing."""
    with pytest.raises(StateError) as refused:
        guard(known, stale=True).identify("sk-unknown")
    assert (refused.value.status, refused.value.code) == (503, "store_unavailable")
    assert refused.value.retry_after_s is not None


def test_what_is_known_is_judged_without_the_store() -> None:
    """A good key opens, a disabled one does not, and no key is no key."""
    assert guard(stale=True).identify(KEY) == CALLER
    for guarded, key in ((guard(one(enabled=False), stale=True), KEY), (guard(stale=True), None)):
        with pytest.raises(Unauthenticated):
            guarded.identify(key)


@pytest.mark.parametrize("key", [None, KEY])
def test_a_gateway_without_keys_says_how_to_make_one(key) -> None:
    """It is the operator's to do, so it is no 401."""
    with pytest.raises(CallerError) as refused:
        guard(Callers([])).identify(key)
    assert (refused.value.status, refused.value.code) == (503, "no_api_keys")
    assert "codex2api keys create" in refused.value.message


@pytest.mark.parametrize(("key", "caller"), [
    (None, ANONYMOUS), ("", ANONYMOUS), ("sk-unknown", ANONYMOUS), (KEY, CALLER),
])  # fmt: skip
def test_an_open_gateway_lets_everybody_in(key, caller) -> None:
    """A known key still tells who asks."""
    assert guard(anonymous=True).identify(key) == caller
    assert guard(Callers([]), anonymous=True).identify(None) == ANONYMOUS


@pytest.mark.parametrize("models", [(), ("gpt-5.5",), ("other", "gpt-5.5")])
def test_a_caller_may_use_the_models_of_its_key(models) -> None:
    """Without a list it may use all of them."""
    guard().admit(Caller(KeyId("key-1"), "one", models=models), "gpt-5.5")


def test_a_caller_may_not_use_other_models() -> None:
    """The error names the model and its field."""
    with pytest.raises(NotAllowed) as refused:
        guard().admit(Caller(KeyId("key-1"), "one", models=("other",)), "gpt-5.5")
    assert (refused.value.status, refused.value.param) == (403, "model")
    assert "'gpt-5.5'" in refused.value.message


def asked_from(peer: str, *headers: tuple[str, str]):
    """Return the scope of a request from an address."""
    return scope(*headers) | {"client": (peer, 1234)}


@pytest.mark.parametrize(
    ("networks", "peer", "good"),
    [
        ((), "192.0.2.1", True),
        (("192.0.2.0/24",), "192.0.2.1", True),
        (("10.0.0.0/8", "192.0.2.1/32"), "192.0.2.1", True),
        (("192.0.2.0/24",), "192.0.3.1", False),
        (("192.0.2.0/24",), "2001:db8::1", False),
        (("2001:db8::/32",), "2001:db8::1", True),
        (("192.0.2.0/24",), "unix", False),
    ],
)
def test_a_key_may_be_bound_to_networks(networks, peer, good) -> None:
    """One without any may be used from everywhere, even where nobody knows where that is."""
    caller = Caller(KeyId("key-1"), "one", networks=networks)
    if good:
        guard().admit_from(caller, asked_from(peer))
        return
    with pytest.raises(NotAllowed) as refused:
        guard().admit_from(caller, asked_from(peer))
    assert (refused.value.status, refused.value.code) == (403, "network_not_allowed")
    assert (peer in refused.value.message) == (peer != "unix")


def test_a_trusted_proxy_is_not_the_caller() -> None:
    """Its word for who asked it counts, and only its word."""
    proxies = [ip_network("10.0.0.0/8")]
    behind = Guard(
        callers=Callers(), clock=FakeClock(), allow_anonymous=False, trusted_proxies=proxies
    )
    caller = Caller(KeyId("key-1"), "one", networks=("192.0.2.0/24",))
    named = ("x-forwarded-for", "192.0.2.1")
    behind.admit_from(caller, asked_from("10.0.0.1", named))
    with pytest.raises(NotAllowed):
        behind.admit_from(caller, asked_from("198.51.100.1", named))
    with pytest.raises(NotAllowed):
        guard().admit_from(caller, asked_from("10.0.0.1", named))


@pytest.mark.parametrize("endpoints", [(), ("chat",), ("responses", "chat")])
def test_a_caller_may_use_the_endpoints_of_its_key(endpoints) -> None:
    """Without a list it may use all of them; else the others have a code of their own."""
    caller = Caller(KeyId("key-1"), "one", endpoints=endpoints)
    guard().admit_to(caller, "chat")
    if endpoints:
        with pytest.raises(NotAllowed) as refused:
            guard().admit_to(caller, "images")
        assert (refused.value.status, refused.value.code) == (403, "endpoint_not_allowed")
        assert "'images'" in refused.value.message
