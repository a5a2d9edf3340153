"""Tests of app.edge.admin.errors."""

import pytest

from tests.edge.admin.conftest import code, fields


@pytest.mark.parametrize(("body", "field"), [
    ({"name": "n", "colour": 1}, "colour"),
    ({}, "name"),
    ({"name": 5}, "name"),
    ({"name": "n", "models": [1]}, "models[0]"),
    ([], ""),
], ids=str)  # fmt: skip
async def test_what_is_wrong_stands_beside_its_field(admin, body, field):
    """The same for what is unknown, missing or of another type."""
    answer = await admin.post("keys", json=body)
    assert (answer.status_code, code(answer)) == (400, "invalid_request")
    assert fields(answer)[:1] == ([field] if field else fields(answer)[:1])


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[[[[", b"null", b'{"name": NaN}'])
async def test_what_is_no_json_is_refused(admin, body):
    """It never becomes a failure of ours."""
    answer = await admin.post("keys", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, code(answer)) == (400, "invalid_request")


async def test_a_long_body_is_refused(admin):
    """Only files may be long."""
    answer = await admin.post("keys", json={"name": "n" * (1 << 21)})
    assert (answer.status_code, code(answer)) == (413, "payload_too_large")


async def test_a_defect_tells_nothing(admin, opened, monkeypatch):
    """Neither its kind nor its words."""

    async def broken(**_more: object) -> list[object]:
        raise RuntimeError("secret words")

    monkeypatch.setattr(opened.store.keys, "list", broken)
    answer = await admin.get("keys")
    assert (answer.status_code, code(answer)) == (500, "internal_error")
    assert "secret words" not in answer.text
