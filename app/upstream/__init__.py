"""Shell: HTTP to Codex, OpenAI-style servers and the authorization server."""
