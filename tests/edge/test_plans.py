"""Tests of app.edge.plans."""

import pytest

from app.edge.plans import no_events


def test_a_document_has_no_lane() -> None:
    """Whoever asks for one has a defect."""
    with pytest.raises(AssertionError):
        no_events()
