"""Tests of app.accounts.exporting."""

import msgspec
import pytest
from msgspec import structs

from app.accounts import exporting
from app.accounts.exporting import check_passphrase, exported, seal, sealed, unseal
from app.accounts.importing import parse
from app.domain.account import AccountKind, Credential, Secret
from app.errors import InvalidRequest
from tests.fakes.accounts import account

PASSPHRASE = Secret("a passphrase that is long")


class Rows:
    """Where tokens are; one account is gone."""

    async def export(self, account_id, *, at: float):
        """Return the tokens of an account."""
        assert at == 5.0
        if account_id == "gone":
            return None
        return {"access_token": Secret(f"at-{account_id}"), "refresh_token": Secret("rt-1"),
                "id_token": None}  # fmt: skip


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch) -> None:
    """Let a key take no time."""
    monkeypatch.setattr(exporting, "_COST", 1 << 4)


async def test_what_leaves_is_what_an_import_reads():
    """Of each kind its own; who is gone is left out."""
    codex = account("a", email="a@example.com", priority=2, enabled=False)
    codex = structs.replace(codex, credential=Credential(Secret(""), expires_at=1_800_000_000.0))
    key = account("b", kind=AccountKind.OPENAI, base_url="https://api.example/v1")
    entries = await exported(Rows(), [codex, key, account("gone")], at=5.0)
    assert [each["type"] for each in entries] == ["codex", "openai"]
    assert entries[0]["expired"] == "2027-01-15T08:00:00Z"
    assert (entries[0]["enabled"], entries[0]["priority"]) == (False, 2)
    parsed = parse(msgspec.json.encode(entries), name="export")
    assert [each.kind for each in parsed.accounts] == [AccountKind.CODEX, AccountKind.OPENAI]
    assert parsed.accounts[1].api_key == Secret("at-b")


def test_a_sealed_file_opens_with_its_passphrase_alone():
    """And shows nothing before that."""
    document = msgspec.json.encode(seal([{"access_token": "canary"}], PASSPHRASE))
    assert b"canary" not in document
    found = sealed(document)
    assert msgspec.json.decode(unseal(found, PASSPHRASE)) == [{"access_token": "canary"}]
    changed = structs.replace(found, data=found.data[:-4] + "AAAA")
    for wrong, passphrase in (
        (found, Secret("another passphrase")),
        (changed, PASSPHRASE),
        (structs.replace(found, cost=3), PASSPHRASE),
        (structs.replace(found, salt="x"), PASSPHRASE),
    ):
        with pytest.raises(InvalidRequest):
            unseal(wrong, passphrase)


@pytest.mark.parametrize("document", [b"", b"[]", b"rt_token", b'{"kind": "other"}', b"\xff"])
def test_any_other_file_is_not_sealed(document):
    """It is read as it always was."""
    assert sealed(document) is None


def test_a_short_passphrase_is_refused():
    """It could be guessed."""
    check_passphrase(PASSPHRASE)
    with pytest.raises(InvalidRequest):
        check_passphrase(Secret("short"))
