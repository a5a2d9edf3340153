"""Shell: the `codex2api` command, one file a noun."""
