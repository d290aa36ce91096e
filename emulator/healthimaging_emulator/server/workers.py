"""The threads of a server, in the pattern "leader/followers".

One thread leads: it waits for all connections at once, and serves each one that can be read itself. To wake another
thread for that would take as long as an answer. Before the leader waits for anything but bytes (a fault's pause, a
client that reads slowly) it hands the lead over to a follower; it gives its connection back when it has served it. If
one connection takes long without such a wait, the watch lets a follower lead.

- Only the leader uses ``_selector``, ``_ready`` and ``_deadlines``, with one exception: whoever takes the lead away
  removes the connection that is being served from the selector, so that nobody else serves it meanwhile.
- ``_lock`` guards all other fields, and who leads. It is never held while a thread serves or waits.
- A connection is in the selector, in ``_returned``, or in the hands of one thread.

D. C. Schmidt et al., Pattern-Oriented Software Architecture, volume 2, 2000: Leader/Followers.
"""

from __future__ import annotations

import heapq
import itertools
import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Protocol

MOST_FOLLOWERS = 16
"""Threads that stay when they have nothing to do."""

QUIET_TICKS = 50
"""Periods without a request after which the watch sleeps until the next one."""


class Servable(Protocol):
    """A connection as the threads see it. Its methods raise nothing."""

    @property
    def deadline(self) -> float | None:
        """When to serve the connection even if no bytes come, by the monotonic clock."""
        ...

    def fileno(self) -> int: ...

    def serve(self) -> bool:
        """Read the bytes that have come, and answer. Return whether more may come."""
        ...

    def close(self) -> None: ...


class Workers:
    """The threads that serve a server's connections.

    ``patience`` is how long one connection may keep the others waiting, in seconds. Raises ``OSError`` and
    ``RuntimeError`` if the system has no descriptors or no threads left.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._ready: deque[Servable] = deque()
        self._deadlines: list[tuple[float, int, Servable]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._followers: dict[threading.Thread, threading.Lock] = {}
        self._returned: list[Servable] = []
        self._serving: Servable | None = None
        self._served = 0
        self._is_stopped = False
        self._has_ended = threading.Event()
        self._is_watched = True
        self._resume_watch = threading.Lock()
        self._resume_watch.acquire()
        self._leader = threading.Thread(target=self._work, name="healthimaging-worker", daemon=True)
        self._leader.start()
        threading.Thread(target=self._watch, name="healthimaging-watch", daemon=True).start()

    def add(self, connection: Servable) -> None:
        """Serve a connection from now on."""
        with self._lock:
            if not self._is_stopped:
                self._returned.append(connection)
                self._wake_leader()
                return
        connection.close()

    def start(self, connection: Servable) -> None:
        """Serve a connection that begins with a wait in another thread. Raises ``RuntimeError`` if there is none."""
        self._start_thread(connection)

    def hand_over(self) -> None:
        """Let another thread lead, if this one does, because it is going to wait.

        Raises ``RuntimeError`` if there is none.
        """
        with self._lock:
            if self._leader is threading.current_thread():
                self._promote()

    def stop(self, timeout: float) -> None:
        """Close all connections that are not being served, and wait for the leader to end."""
        with self._lock:
            self._is_stopped = True
            followers, self._followers = self._followers, {}
            self._wake_leader()
        for turn in followers.values():
            turn.release()
        with suppress(RuntimeError):  # it watches already
            self._resume_watch.release()
        self._has_ended.wait(timeout)

    def _wake_leader(self) -> None:
        with suppress(OSError):  # there are enough bytes to wake it, or it has ended
            self._wake.send(b"\0")

    # Leading and following.

    def _start_thread(self, first: Servable | None = None) -> threading.Thread:
        thread = threading.Thread(target=self._work, args=[first], name="healthimaging-worker", daemon=True)
        thread.start()
        return thread

    def _work(self, first: Servable | None = None) -> None:
        if first:
            self._serve(first)
        while True:
            while connection := self._next_connection():
                self._serve(connection)
            if not self._follow():
                return

    def _follow(self) -> bool:
        """Wait until this thread leads. Return False if it is not needed any more."""
        turn = threading.Lock()
        turn.acquire()
        with self._lock:
            if self._is_stopped or len(self._followers) >= MOST_FOLLOWERS:
                return False
            self._followers[threading.current_thread()] = turn
        turn.acquire()
        return not self._is_stopped

    def _promote(self) -> None:
        """Let a follower lead, or a new thread. Called under the lock while the leader serves."""
        if self._followers:
            self._leader, turn = self._followers.popitem()
            turn.release()
        else:
            self._leader = self._start_thread()
        if self._serving is not None:
            self._selector.unregister(self._serving)
            self._serving = None

    def _watch(self) -> None:
        """Let a follower lead while one connection takes too long."""
        seen = quiet = 0
        while True:
            self._resume_watch.acquire(timeout=self._patience if quiet < QUIET_TICKS else -1)
            with self._lock:
                if self._is_stopped:
                    return
                if self._served == seen and self._serving is not None:
                    with suppress(RuntimeError):  # no thread is left; the next period may have one
                        self._promote()
                quiet = quiet + 1 if self._served == seen and self._serving is None else 0
                seen = self._served
                self._is_watched = quiet < QUIET_TICKS

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
                    if not self._is_watched:
                        self._is_watched = True
                        self._resume_watch.release()
                    return self._serving
            self._find_ready()
        self._end()
        return None

    def _serve(self, connection: Servable) -> None:
        before = connection.deadline
        goes_on = connection.serve()
        with self._lock:
            leads = self._leader is threading.current_thread()
            if leads:
                self._serving = None
        if not leads and goes_on:
            self.add(connection)
        elif goes_on:
            if connection.deadline != before:
                self._note_deadline(connection)
        else:
            if leads:
                self._selector.unregister(connection)
            connection.close()

    def _find_ready(self) -> None:
        """Wait until connections can be read, have returned, or have reached their deadlines."""
        timeout = self._deadlines[0][0] - time.monotonic() if self._deadlines else None
        for key, _ in self._selector.select(timeout):
            if key.data:
                self._ready.append(key.data)
            else:
                self._admit()
        while self._deadlines and self._deadlines[0][0] <= time.monotonic():
            due, _, connection = heapq.heappop(self._deadlines)
            if connection.deadline == due and connection not in self._ready:
                self._ready.append(connection)

    def _admit(self) -> None:
        """Wait for the connections that are new, or that another thread has served."""
        self._woken.recv(4096)
        with self._lock:
            returned, self._returned = self._returned, []
        for connection in returned:
            try:
                self._selector.register(connection, selectors.EVENT_READ, connection)
                self._note_deadline(connection)
            except OSError:  # the system watches no more descriptors
                connection.close()

    def _note_deadline(self, connection: Servable) -> None:
        if connection.deadline is not None:
            heapq.heappush(self._deadlines, (connection.deadline, next(self._numbers), connection))
            if len(self._deadlines) > 64 + 2 * len(self._selector.get_map()):  # most have gone by
                self._deadlines = [entry for entry in self._deadlines if entry[2].deadline == entry[0]]
                heapq.heapify(self._deadlines)

    def _end(self) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data:
                key.data.close()
        for connection in self._returned:
            connection.close()
        for opened in (self._selector, self._wake, self._woken):
            opened.close()
        self._has_ended.set()
