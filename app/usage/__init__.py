"""Counts what was spent: a journal that survives any crash, and what moves it into the store."""
