"""Signals, limits, locks and child processes on Linux and macOS; ``portable`` has the same for other systems."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

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


BLOCKED = FORWARDED | {signal.SIGCHLD}
"""Signals that ``run`` wants blocked."""


def allow_descriptors(count: int) -> None:
    """Raise the limit of open files and connections to a count, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = count if hard == resource.RLIM_INFINITY else min(count, hard)
    with suppress(OSError, OverflowError, ValueError):  # macOS has a lower limit than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock: a file, which is removed at the end. After a crash it is left, but holds nothing any more.

    Raises ``BlockingIOError`` if another process holds it, and ``OSError`` if there can be no file.
    """
    file = _open_locked(path)
    try:
        yield
    finally:
        if _is_at(path, file):
            with suppress(OSError):  # it may stay
                path.unlink()
        os.close(file)


def _open_locked(path: Path) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise
        except OSError:
            return file  # a file system without locks
        if _is_at(path, file):
            return file
        os.close(file)  # the process that held it has removed it meanwhile


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except OSError:
        return False


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
    for together in signal.sigpending() & set(signals):  # with the first one, however late this thread runs
        signal.sigwait({together})
    begun = time.monotonic()

    def wait() -> None:
        while True:
            signal.sigwait(signals)
            if time.monotonic() - begun >= ONE_SIGNAL_SECONDS:
                os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def run(command: tuple[str, ...], environment: Mapping[str, str]) -> int:
    """Run a command to its end, forward signals to it, and return the exit code that a shell would.

    ``BLOCKED`` must be blocked. Raises ``OSError`` if it cannot be started.
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
    if sys.platform == "darwin":
        return signal.sigwait(BLOCKED), sys.stdin.isatty()
    info = signal.sigwaitinfo(BLOCKED)
    return info.si_signo, info.si_code > 0


def wait_for(signals: Collection[signal.Signals]) -> None:
    """Wait for one of these signals, which must be blocked."""
    signal.sigwait(signals)
