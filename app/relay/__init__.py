"""One call, from admission to its last byte."""
