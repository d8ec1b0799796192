"""The same examples in every run, and no verdict that depends on how busy the machine is."""

from hypothesis import settings

settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")
