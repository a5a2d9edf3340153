"""What callers speak, translated to Responses, our common tongue, and back. Pure."""
