"""Anthropic's Messages: schema, translation both ways, error shapes and the list of models."""
