"""The manifest has every key that a Codex client may want, for every built-in model."""

import json

from app.dialects.manifest import CARDS, manifest_body

KEYS = [
    "slug",
    "display_name",
    "description",
    "default_reasoning_level",
    "supported_reasoning_levels",
    "shell_type",
    "visibility",
    "minimal_client_version",
    "supported_in_api",
    "priority",
    "upgrade",
    "availability_nux",
    "base_instructions",
    "model_messages",
    "supports_reasoning_summaries",
    "supports_reasoning_summary_parameter",
    "default_reasoning_summary",
    "support_verbosity",
    "default_verbosity",
    "apply_patch_tool_type",
    "web_search_tool_type",
    "input_modalities",
    "supports_image_detail_original",
    "truncation_policy",
    "supports_parallel_tool_calls",
    "supports_search_tool",
    "experimental_supported_tools",
    "context_window",
    "max_context_window",
    "auto_compact_token_limit",
    "comp_hash",
    "tool_mode",
    "multi_agent_version",
    "use_responses_lite",
    "prefer_websockets",
    "include_skills_usage_instructions",
    "include_apps_usage_instructions",
    "include_plugin_usage_instructions",
    "node_repl_auto_review_required",
    "node_repl_disabled",
    "auto_review_model_override",
    "model_specialty",
    "default_service_tier",
    "service_tiers",
    "additional_speed_tiers",
    "available_in_plans",
]


def models() -> dict[str, dict[str, object]]:
    """Return the manifest's models by their names."""
    return {model["slug"]: model for model in json.loads(manifest_body()[0])["models"]}


def test_every_model_has_every_key():
    """And no other: the key set is the contract."""
    assert all(sorted(model) == sorted(KEYS) for model in models().values())


def test_the_models_are_those_of_the_cards():
    """With their windows, efforts, forms, tiers and visibility."""
    found = models()
    assert list(found) == [card.slug for card in CARDS]
    sol, mini, spark = (
        found[name] for name in ("gpt-5.6-sol", "gpt-5.4-mini", "gpt-5.3-codex-spark")
    )
    assert (sol["context_window"], sol["max_context_window"]) == (272_000, 921_000)
    assert sol["use_responses_lite"] is True
    assert [level["effort"] for level in sol["supported_reasoning_levels"]][-2:] == ["max", "ultra"]
    assert sol["additional_speed_tiers"] == ["fast"]
    assert (mini["service_tiers"], mini["tool_mode"]) == ([], None)
    assert (spark["input_modalities"], spark["web_search_tool_type"]) == (["text"], "text")
    assert found["codex-auto-review"]["visibility"] == "hide"


def test_a_default_effort_is_one_of_the_models():
    """A client starts with it."""
    assert all(card.default_effort in card.efforts for card in CARDS)


def test_the_same_cards_have_the_same_etag():
    """Others have another."""
    body, etag = manifest_body()
    assert manifest_body() == (body, etag)
    assert etag[0] == etag[-1] == '"'
    assert manifest_body(CARDS[:1])[1] != etag
