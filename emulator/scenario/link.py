"""What the application and the server that called it tell each other of one request's connection."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..service.errors import ServiceError
from .rules import ConnectionEffect


class NoAnswer(ServiceError):
    """Ends a request whose connection breaks before there is an answer. Never sent."""


class Link:
    """What the application and the server that called it tell each other of one request's connection.

    The application decides on a connection effect, and only the server can carry it out: it waits for ``hold``, then
    breaks the connection. ``wake`` ends whatever holds the request up.
    """

    def __init__(self, *, is_served: bool = True) -> None:
        self._is_served = is_served
        self.wake = threading.Event()
        self.effect: ConnectionEffect | None = None
        self.hold: Callable[[], None]

    @property
    def is_answered(self) -> bool:
        """Whether the client gets an answer, or half of one."""
        return self.effect in (None, "cut")

    def break_off(self, effect: ConnectionEffect, hold: Callable[[], None]) -> None:
        """Hand an effect to the server. Raises ``NoAnswer``, unless half of the answer is wanted."""
        if not self._is_served:
            raise RuntimeError("only the emulator's own server, or its client in process, can break a connection")
        self.effect, self.hold = effect, hold
        if not self.is_answered:
            raise NoAnswer
