"""A Codex client is known by the names that it gives itself."""

import pytest

from app.wire.codex_client import PRODUCTS, is_codex_client


@pytest.mark.parametrize("product", [*PRODUCTS, "Codex Something"])
def test_a_codex_client_is_known_by_either_name(product):
    """Its originator, or its user agent with a version."""
    assert is_codex_client([("originator", product)])
    agent = product if product.startswith("Codex ") else f"{product}/0.146.0 (Mac OS)"
    assert is_codex_client([("accept", "x"), ("user-agent", agent)])


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("user-agent", "curl/8")],
        [("user-agent", "codex_cli_rs")],
        [("user-agent", "my codex_cli_rs/1")],
        [("originator", "codex_cli_rs_2"), ("user-agent", "x")],
        [("x-other", "codex_cli_rs")],
    ],
)
def test_anybody_else_is_not(headers):
    """Names that only look alike do not count."""
    assert not is_codex_client(headers)
