"""Let the threads of connections take turns, first come first served.

CPython runs one thread at a time, and does not say which one is next: of 64 busy connections, some would wait ten
times as long as most. So a thread takes a turn when bytes have arrived, and ends it before it waits for anything else.
"""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """One turn at a time. A thread that has waited for ``patience`` seconds takes the turn from the one that has it.

    So a long request holds up the others once, and is then passed by. Each turn is a lock of its own thread, which is
    released when the turn has come. ``_lock`` guards the other fields.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._current: threading.Lock | None = None
        self._waiting: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """How many threads wait for a turn."""
        return len(self._waiting)

    def take(self) -> threading.Lock:
        """Wait for a turn, and return it."""
        turn = threading.Lock()
        with self._lock:
            if self._current is None:
                self._current = turn
                return turn
            turn.acquire()
            self._waiting.append(turn)
        if not turn.acquire(timeout=self._patience):
            with self._lock:
                if turn in self._waiting:  # otherwise it has come at the last moment, and may be taken away already
                    self._waiting.remove(turn)
                    self._current = turn
        return turn

    def end(self, turn: threading.Lock) -> None:
        """End a turn, unless it was taken away: the thread that has waited longest is next."""
        with self._lock:
            if self._current is turn:
                self._current = self._waiting.popleft() if self._waiting else None
                if self._current:
                    self._current.release()
