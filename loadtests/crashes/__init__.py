"""Kills the gateway without warning while it is under load, and then audits its books."""
