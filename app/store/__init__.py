"""Shell: SQL through SQLAlchemy Core."""
