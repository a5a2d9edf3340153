"""The models that Codex accounts serve, as built in, and the manifest that Codex clients read.

A card says what the gateway must know of a model: its window, its efforts, its form. The
manifest says the same to a Codex client, with every key that the client's decoder may want; a
key that no card decides is the same for all. The live manifest of an account may know more;
this one is what there is without asking anybody.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

_ALL_PLANS: Final = (
    "free",
    "go",
    "plus",
    "pro",
    "prolite",
    "team",
    "business",
    "enterprise",
    "edu",
    "k12",
)
_TO_XHIGH: Final = ("low", "medium", "high", "xhigh")
_TO_MAX: Final = (*_TO_XHIGH, "max")
_TO_ULTRA: Final = (*_TO_MAX, "ultra")
_EFFORT_WORDS: Final = {
    "low": "Answers soonest and thinks the least",
    "medium": "Weighs speed against thoroughness",
    "high": "Thinks longer about hard problems",
    "xhigh": "Thinks very long about the hardest problems",
    "max": "Thinks as long as the model can",
    "ultra": "Thinks as long as the model can and divides the work",
}
_INSTRUCTIONS: Final = (
    "You are a coding agent working with the user in a terminal. Read before you change, keep"
    " changes small, run what you change, and report plainly what you did and what is left."
)


class Card(Struct, frozen=True):
    """What is known of one model. Windows are counted in tokens; `priority` orders the list."""

    slug: str
    name: str
    description: str
    priority: int
    efforts: tuple[str, ...] = _TO_XHIGH
    default_effort: str = "medium"
    context_window: int = 272_000
    context_window_max: int = 272_000
    lite: bool = False
    fast: bool = True
    """It can be had at the priority tier."""
    listed: bool = True
    modalities: tuple[str, ...] = ("text", "image")
    plans: tuple[str, ...] = _ALL_PLANS


CARDS: Final = (
    Card(
        slug="gpt-5.6-sol",
        name="GPT-5.6-Sol",
        description="The strongest model for agents that write code.",
        priority=1,
        efforts=_TO_ULTRA,
        default_effort="low",
        context_window_max=921_000,
        lite=True,
    ),
    Card(
        slug="gpt-5.6-terra",
        name="GPT-5.6-Terra",
        description="A strong model for everyday work on code.",
        priority=2,
        efforts=_TO_ULTRA,
        context_window_max=921_000,
        lite=True,
    ),
    Card(
        slug="gpt-5.6-luna",
        name="GPT-5.6-Luna",
        description="A lighter and quicker model of the same family.",
        priority=3,
        efforts=_TO_MAX,
        context_window_max=921_000,
        lite=True,
    ),
    Card(
        slug="gpt-5.5",
        name="GPT-5.5",
        description="The general model of the family before.",
        priority=4,
    ),
    Card(
        slug="gpt-5.4",
        name="GPT-5.4",
        description="An earlier general model with a long window.",
        priority=5,
        context_window_max=1_000_000,
    ),
    Card(
        slug="gpt-5.4-mini",
        name="GPT-5.4-Mini",
        description="A small model for simple tasks.",
        priority=6,
        fast=False,
    ),
    Card(
        slug="gpt-5.3-codex-spark",
        name="GPT-5.3-Codex-Spark",
        description="A very quick model that reads text only.",
        priority=7,
        default_effort="high",
        context_window=128_000,
        context_window_max=128_000,
        fast=False,
        modalities=("text",),
    ),
    Card(
        slug="codex-auto-review",
        name="Codex Auto Review",
        description="Reviews changes on behalf of the client.",
        priority=8,
        efforts=_TO_MAX,
        context_window_max=921_000,
        lite=True,
        listed=False,
    ),
)


def manifest_body(cards: Iterable[Card] = CARDS) -> tuple[bytes, str]:
    """Return the manifest of `cards` and its ETag, quoted as HTTP wants it.

    The same cards always give the same bytes.
    """
    body = msgspec.json.encode({"models": [_entry(card) for card in cards]})
    return body, f'"{sha256(body).hexdigest()[:32]}"'


def _entry(card: Card) -> dict[str, object]:
    """Return a model as Codex clients read it, every key present."""
    image = "image" in card.modalities
    return {
        "slug": card.slug,
        "display_name": card.name,
        "description": card.description,
        "default_reasoning_level": card.default_effort,
        "supported_reasoning_levels": [
            {"effort": effort, "description": _EFFORT_WORDS.get(effort, effort)}
            for effort in card.efforts
        ],
        "visibility": "list" if card.listed else "hide",
        "priority": card.priority,
        "input_modalities": card.modalities,
        "supports_image_detail_original": image,
        "web_search_tool_type": "text_and_image" if image else "text",
        "context_window": card.context_window,
        "max_context_window": card.context_window_max,
        "use_responses_lite": card.lite,
        "tool_mode": "code_mode_only" if card.lite else None,
        "multi_agent_version": "v2" if card.lite else None,
        "service_tiers": [_PRIORITY_TIER] if card.fast else [],
        "additional_speed_tiers": ["fast"] if card.fast else [],
        "available_in_plans": card.plans,
        **_SAME_FOR_ALL,
    }


_PRIORITY_TIER: Final = {
    "id": "priority",
    "name": "Fast",
    "description": "Answers sooner and uses more of the limits",
}
_SAME_FOR_ALL: Final[dict[str, object]] = {
    "shell_type": "shell_command",
    "minimal_client_version": "0.144.0",
    "supported_in_api": True,
    "upgrade": None,
    "availability_nux": None,
    "base_instructions": _INSTRUCTIONS,
    "model_messages": {"instructions_template": _INSTRUCTIONS, "instructions_variables": {}},
    "supports_reasoning_summaries": True,
    "supports_reasoning_summary_parameter": True,
    "default_reasoning_summary": "none",
    "support_verbosity": True,
    "default_verbosity": "low",
    "apply_patch_tool_type": "freeform",
    "truncation_policy": {"mode": "tokens", "limit": 10_000},
    "supports_parallel_tool_calls": True,
    "supports_search_tool": True,
    "experimental_supported_tools": [],
    "auto_compact_token_limit": None,
    "comp_hash": "3000",
    "prefer_websockets": False,
    "include_skills_usage_instructions": False,
    "include_apps_usage_instructions": True,
    "include_plugin_usage_instructions": True,
    "node_repl_auto_review_required": False,
    "node_repl_disabled": False,
    "auto_review_model_override": None,
    "model_specialty": None,
    "default_service_tier": None,
}
