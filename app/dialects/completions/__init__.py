"""The legacy Completions API, in Responses."""
