"""What a process that serves needs: signals that are waited for, a log that holds up nobody, a child."""

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
"""How long the end of the log may take to be written."""

ONE_SIGNAL_SECONDS = 0.2
"""What comes so soon after a signal is the same once more: ``timeout`` sends it to a process and to its group."""

FORWARDED = {
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
}


def allow_descriptors(count: int) -> None:
    """Let this process open so many files and connections, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = count if hard == resource.RLIM_INFINITY else min(count, hard)
    with suppress(OSError, OverflowError, ValueError):  # macOS has a lower limit than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


@contextmanager
def signals_blocked(signals: Collection[signal.Signals]) -> Iterator[None]:
    """Keep signals for ``sigwait``: a handler can miss one that comes while another is handled.

    Threads that are started meanwhile keep them blocked, or the system would hand them a signal.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_at_next(signals: Collection[signal.Signals]) -> None:
    """Let the next of these signals, which are blocked, end the process with exit code 1."""
    begun = time.monotonic()

    def wait() -> None:
        while True:
            signal.sigwait(signals)
            if time.monotonic() - begun >= ONE_SIGNAL_SECONDS:
                os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def end(code: int) -> NoReturn:
    """End the process: a log that nobody reads would hold up the ordinary way out."""
    with suppress(OSError, AttributeError):  # where standard output is closed
        sys.stdout.flush()
    os._exit(code)


def run(command: tuple[str, ...], environment: Mapping[str, str]) -> int:
    """Run a command to its end with the signals that come for it, and return the exit code that a shell would.

    The signals, and SIGCHLD, must be blocked. Raises ``OSError`` if it cannot be started.
    """
    signal.signal(signal.SIGCHLD, lambda *_: None)  # one that is ignored is not waited for everywhere
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
    """Wait for a signal; say whether it is a key of the terminal, which the command gets by itself."""
    signals = FORWARDED | {signal.SIGCHLD}
    if sys.platform == "darwin":
        return signal.sigwait(signals), sys.stdin.isatty()
    info = signal.sigwaitinfo(signals)
    return info.si_signo, info.si_code > 0


@contextmanager
def background_log(level: str) -> Iterator[None]:
    """Log on standard error from a thread of its own: a pipe that nobody reads holds up no request, but loses lines."""
    lines: queue.Queue[logging.LogRecord | None] = queue.Queue(maxsize=10_000)
    handler = _LossyHandler(lines)
    writer = threading.Thread(target=_write, args=(lines,), daemon=True)
    logger = logging.getLogger("emulator")
    logger.setLevel(level.upper())
    logger.propagate = False
    logger.addHandler(handler)
    writer.start()
    try:
        yield
    finally:
        logger.propagate = True
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
