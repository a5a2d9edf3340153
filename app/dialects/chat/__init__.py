"""Chat Completions: schema, translation both ways, and error shapes."""
