"""``rateLimit``: throttle requests that exceed a rate, by a token bucket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from ..aws.errors import ThrottlingException
from .effect import Effect, Target


class Bucket:
    """A token bucket, full at the start. While it is empty, the gate is open and the fault fires."""

    def __init__(self, per_second: float, burst: int, elapsed: float) -> None:
        self._per_second, self._burst = per_second, float(burst)
        self._level, self._filled_at = self._burst, elapsed

    def is_open(self, elapsed: float) -> bool:
        """Take a token. Return True if there is none."""
        refill = round(elapsed - self._filled_at, 3) * self._per_second
        self._level, self._filled_at = min(self._burst, self._level + refill), elapsed
        if self._level < 1 - 1e-9:  # 0.04 s at 25 a second are a whole token, whatever the floats say
            return True
        self._level -= 1
        return False


class RateLimitEffect(Effect, frozen=True, kw_only=True):
    """A rate in requests per second, and a burst. Requests beyond them get ThrottlingException."""

    per_second: Annotated[float, Meta(gt=0, le=1e6)]
    burst: Annotated[int, Meta(ge=1, le=2**63 - 1)]

    def make_gate(self, elapsed: float) -> Bucket:
        return Bucket(self.per_second, self.burst, elapsed)

    def act(self, target: Target) -> Iterator[float]:
        raise ThrottlingException
