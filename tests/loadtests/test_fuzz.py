"""What is fuzzed meets its corpus here, with what crashed it once; and its checks can fail."""

from pathlib import Path

import pytest

from loadtests.fuzz import targets
from loadtests.fuzz.targets import TARGETS, Wrong

CORPORA = Path(__file__).parents[1] / "fuzz"
SEEDS = sorted(path for path in CORPORA.rglob("*") if path.is_file())


def test_every_target_has_a_corpus():
    """And a corpus stays small: what a run finds is kept in build."""
    assert {path.parent.name for path in SEEDS} == set(TARGETS)
    assert sum(path.stat().st_size for path in SEEDS) < 1 << 18


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_seed_is_borne(seed):
    """Whatever it crashed once."""
    TARGETS[seed.parent.name](seed.read_bytes())


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_no_bytes_and_odd_ones_are_borne(target):
    """As a fuzzer begins."""
    for data in (b"", b"\0", b"\xff" * 64, bytes(range(256)), b"{" * 5_000):
        target(data)


def test_an_event_that_depends_on_the_cut_is_wrong(monkeypatch):
    """The target has something to find."""
    monkeypatch.setattr(targets, "_events", lambda pieces: [bytes([len(pieces)])])
    with pytest.raises(Wrong):
        targets.sse(b"\0data: a\n\n")


def test_a_header_that_is_not_clean_is_wrong(monkeypatch):
    """In either direction."""
    monkeypatch.setattr(targets, "request_headers", lambda _: [("a", "b\nc")])
    with pytest.raises(Wrong):
        targets.headers(b"")


def test_an_import_that_says_nothing_is_wrong(monkeypatch):
    """An account or a fault, one of the two."""
    monkeypatch.setattr(
        targets, "parse", lambda *_, **__: type("P", (), {"accounts": [], "faults": []})
    )
    with pytest.raises(Wrong):
        targets.imports(b"x")
