"""Bindings of sessions to accounts: fresh ones only, and not too many."""

from app.domain.account import AccountId
from app.pool.affinity import AffinityTable

A, B = AccountId("a"), AccountId("b")


def test_a_binding_is_found_while_it_is_fresh():
    """And forgotten from the very moment in which it ends."""
    table = AffinityTable(entries_max=9, ttl_s=10.0)
    table.bind("k", A, now=0.0)
    assert table.find("k", now=9.9) == A
    assert table.find("k", now=10.0) is None
    assert len(table) == 0
    assert table.find("k", now=0.0) is None


def test_binding_again_replaces_the_account_and_begins_anew():
    """The session has moved."""
    table = AffinityTable(entries_max=9, ttl_s=10.0)
    table.bind("k", A, now=0.0)
    table.bind("k", B, now=5.0)
    assert table.find("k", now=14.0) == B


def test_the_table_is_bounded_and_forgets_what_was_bound_longest_ago():
    """A binding that is renewed counts as new."""
    table = AffinityTable(entries_max=2, ttl_s=10.0)
    for key in ("1", "2", "1", "3"):
        table.bind(key, A, now=0.0)
    assert [key for key in "123" if table.find(key, now=1.0)] == ["1", "3"]
    for number in range(1_000):
        table.bind(f"n{number}", A, now=0.0)
    assert len(table) == 2
