"""The process of a command that serves: signals, its end, locks, a child process."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

if hasattr(signal, "pthread_sigmask") and hasattr(os, "posix_spawnp"):
    from .posix import BLOCKED, allow_descriptors, end_at_next, locked, run, signals_blocked, wait_for
else:
    from .portable import BLOCKED, allow_descriptors, end_at_next, locked, run, signals_blocked, wait_for

__all__ = [
    "BLOCKED",
    "allow_descriptors",
    "end",
    "end_at_next",
    "locked",
    "run",
    "signals_blocked",
    "wait_for",
]


def end(code: int) -> NoReturn:
    """End the process at once: ``sys.exit`` would wait for a log that nobody reads."""
    with suppress(OSError, AttributeError):  # where standard output is closed
        sys.stdout.flush()
    os._exit(code)
