"""Signals, locks and child processes on systems without POSIX, such as Windows; see ``posix``."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

BLOCKED: set[signal.Signals] = set()

POLL_SECONDS = 0.2
"""A wait without an end would not be interrupted by Ctrl-C."""


def allow_descriptors(count: int) -> None:  # as in ``posix``
    """Do nothing: there is no limit to raise."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock: a file, which is removed at the end. Windows removes none that a process has open.

    Raises ``BlockingIOError`` if another process holds it, and ``OSError`` if there can be no file.
    """
    try:
        path.unlink(missing_ok=True)  # left by a crash
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    except (FileExistsError, PermissionError):
        raise BlockingIOError from None
    try:
        yield
    finally:
        os.close(file)
        with suppress(OSError):  # another process holds it already
            path.unlink()


@contextmanager
def signals_blocked(signals: Collection[signal.Signals]) -> Iterator[None]:  # noqa: ARG001  # as in ``posix``
    """Do nothing: signals cannot be blocked."""
    yield


def wait_for(signals: Collection[signal.Signals]) -> None:
    """Wait for one of these signals."""
    arrived = threading.Event()
    for each in signals:
        signal.signal(each, lambda *_: arrived.set())
    while not arrived.wait(POLL_SECONDS):
        pass


def end_at_next(signals: Collection[signal.Signals]) -> None:
    """End the process with exit code 1 at the next of these signals."""
    for each in signals:
        signal.signal(each, lambda *_: os._exit(1))


def run(command: tuple[str, ...], environment: Mapping[str, str]) -> int:
    """Run a command to its end, and return its exit code. Ctrl-C reaches the command by itself.

    Raises ``OSError`` if it cannot be started.
    """
    with subprocess.Popen(command, env=dict(environment)) as child:
        while True:
            try:
                code = child.wait()
                return code if code >= 0 else 128 - code
            except KeyboardInterrupt:
                continue
