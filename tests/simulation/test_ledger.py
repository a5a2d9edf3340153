"""A ledger counts by time and tells one run from another."""

from app.domain.usage import Usage
from app.simulation import ledger as decisions
from app.simulation.ledger import BUCKETS, WAITS_MAX, Ledger


def test_calls_are_counted_in_their_stretch_of_time():
    """What ends after the end is counted in the last one."""
    ledger = Ledger(length_s=BUCKETS * 10.0)
    ledger.note_served(9.9, 0.5, Usage(input=3, output=4))
    ledger.note_served(1e9, 0.0, None)
    ledger.note_refused(10.0, "pool_busy", limited=False)
    assert (ledger.served, ledger.tokens, ledger.waits) == (2, 7, [0.5, 0.0])
    assert (ledger.served_in[0], ledger.served_in[-1]) == (1, 1)
    assert ledger.refused_in[1] == 1
    assert ledger.refused == {"pool_busy": 1}
    assert ledger.exhausted_at is None


def test_the_first_refusal_for_the_limits_is_when_the_pool_was_exhausted():
    """Later ones and those for other reasons are not."""
    ledger = Ledger(length_s=BUCKETS * 10.0)
    ledger.note_refused(5.0, "pool_busy", limited=False)
    ledger.note_refused(30.0, "usage_limit_reached", limited=True)
    ledger.note_refused(40.0, "usage_limit_reached", limited=True)
    assert ledger.exhausted_at == 30.0
    assert sum(ledger.limited_in) == 2


def test_the_waits_are_bounded():
    """A long run keeps a sample."""
    ledger = Ledger(length_s=10.0)
    for _ in range(WAITS_MAX):
        ledger.note_served(0.0, 1.0, None)
    ledger.note_served(0.0, 9.0, None)
    assert len(ledger.waits) == WAITS_MAX
    assert 9.0 in ledger.waits


def test_the_digest_tells_one_sequence_of_decisions_from_another():
    """Kind, time, account and order count; asking for it changes nothing."""

    def digest(*notes):
        ledger = Ledger(length_s=10.0)
        for note in notes:
            ledger.note(*note)
            assert ledger.digest == ledger.digest
        return ledger.digest

    first, second = (decisions.LEASED, 1.0, 1), (decisions.SERVED, 2.0, 1)
    others = [
        (),
        (second, first),
        ((decisions.REFUSED, 1.0, 1), second),
        ((decisions.LEASED, 1.5, 1), second),
        ((decisions.LEASED, 1.0, 2), second),
    ]
    assert digest(first, second) == digest(first, second)
    assert digest(first, second) not in [digest(*notes) for notes in others]


def test_a_long_log_is_digested_on_the_way():
    """It never stands in memory as a whole."""
    ledger = Ledger(length_s=10.0)
    for number in range(20_000):
        ledger.note(decisions.LEASED, float(number), number)
    assert ledger.decisions == 20_000
    assert len(ledger._log) < 1 << 17
