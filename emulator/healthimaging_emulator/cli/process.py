"""The process of a command that serves: signals, a log that blocks nobody, a child process."""

from __future__ import annotations

import logging
import os
import queue
import resource
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler
from typing import NoReturn

LOG_SECONDS = 1.0
"""Seconds to wait for the rest of the log to be written."""

ONE_SIGNAL_SECONDS = 0.2
"""A signal within this time is a repetition: ``timeout`` sends it to a process and to its group."""

FORWARDED = {
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
}


def allow_descriptors(count: int) -> None:
    """Raise the limit of open files and connections to a count, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = count if hard == resource.RLIM_INFINITY else min(count, hard)
    with suppress(OSError, OverflowError, ValueError):  # macOS has a lower limit than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


@contextmanager
def signals_blocked(signals: Collection[signal.Signals]) -> Iterator[None]:
    """Block signals for ``sigwait``: a handler can miss one that comes while another is handled.

    Threads that start meanwhile keep them blocked; otherwise the system could deliver a signal to one of them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_at_next(signals: Collection[signal.Signals]) -> None:
    """End the process with exit code 1 at the next of these signals, which must be blocked."""
    begun = time.monotonic()

    def wait() -> None:
        while True:
            signal.sigwait(signals)
            if time.monotonic() - begun >= ONE_SIGNAL_SECONDS:
                os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def end(code: int) -> NoReturn:
    """End the process at once: ``sys.exit`` would wait for a log that nobody reads."""
    with suppress(OSError, AttributeError):  # where standard output is closed
        sys.stdout.flush()
    os._exit(code)


def run(command: tuple[str, ...], environment: Mapping[str, str]) -> int:
    """Run a command to its end, forward signals to it, and return the exit code that a shell would.

    The signals, and SIGCHLD, must be blocked. Raises ``OSError`` if it cannot be started.
    """
    signal.signal(signal.SIGCHLD, lambda *_: None)  # an ignored SIGCHLD cannot be waited for everywhere
    ignored_by_python = [signal.SIGPIPE, signal.SIGXFSZ]
    child = os.posix_spawnp(command[0], command, environment, setsigmask=[], setsigdef=ignored_by_python)
    while True:
        number, is_from_terminal = _next_signal()
        if number != signal.SIGCHLD:
            if not is_from_terminal:
                os.kill(child, number)
            continue
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _next_signal() -> tuple[int, bool]:
    """Wait for a signal. True if it comes from a key of the terminal, which the command gets by itself."""
    signals = FORWARDED | {signal.SIGCHLD}
    if sys.platform == "darwin":
        return signal.sigwait(signals), sys.stdin.isatty()
    info = signal.sigwaitinfo(signals)
    return info.si_signo, info.si_code > 0


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
