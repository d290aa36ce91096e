"""How hard it is tried: a few hundred inputs that are the same in every run, or with ``make fuzz`` many new ones."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

HEALTH = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]  # which go by time or chance

settings.register_profile(
    "same", max_examples=50, derandomize=True, database=None, deadline=None, suppress_health_check=HEALTH
)
settings.register_profile("long", max_examples=2_000, database=None, deadline=None, suppress_health_check=HEALTH)
settings.load_profile(os.environ.get("FUZZ", "same"))
