"""Metrics and logs: listeners that only `compose` knows."""
