"""The verdict of the churn: everything back, or not."""

import pytest
from msgspec.structs import replace

from loadtests.churn import MEMORY_MIB, Standing, back

BEFORE = Standing(0, 0, 0, 2, 10, 80.0)
WARM = Standing(20, 20, 90, 26, 60, 100.0)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"rss_mib": 100.0 + MEMORY_MIB}, True),
        ({"files": 60}, True),
        ({"sockets": 1}, False),
        ({"upstream_sockets": 1}, False),
        ({"entries": 1}, False),
        ({"tasks": 3}, False),
        ({"files": 61}, False),
        ({"rss_mib": 100.1 + MEMORY_MIB}, False),
    ],
)
def test_whatever_is_left_behind_is_told(changes, expected):
    """One socket is enough."""
    assert back(BEFORE, WARM, replace(BEFORE, **changes)) is expected
