"""Takes a server away from a gateway under load, beside one that keeps its own."""
