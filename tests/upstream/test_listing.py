"""Tests of app.upstream.listing: against the simulator, and against servers that misbehave."""

import pytest

from app.domain.account import AccountKind, Credential, Secret
from app.domain.enrolment import MODELS_MAX
from app.ports import ModelsUnavailable
from app.upstream.addresses import Addresses
from app.upstream.auth_server import Route, trust_store
from app.upstream.listing import BODY_BYTES_MAX, ModelListing
from loadtests.simulator.apikey import COMPATIBLE_MODELS
from loadtests.simulator.server import Simulator
from tests.fakes.accounts import account
from tests.upstream.test_usage import http, raw

TLS = trust_store(None)


def listing(timeout_s=5.0):
    """Return what asks."""
    return ModelListing(
        addresses=Addresses(), user_agent="codex2api/1", route=Route(tls=TLS, timeout_s=timeout_s)
    )


def key(base_url, kind=AccountKind.OPENAI, secret="sk-sim-1", **changes):
    """Return an account there."""
    return account(kind=kind, base_url=base_url, credential=Credential(Secret(secret)), **changes)


async def test_the_models_of_a_key_and_of_a_server_are_learnt():
    """In the upstream's order."""
    async with Simulator() as simulator:
        models = await listing().models(key(f"{simulator.url}/v1"))
        assert "gpt-5.5" in models
        server = key(f"{simulator.url}/compatible/v1", AccountKind.COMPATIBLE, "")
        assert await listing().models(server) == COMPATIBLE_MODELS
        with pytest.raises(ModelsUnavailable, match="401") as caught:
            await listing().models(key(f"{simulator.url}/v1", secret="sk-wrong"))
    assert caught.value.status == 401


async def test_the_question_is_asked_under_the_gateways_own_name():
    """For the organization that the account is charged to."""
    async with raw(http(200, b'{"data":[]}')) as (url, heads):
        assert await listing().models(key(url, organization="org-1")) == ()
    head = heads[0].decode().lower()
    assert "user-agent: codex2api/1" in head
    assert "openai-organization: org-1" in head


ODD = {
    "no JSON": http(200, b"<html>"),
    "another form": http(200, b'{"data":[{"name":"x"}]}'),
    "an error": http(500, b""),
    "a redirect": http(307, b"", "location: http://127.0.0.1:9/"),
    "an encoding": http(200, b"x", "content-encoding: gzip"),
    "too much": http(200, b" " * (BODY_BYTES_MAX + 1)),
    "nothing": None,
}


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD)
async def test_an_answer_that_is_no_list_is_none(answer):
    """What was known stays known; nothing of the answer is told."""
    async with raw(answer) as (url, _):
        with pytest.raises(ModelsUnavailable) as caught:
            await listing().models(key(url))
    assert "sk-sim" not in str(caught.value)


async def test_a_server_that_never_answers_is_not_waited_for():
    """No longer than the route says."""
    async with raw(None, hangs=True) as (url, _):
        with pytest.raises(ModelsUnavailable, match="no answer within"):
            await listing(timeout_s=0.05).models(key(url))


async def test_names_are_bounded_and_fit_to_be_shown():
    """Each once."""
    named = ",".join(f'{{"id":"m{number}"}}' for number in range(MODELS_MAX + 5))
    body = f'{{"data":[{{"id":"m0"}},{{"id":""}},{{"id":"a\\u0007b"}},{named}]}}'.encode()
    async with raw(http(200, body)) as (url, _):
        models = await listing().models(key(url))
    assert models == tuple(f"m{number}" for number in range(MODELS_MAX))


async def test_a_codex_account_is_not_asked():
    """Its models come with the manifest."""
    with pytest.raises(ModelsUnavailable):
        await listing().models(account())
