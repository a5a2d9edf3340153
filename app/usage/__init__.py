"""Counts what was spent."""
