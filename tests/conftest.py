"""What holds for every test: no time limit (a machine that is busy fails no test), also in hypothesis' own examples."""

from hypothesis import HealthCheck, settings

settings.register_profile("preflight", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("preflight")
