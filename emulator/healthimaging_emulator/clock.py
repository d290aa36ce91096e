"""An account's clock: it follows the machine's, and can stand still or be moved."""

from __future__ import annotations

import threading
import time
from datetime import datetime

from healthimaging_emulator.healthimaging.shapes import timestamp


class Clock:
    """Tells the time of one account, in epoch seconds. It never decides how long anything really takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Follow the machine's clock again."""
        self._offset = 0.0
        self._stands_at: float | None = None

    def now(self) -> float:
        """Return the time to the millisecond, as the service keeps it."""
        with self._lock:
            return self._now()

    def _now(self) -> float:
        return round(time.time() + self._offset, 3) if self._stands_at is None else self._stands_at

    @property
    def is_frozen(self) -> bool:
        """Whether time stands still, here or because a test has replaced ``time.time``, as freezegun does."""
        return self._stands_at is not None or time.time.__module__ != "time"

    def freeze(self, at: float | datetime | str | None = None) -> None:
        """Stand still, at a time or where the clock is. Raises ``ValueError`` for a time out of range."""
        with self._lock:
            self._stands_at = self._now() if at is None else timestamp(at)

    def advance(self, seconds: float) -> None:
        """Move on, standing or running. Raises ``ValueError`` for a step back or past the year 9999."""
        if not seconds >= 0:
            raise ValueError("a clock advances by 0 seconds or more")
        with self._lock:
            moved = timestamp(self._now() + seconds)
            if self._stands_at is None:
                self._offset += seconds
            else:
                self._stands_at = moved

    def run(self) -> None:
        """Run on from where the clock stands."""
        with self._lock:
            self._offset, self._stands_at = self._now() - time.time(), None
