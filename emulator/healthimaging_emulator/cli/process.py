"""The process of a command that serves: signals, a log that blocks nobody, a child process."""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler
from typing import NoReturn

LOG_SECONDS = 1.0
"""Seconds to wait for the rest of the log to be written."""

if hasattr(signal, "pthread_sigmask") and hasattr(os, "posix_spawnp"):
    from .posix import BLOCKED, allow_descriptors, end_at_next, run, signals_blocked, wait_for
else:
    from .portable import BLOCKED, allow_descriptors, end_at_next, run, signals_blocked, wait_for

__all__ = [
    "BLOCKED",
    "allow_descriptors",
    "background_log",
    "end",
    "end_at_next",
    "run",
    "signals_blocked",
    "wait_for",
]


def end(code: int) -> NoReturn:
    """End the process at once: ``sys.exit`` would wait for a log that nobody reads."""
    with suppress(OSError, AttributeError):  # where standard output is closed
        sys.stdout.flush()
    os._exit(code)


@contextmanager
def background_log(level: str) -> Iterator[None]:
    """Log to standard error from a thread of its own. If nobody reads it, lines are lost, but no request blocks."""
    lines: queue.Queue[logging.LogRecord | None] = queue.Queue(maxsize=10_000)
    handler = _LossyHandler(lines)
    writer = threading.Thread(target=_write, args=(lines,), daemon=True)
    logger = logging.getLogger("healthimaging_emulator")
    level_before = logger.level
    logger.setLevel(level.upper())
    logger.propagate = False
    logger.addHandler(handler)
    writer.start()
    try:
        yield
    finally:
        logger.propagate = True
        logger.setLevel(level_before)
        logger.removeHandler(handler)
        with suppress(queue.Full):
            lines.put_nowait(None)
        writer.join(LOG_SECONDS)


class _LossyHandler(QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(queue.Full):
            self.queue.put_nowait(record)


def _write(lines: queue.Queue[logging.LogRecord | None]) -> None:
    out = logging.StreamHandler(sys.stderr)
    while line := lines.get():
        out.handle(line)
