"""Answers that are one JSON document, as transcripts."""

import msgspec
import pytest

from app.domain.account import AccountKind
from app.domain.needs import Need
from app.domain.operation import Operation
from app.domain.outcome import Succeeded
from app.domain.usage import Usage
from app.errors import CapacityError, NotSupportedByUpstream, UpstreamError, UpstreamTimeout
from app.relay.document import Document
from tests.fakes.accounts import account
from tests.fakes.upstream import HANG, SSE, Answer, broken
from tests.fakes.virtual import virtual
from tests.relay.scene import SETTINGS, Scene

JSON = ("content-type", "application/json")
PIECES = [b'{"data":[],"usa', b'ge":{"prompt_tokens":7}}']
VECTORS = {"operation": Operation.EMBEDDINGS, "needs": frozenset({Need.EMBEDDINGS})}


def whole() -> Answer:
    """Return a good answer."""
    return Answer(list(PIECES), headers=[JSON])


def usage(body: bytes) -> Usage | None:
    """Return what the document says of usage."""
    return Usage(input=msgspec.json.decode(body)["usage"]["prompt_tokens"])


def scene(**scripts) -> Scene:
    """Return keys of the platform, named by the scripts."""
    keys = [account(name, kind=AccountKind.OPENAI) for name in scripts]
    return Scene(accounts=keys, **scripts)


async def fetched(found: Scene, **changes) -> Document:
    """Return the document of a call, and check the books."""
    try:
        return await found.relay.document(found._call(VECTORS | changes), usage)
    finally:
        found.check()


@virtual
async def test_a_document_is_read_whole_and_its_usage_noted():
    """The books and the pool hear of the usage; the connection is kept."""
    found = scene(a=[whole()])
    document = await fetched(found)
    assert document.body == b"".join(PIECES)
    assert list(document.headers) == [JSON]
    assert found.upstream.log == ["a asked", "a finished"]
    assert found.heard[0].usage == Usage(input=7)
    assert isinstance(found.seen[0], Succeeded)
    assert found.seen[0].usage == Usage(input=7)


FAILURES = {
    "a stream in place of a document": (Answer([b"data: x\n\n"], headers=[SSE]), "Unreachable"),
    "a cut in the document": (Answer([PIECES[0], broken()], headers=[JSON]), "Broken"),
    "more than can be collected": (
        Answer([b" " * (SETTINGS.reply_bytes_max // 2 + 1)] * 2, headers=[JSON]),
        "Broken",
    ),
    "silence within the document": (Answer([PIECES[0], HANG], headers=[JSON]), "Broken"),
    "a limit": (Answer([b'{"error":{"code":"rate_limit_exceeded"}}'], status=429), "RateLimited"),
}


@pytest.mark.parametrize(("answer", "outcome"), FAILURES.values(), ids=FAILURES)
@virtual
async def test_an_attempt_that_gives_no_whole_document_is_made_elsewhere(answer, outcome):
    """Its caller has seen nothing yet."""
    found = scene(a=[answer], b=[whole()])
    assert (await fetched(found)).body == b"".join(PIECES)
    assert found.outcomes == [f"a {outcome}", "b Succeeded"]


@virtual
async def test_a_document_that_never_comes_is_told_as_a_timeout():
    """Each piece has the idle timeout."""
    found = scene(a=[Answer([PIECES[0], HANG], headers=[JSON])])
    with pytest.raises(UpstreamTimeout):
        await fetched(found)


@virtual
async def test_a_document_that_no_attempt_could_get_ends_with_the_last_word():
    """How the attempts failed says more than that none is left."""
    found = scene(a=[Answer([PIECES[0], broken()], headers=[JSON])])
    with pytest.raises(UpstreamError):
        await fetched(found)


@virtual
async def test_a_call_goes_only_to_a_kind_that_can_do_what_it_needs():
    """Priority counts only among those."""
    codex, key = account("a", priority=9), account("b", kind=AccountKind.OPENAI)
    found = Scene(accounts=[codex, key], a=[], b=[whole()])
    await fetched(found)
    assert found.outcomes == ["b Succeeded"]


@virtual
async def test_what_no_configured_kind_can_do_is_said_to_be_so():
    """No wait and no other account would help."""
    found = Scene(accounts=[account("a")], a=[])
    with pytest.raises(NotSupportedByUpstream, match="embeddings") as caught:
        await fetched(found)
    assert (caught.value.status, caught.value.code) == (501, "not_supported_by_upstream")
    assert found.refusals[0][0] == "not_supported_by_upstream"


@pytest.mark.parametrize("accounts", [[], [account("a", kind=AccountKind.OPENAI, models=("m2",))]])
@virtual
async def test_a_kind_that_could_but_has_no_account_for_the_model_is_an_empty_pool(accounts):
    """The operator has to add an account or a model, not another kind."""
    found = Scene(accounts=accounts or [account("gone", enabled=False)])
    with pytest.raises(CapacityError) as caught:
        await fetched(found)
    assert caught.value.code == "pool_empty"
