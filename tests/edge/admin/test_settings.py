"""Tests of app.edge.admin.settings."""

import pytest

from app.domain.runtime import RuntimeSettings
from app.edge.admin.settings import checked
from app.errors import InvalidRequest
from tests.edge.admin.conftest import code


async def test_settings_are_shown_with_defaults_and_meanings(admin):
    """Each with what it takes."""
    page = (await admin.get("settings")).json()
    assert page["values"] == page["defaults"]
    (strategy,) = [each for each in page["fields"] if each["name"] == "strategy"]
    assert "balanced" in strategy["choices"]
    assert all(each["meaning"] and each["expected"] for each in page["fields"])
    assert len(page["fields"]) == len(RuntimeSettings.__struct_fields__)


async def test_a_change_counts_at_once_and_a_stale_one_not_at_all(admin, opened):
    """What is left out goes back to its default."""
    values = {"strategy": "fill_first", "attempts_max": 2}
    page = (await admin.put("settings", json={"values": values, "version": 0})).json()
    assert (page["version"], page["values"]["strategy"]) == (1, "fill_first")
    assert opened.relay.settings.attempts_max == 2
    stale = await admin.put("settings", json={"values": {}, "version": 0})
    assert (stale.status_code, code(stale)) == (409, "stale_edit")
    page = (await admin.put("settings", json={"values": {}, "version": 1})).json()
    assert page["values"] == page["defaults"]
    entry = (await admin.get("audit?action=settings_changed")).json()["items"][-1]
    assert entry["after"] == '{"strategy":"fill_first","attempts_max":2}'


@pytest.mark.parametrize(("values", "param"), [
    ({"colour": 1}, "values.colour"),
    ({"strategy": "best"}, "values.strategy"),
    ({"attempts_max": 0}, "values.attempts_max"),
    ({"pause_at": "high"}, "values.pause_at"),
    ({"prices": 5}, "values.prices"),
    ({"prices": {"m": 5}}, "values.prices.m"),
    ({"prices": {"m": {"input_usd_per_mtok": 1}}}, "values.prices.m.output_usd_per_mtok"),
    ({"prices": {"m": {"input_usd_per_mtok": -1, "output_usd_per_mtok": 1}}},
     "values.prices.m.input_usd_per_mtok"),
    ({"prices": {"m": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1, "tax": 1}}},
     "values.prices.m.tax"),
])  # fmt: skip
def test_a_wrong_setting_is_named(values, param):
    """By its path."""
    with pytest.raises(InvalidRequest) as caught:
        checked(values)
    assert caught.value.param == param


async def test_prices_are_listed_with_those_of_the_operator(admin):
    """In dollars for a million tokens."""
    price = {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2}
    await admin.put("settings", json={"values": {"prices": {"mine": price}}})
    items = {each["model"]: each for each in (await admin.get("prices")).json()["items"]}
    assert items["mine"] == {
        "model": "mine", "input_usd": 1.0, "cached_usd": 1.0, "output_usd": 2.0, "chosen": True,
    }  # fmt: skip
    assert items["gpt-5.5"]["chosen"] is False
