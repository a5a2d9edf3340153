"""Properties of the Messages dialect hold however slow the machine is: no deadline an example."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
