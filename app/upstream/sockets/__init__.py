"""Persistent sockets to the Codex backend: many turns, one after the other, on one connection."""
