"""Let the threads of connections take turns, first come first served.

CPython runs one thread at a time, and does not say which one is next: of 64 busy connections, some would wait ten
times as long as most. So a thread takes a turn when bytes have arrived, and ends it before it waits for anything else.
"""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """One turn at a time. A thread that has waited for ``patience`` seconds goes on without one.

    So a long request does not hold up the others. ``_lock`` guards the other fields. Each thread that waits has a lock
    in ``_waiting``, which is released when its turn has come.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """How many threads wait for a turn."""
        return len(self._waiting)

    def take(self) -> bool:
        """Wait for a turn. Return whether it has come; then it must be ended."""
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=self._patience):
            return True
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return False
        return True  # it has come at the last moment

    def end(self) -> None:
        """End a turn: the thread that has waited longest is next."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False
