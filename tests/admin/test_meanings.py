"""Tests of app.admin.meanings."""

from typing import Annotated

import pytest
from msgspec import Meta
from msgspec.structs import fields

from app.admin.meanings import expected, field_meanings
from app.domain.runtime import RuntimeSettings, Strategy


def test_every_setting_has_a_meaning_and_says_what_it_takes():
    """For people: one line each."""
    meanings = field_meanings(RuntimeSettings)
    for field in fields(RuntimeSettings):
        assert meanings[field.name].endswith(".")
        assert "\n" not in meanings[field.name]
        assert expected(field.type)


@pytest.mark.parametrize(("kind", "words"), [
    (Strategy, "one of balanced, round_robin, least_used, remaining_quota, fill_first"),
    (Annotated[int, Meta(ge=1, le=10)], "a whole number from 1 to 10"),
    (Annotated[float, Meta(gt=0, le=1)], "a number above 0 and up to 1"),
    (Annotated[float, Meta(ge=60, le=90)], "a number from 60 to 90"),
])  # fmt: skip
def test_a_type_is_told_in_words(kind, words):
    """Its bounds with it."""
    assert expected(kind) == words
