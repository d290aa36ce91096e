"""How hard it is tried: a few hundred inputs that are the same in every run, or with ``make fuzz`` many new ones."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hypothesis import HealthCheck, settings

from healthimaging_emulator import Emulator
from healthimaging_emulator.messages import Exchange, Response
from healthimaging_emulator.server.gateway import build_base_environ, build_environ, call_application
from healthimaging_emulator.server.http1 import Body, Head

HEALTH = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]  # which go by time or chance

settings.register_profile(
    "same", max_examples=50, derandomize=True, database=None, deadline=None, suppress_health_check=HEALTH
)
settings.register_profile("long", max_examples=2_000, database=None, deadline=None, suppress_health_check=HEALTH)
settings.load_profile(os.environ.get("FUZZ", "same"))

BASE = build_base_environ("127.0.0.1", 80)


def ask(
    emulator: Emulator, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
) -> Response:
    """Send a request to the WSGI application as the server does, without a socket."""
    head = Head(method, target, "1.1", [*headers], keeps_alive=True)
    return call_application(emulator.app, build_environ(BASE, head, Body(body, len(body)), Exchange()))
