"""Requests that callers might send, made up by the hundred: none of them is a defect."""

import json

import pytest

from tests.e2e.made_up import no_request_is_a_defect
from tests.e2e.programs import API_KEY, Pair
from tests.e2e.public_schema import document


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_request_that_a_caller_might_send_is_a_defect(start, tmp_path):
    """Each gets an answer, an error that is told, or a refusal; the gateway is never at fault."""
    pair: Pair = start()
    file = tmp_path / "public.json"
    file.write_text(json.dumps(document()), "utf-8")
    header = f"Authorization: Bearer {API_KEY}"
    no_request_is_a_defect(file, pair.gateway, header, "--max-examples", "12", within_s=240)
    assert pair.simulator.records, "no request went as far as the upstream"
    assert b"a call failed inside the gateway" not in pair.gateway.log.read_bytes()
    pair.simulator.mark()
