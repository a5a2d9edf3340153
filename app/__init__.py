"""codex2api: one address in front of many Codex accounts, OpenAI keys and compatible upstreams."""

__version__ = "0.1.0"
