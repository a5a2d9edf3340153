"""Restarts and kills replicas behind a proxy, under load, and says what callers noticed."""
