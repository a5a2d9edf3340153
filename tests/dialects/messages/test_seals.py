"""Only our own seals are opened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.messages.seals import sealed, unsealed


@given(st.text())
def test_what_is_sealed_comes_back(content):
    """To the letter."""
    assert unsealed(sealed(content)) == content


@pytest.mark.parametrize("signature", ["", "EqQBCkYIARgC", "gAAAAAB", "C2A1.x"])
def test_the_seals_of_others_stay_closed(signature):
    """Nobody here could read what is in them."""
    assert unsealed(signature) is None
