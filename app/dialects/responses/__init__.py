"""Responses: the common tongue, passed through with as few changes as possible."""
