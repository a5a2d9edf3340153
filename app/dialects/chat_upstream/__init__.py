"""Chat Completions as an upstream speaks it: Responses requests said in it, its replies retold."""
