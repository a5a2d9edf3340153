"""Tests of app.telemetry.usage_gauges."""

from app.telemetry.usage_gauges import MODELS_MAX, JournalState, UsageGauges


def told(state: JournalState, costs: dict[str, int]) -> dict[tuple[str, str], float]:
    """Return the samples of a scrape by their names and models."""
    gauges = UsageGauges(journal=lambda: state, costs=lambda: costs)
    return {
        (sample.name, sample.labels.get("model", "")): sample.value
        for family in gauges.families()
        for sample in family.samples
    }


def test_a_scrape_tells_of_the_journal_and_the_costs():
    """In records, seconds and dollars."""
    state = JournalState(depth=7, age_s=1.5, healthy=True, lost=1, refused=2)
    assert told(state, {"gpt-5.5": 2_500_000_001, "gpt-5.4": 0}) == {
        ("codex2api_journal_depth", ""): 7,
        ("codex2api_journal_age_seconds", ""): 1.5,
        ("codex2api_journal_healthy", ""): 1,
        ("codex2api_journal_lost_total", ""): 1,
        ("codex2api_journal_refused_total", ""): 2,
        ("codex2api_cost_usd_total", "gpt-5.5"): 2.500000001,
        ("codex2api_cost_usd_total", "gpt-5.4"): 0,
    }


def test_models_past_the_first_are_one():
    """Their costs are added up, so that the sum stays right."""
    state = JournalState(depth=0, age_s=0.0, healthy=False, lost=0, refused=0)
    found = told(state, {f"m{n}": 10**9 for n in range(MODELS_MAX + 5)})
    assert found["codex2api_journal_healthy", ""] == 0
    assert found["codex2api_cost_usd_total", "other"] == 5.0
    assert len([name for name, _ in found if "cost_usd" in name]) == MODELS_MAX + 1
