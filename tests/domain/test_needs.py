"""Tests of app.domain.needs."""

import pytest

from app.domain.account import AccountKind
from app.domain.needs import NOTHING, Need, able, said

LACKS = {
    AccountKind.CODEX: {Need.EMBEDDINGS, Need.IMAGES_API, Need.REALTIME},
    AccountKind.OPENAI: {Need.COMPACTION},
    AccountKind.COMPATIBLE: set(Need) - {Need.EMBEDDINGS},
}


@pytest.mark.parametrize("kind", AccountKind)
@pytest.mark.parametrize("need", Need)
def test_each_kind_lacks_what_its_protocol_has_no_words_for(kind, need):
    """The whole table, kind by need."""
    assert able(kind, frozenset({need})) is (need not in LACKS[kind])


@pytest.mark.parametrize("kind", AccountKind)
def test_every_kind_can_do_what_needs_nothing(kind):
    """An ordinary call goes anywhere."""
    assert able(kind, NOTHING)


def test_one_need_that_it_lacks_is_enough_to_leave_a_kind_out():
    """Needs are all to be met."""
    assert not able(AccountKind.CODEX, frozenset({Need.SEARCH, Need.EMBEDDINGS}))


def test_needs_are_said_in_words():
    """A caller reads what is missing, not the name of a constant."""
    needs = frozenset({Need.SEARCH, Need.IMAGES})
    assert said(needs) == "making images and searching the web"
    assert all(said(frozenset({need})) for need in Need)
