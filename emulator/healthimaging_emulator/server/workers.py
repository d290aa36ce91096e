"""The threads of a server, in the pattern "leader/followers".

One thread, the leader, waits for all connections. When bytes come, it answers by itself, because waking another thread
would take as long as the answer. Before it has to wait for anything else (a fault's pause, a client that reads slowly),
it lets a follower lead; when it has finished with its connection, it gives that back to the new leader, and follows. If
an answer takes long without such a wait, the watch passes the lead on.

- Only the leader uses ``_selector``, ``_idle``, ``_ready``, ``_again`` and ``_deadlines``, with one exception: whoever
  takes the lead away removes the connection that is being served from the selector, so that nobody else serves it.
- ``_lock`` guards ``_leader``, ``_followers``, ``_returned``, ``_serving``, ``_served``, ``_is_watching`` and
  ``_is_stopped``. It is held while a thread is started, never while one serves or follows.
- A connection is in the selector, in ``_returned``, or in the hands of one thread.

D. C. Schmidt et al., Pattern-Oriented Software Architecture, volume 2, 2000: Leader/Followers.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import selectors
import socket
import threading
from collections import deque
from contextlib import suppress
from typing import Protocol

from ..monotonic import monotonic

MOST_FOLLOWERS = 16
"""Threads that stay when they have nothing to do."""

QUIET_PERIODS = 50
"""Periods of ``patience`` without a request, after which the watch sleeps until a request comes."""

log = logging.getLogger("healthimaging_emulator")


class Servable(Protocol):
    """A connection as the threads see it. Its methods raise nothing."""

    @property
    def deadline(self) -> float | None:
        """When to serve the connection even if no bytes come, by the clock of ``monotonic``."""
        ...

    @property
    def has_more(self) -> bool:
        """Whether to serve the connection again, after the others, even if no bytes come."""
        ...

    def fileno(self) -> int: ...

    def serve(self) -> bool:
        """Read the bytes that have come, and answer. Return whether more may come."""
        ...

    def close(self) -> None: ...


class Workers:
    """The threads that serve a server's connections.

    A connection that is served for longer than ``patience`` in seconds, at most twice this, loses the lead. Raises
    ``OSError`` and ``RuntimeError`` if the system has no descriptors or no threads left.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._idle: set[Servable] = set()
        self._ready: deque[Servable] = deque()
        self._again: list[Servable] = []
        self._deadlines: list[tuple[float, int, Servable]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._followers: list[tuple[threading.Thread, threading.Lock]] = []
        self._returned: list[Servable] = []
        self._serving: Servable | None = None
        self._served = 0
        self._is_stopped = False
        self._has_ended = threading.Event()
        self._is_watching = True
        self._resume_watch = threading.Event()
        self._leader = self._make_thread()
        try:
            threading.Thread(target=self._watch, name="healthimaging-watch", daemon=True).start()
            self._leader.start()
        except RuntimeError:
            self._is_stopped = True
            self._resume_watch.set()
            self._end()
            raise

    def add(self, connection: Servable) -> None:
        """Serve a connection from now on."""
        with self._lock:
            if not self._is_stopped:
                self._returned.append(connection)
                self._wake_leader()
                return
        connection.close()

    def add_waiting(self, connection: Servable) -> None:
        """Serve a connection in a thread of its own first, because it begins with a wait.

        Raises ``RuntimeError`` if no thread is left.
        """
        self._make_thread(connection).start()

    def hand_over(self) -> None:
        """Let another thread lead, if this one does, because it is going to wait.

        Raises ``RuntimeError`` if no thread is left.
        """
        with self._lock:
            if self._leader is threading.current_thread():
                self._promote()

    def stop(self, timeout: float) -> None:
        """Close all connections that are not being served, and wait for the leader to end."""
        with self._lock:
            self._is_stopped = True
            followers, self._followers = self._followers, []
            self._wake_leader()
        for _, promotion in followers:
            promotion.release()
        self._resume_watch.set()
        self._has_ended.wait(timeout)

    def _wake_leader(self) -> None:
        with suppress(OSError):  # there are enough bytes to wake it, or it has ended
            self._wake.send(b"\0")

    # Leading and following.

    def _make_thread(self, first: Servable | None = None) -> threading.Thread:
        return threading.Thread(target=self._work, args=[first], name="healthimaging-worker", daemon=True)

    def _work(self, first: Servable | None) -> None:
        try:
            if first:
                self._serve(first)
            while True:
                while connection := self._next_connection():
                    self._serve(connection)
                if not self._follow():
                    return
        except Exception:
            log.exception("a thread of the server failed")
            self.hand_over()

    def _follow(self) -> bool:
        """Wait until this thread leads. Return False if it is not needed any more."""
        promotion = threading.Lock()
        promotion.acquire()
        with self._lock:
            if self._is_stopped or len(self._followers) >= MOST_FOLLOWERS:
                return False
            self._followers.append((threading.current_thread(), promotion))
        promotion.acquire()
        return True

    def _promote(self) -> None:
        """Let a follower lead, or a new thread. Called under the lock while the leader serves."""
        if self._followers:
            self._leader, promotion = self._followers.pop()
            promotion.release()
        else:
            thread = self._make_thread()
            thread.start()
            self._leader = thread
        if self._serving is not None:
            self._unregister(self._serving)
            self._serving = None

    def _watch(self) -> None:
        """Let a follower lead while one connection takes too long."""
        seen = quiet = 0
        while True:
            self._resume_watch.wait(self._patience if quiet < QUIET_PERIODS else None)
            with self._lock:
                if self._is_stopped:
                    return
                if self._served == seen and self._serving is not None:
                    with suppress(RuntimeError):  # no thread is left; the next period may have one
                        self._promote()
                quiet = quiet + 1 if self._served == seen and self._serving is None else 0
                seen = self._served
                self._is_watching = quiet < QUIET_PERIODS
                self._resume_watch.clear()

    # Serving.

    def _next_connection(self) -> Servable | None:
        """Return the next connection to serve; None if this thread does not lead."""
        while True:
            with self._lock:
                if self._leader is not threading.current_thread():
                    return None
                if self._is_stopped:
                    break
                if self._ready:
                    self._served += 1
                    self._serving = self._ready.popleft()
                    if not self._is_watching:
                        self._is_watching = True
                        self._resume_watch.set()
                    return self._serving
            self._find_ready()
        self._end()
        return None

    def _serve(self, connection: Servable) -> None:
        before = connection.deadline
        may_go_on = connection.serve()
        with self._lock:
            is_leader = self._leader is threading.current_thread()
            if is_leader:
                self._serving = None
        if not may_go_on:
            if is_leader:
                self._unregister(connection)
            connection.close()
        elif not is_leader:
            self.add(connection)
        else:
            self._wait_for(connection, since=before)

    def _unregister(self, connection: Servable) -> None:
        self._idle.discard(connection)
        self._selector.unregister(connection)

    def _find_ready(self) -> None:
        """Wait until connections can be read, have returned, have more requests, or have reached their deadlines."""
        again, self._again = self._again, []
        timeout = self._deadlines[0][0] - monotonic() if self._deadlines else None
        for key, _ in self._selector.select(0 if again else timeout):
            if key.data is None:
                self._admit()
            elif key.data not in again:
                self._ready.append(key.data)
        self._ready += again
        while self._deadlines and self._deadlines[0][0] <= monotonic():
            due, _, connection = heapq.heappop(self._deadlines)
            if connection.deadline == due and connection in self._idle and connection not in self._ready:
                self._ready.append(connection)

    def _admit(self) -> None:
        """Register the connections that are new, or that another thread has given back."""
        self._woken.recv(4096)
        with self._lock:
            returned, self._returned = self._returned, []
        for connection in returned:
            try:
                self._selector.register(connection, selectors.EVENT_READ, connection)
                self._idle.add(connection)
                self._wait_for(connection)
            except OSError:  # the system watches no more descriptors
                connection.close()

    def _wait_for(self, connection: Servable, *, since: float | None = None) -> None:
        """Note when to serve a connection that is in the selector: ``since`` is the deadline that was noted before."""
        if connection.has_more:
            self._again.append(connection)
        if connection.deadline is not None and connection.deadline != since:
            heapq.heappush(self._deadlines, (connection.deadline, next(self._numbers), connection))
            if len(self._deadlines) > 64 + 2 * len(self._idle):  # most have gone by
                self._deadlines = [entry for entry in self._deadlines if entry[2].deadline == entry[0]]
                heapq.heapify(self._deadlines)

    def _end(self) -> None:
        for connection in [*self._idle, *self._returned]:
            connection.close()
        for opened in (self._selector, self._wake, self._woken):
            opened.close()
        self._has_ended.set()
