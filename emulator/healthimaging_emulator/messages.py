"""What the application and the server that called it tell each other of one request's connection."""

from __future__ import annotations

import threading

from healthimaging_emulator.aws.errors import ServiceError
from healthimaging_emulator.faults.fault import ConnectionEffect


class NoAnswer(ServiceError):
    """Ends a request whose connection breaks before there is an answer. Never sent."""


class Link:
    """One request's connection: the application decides on an effect, and only the server can carry it out.

    A server that is not the emulator's gives none (``is_served``); a client in process does not wait for a stall to end
    (``is_patient``), and may have left out the pause before this attempt, ``skipped_pause`` in seconds.
    """

    def __init__(self, *, is_served: bool = True, is_patient: bool = True) -> None:
        self._is_served = is_served
        self.is_patient = is_patient
        self.effect: ConnectionEffect | None = None
        self.skipped_pause = 0.0
        self._lock = threading.Lock()
        self._is_over = False
        self._waiting: threading.Event | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the client gets an answer, or half of one."""
        return self.effect in (None, "cut")

    def break_off(self, effect: ConnectionEffect) -> None:
        """Hand an effect to the server. Raises ``NoAnswer``, unless half of the answer is wanted."""
        if not self._is_served:
            raise RuntimeError("only the emulator's own server, or its client in process, can break a connection")
        self.effect = effect
        if not self.is_answered:
            raise NoAnswer

    def wait(self, end: threading.Event, seconds: float) -> None:
        """Wait for an event, which the server's stopping sets too."""
        with self._lock:
            if self._is_over:
                return
            self._waiting = end
        end.wait(seconds)

    def stop(self) -> None:
        """End the wait under way, and all that follow: the server stops."""
        with self._lock:
            self._is_over = True
            if self._waiting:
                self._waiting.set()
