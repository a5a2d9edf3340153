"""The models manifest that the backend serves to Codex clients, with every key of the real one.

The values follow the published table: which models exist, which speak the Lite dialect, their
context sizes and efforts. `etag` changes when the list does.
"""

import hashlib
from typing import Any

import msgspec
import orjson

_BASE = ("low", "medium", "high", "xhigh")
_MAX = (*_BASE, "max")
_ULTRA = (*_MAX, "ultra")
PLANS = [
    "free", "go", "plus", "pro", "prolite", "team", "business", "enterprise", "edu", "k12",
]  # fmt: skip


class Model(msgspec.Struct, frozen=True):
    """What differs from model to model."""

    slug: str
    efforts: tuple[str, ...] = _BASE
    effort: str = "medium"
    lite: bool = False
    context: int = 272_000
    context_max: int = 272_000
    fast_tier: bool = True
    images: bool = True
    visible: bool = True

    def supports(self, effort: str) -> bool:
        """Whether the backend takes this effort on the wire."""
        return effort in {"none", "minimal", *self.efforts}

    def entry(self, priority: int) -> dict[str, Any]:
        """The manifest's entry, with all of its keys."""
        tier = {"id": "priority", "name": "Fast", "description": "1.5x speed, increased usage"}
        return {
            "slug": self.slug,
            "display_name": self.slug.replace("gpt", "GPT"),
            "description": f"Simulated {self.slug}.",
            "default_reasoning_level": self.effort,
            "supported_reasoning_levels": [
                {"effort": effort, "description": f"{effort} reasoning"} for effort in self.efforts
            ],
            "shell_type": "shell_command",
            "visibility": "list" if self.visible else "hide",
            "minimal_client_version": "0.1.0",
            "supported_in_api": True,
            "priority": priority,
            "upgrade": None,
            "availability_nux": None,
            "base_instructions": "You are Codex, a coding agent.",
            "model_messages": {
                "instructions_template": "You are Codex, a coding agent.",
                "instructions_variables": {},
            },
            "supports_reasoning_summaries": True,
            "supports_reasoning_summary_parameter": True,
            "default_reasoning_summary": "none",
            "support_verbosity": True,
            "default_verbosity": "low",
            "apply_patch_tool_type": "freeform",
            "web_search_tool_type": "text_and_image" if self.images else "text",
            "input_modalities": ["text", "image"] if self.images else ["text"],
            "supports_image_detail_original": self.images,
            "truncation_policy": {"mode": "tokens", "limit": 10_000},
            "supports_parallel_tool_calls": True,
            "supports_search_tool": True,
            "experimental_supported_tools": [],
            "context_window": self.context,
            "max_context_window": self.context_max,
            "auto_compact_token_limit": None,
            "comp_hash": "3000",
            "tool_mode": None,
            "multi_agent_version": "v2" if self.lite else None,
            "use_responses_lite": self.lite,
            "prefer_websockets": True,
            "include_skills_usage_instructions": False,
            "include_apps_usage_instructions": True,
            "include_plugin_usage_instructions": True,
            "node_repl_auto_review_required": False,
            "node_repl_disabled": False,
            "auto_review_model_override": None,
            "model_specialty": None,
            "default_service_tier": None,
            "service_tiers": [tier] if self.fast_tier else [],
            "additional_speed_tiers": ["fast"] if self.fast_tier else [],
            "available_in_plans": PLANS,
        }


_LITE_MAX = 921_000
MODELS = (
    Model("gpt-5.6-sol", _ULTRA, "low", lite=True, context_max=_LITE_MAX),
    Model("gpt-5.6-terra", _ULTRA, "medium", lite=True, context_max=_LITE_MAX),
    Model("gpt-5.6-luna", _MAX, "medium", lite=True, context_max=_LITE_MAX),
    Model("gpt-5.5"),
    Model("gpt-5.4", context_max=1_000_000),
    Model("gpt-5.4-mini", fast_tier=False),
    Model(
        "gpt-5.3-codex-spark",
        effort="high",
        context=128_000,
        context_max=128_000,
        fast_tier=False,
        images=False,
    ),
    Model("codex-auto-review", _MAX, lite=True, context_max=_LITE_MAX, visible=False),
    # Newer than what is built into gateways: whoever serves it has learnt of it from here.
    Model("gpt-6.1-sol", _ULTRA, "low", lite=True, context_max=_LITE_MAX),
)


def models() -> dict[str, Model]:
    """All models by slug."""
    return {model.slug: model for model in MODELS}


def body(known: dict[str, Model]) -> bytes:
    """The manifest's JSON."""
    entries = [model.entry(priority) for priority, model in enumerate(known.values(), 1)]
    return orjson.dumps({"models": entries})


def etag(encoded: bytes) -> str:
    """The entity tag of a manifest."""
    return f'"{hashlib.sha256(encoded).hexdigest()[:16]}"'
