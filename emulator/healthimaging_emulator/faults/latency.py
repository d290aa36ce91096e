"""``latency``: answer late. It may stand with any effect, or alone; then a later fault may fire too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(ge=0, le=86400)]


class Latency(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A pause of ``seconds``, and up to ``jitter`` seconds more or less."""

    seconds: Seconds
    jitter: Seconds = 0.0

    def sample(self, random: Callable[[], float]) -> float:
        """Return the pause of one answer, in seconds."""
        jitter = self.jitter * (2 * random() - 1) if self.jitter else 0.0
        return max(0.0, round(self.seconds + jitter, 6))
