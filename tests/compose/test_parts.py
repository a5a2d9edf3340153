"""Tests of app.compose.parts."""

from msgspec import structs

from app.compose import parts
from app.domain.account import Secret
from app.limits import Limits
from app.settings import Settings


def test_an_exchange_has_the_time_that_the_limits_give_it():
    """Giving up early leaves a refresh token that may be spent."""
    settings = Settings(limits=Limits(renewal_timeout_s=12.5))
    assert parts.route(settings).timeout_s == 12.5


def test_the_small_services_take_the_operators_proxy():
    """With a proxy there is never a direct connection."""
    settings = Settings(proxy_url="socks5://proxy.test:1080")
    assert parts.route(settings).proxy_url == Secret("socks5://proxy.test:1080")
    assert parts.route(Settings()).proxy_url is None


def test_a_call_is_bound_by_the_limits():
    """Each bound of a call is the limit of the same name."""
    limits = Limits()
    given = structs.asdict(parts.relay_settings(limits))
    same = [name for name in given if hasattr(limits, name)]
    assert len(same) >= 7
    assert {name: given[name] for name in same} == {name: getattr(limits, name) for name in same}
