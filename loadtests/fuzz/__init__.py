"""Bytes from anywhere, against the parsers that meet them: what may be raised, and nothing else."""
