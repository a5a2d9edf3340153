"""Databases of other products: how they are read, and what of them we can take."""
