"""Keeps accounts alive, in the background."""
