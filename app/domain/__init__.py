"""The nouns: frozen structs without behaviour that waits."""
