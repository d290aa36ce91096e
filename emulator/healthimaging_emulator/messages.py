"""A request and its response as plain values, and the connection between them.

Every transport makes a ``Request``, gives it to ``pipeline.handle`` with an ``Exchange`` of its
own, and delivers the ``Response``. Nothing here does I/O.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from .journal import Call

REASONS = {status.value: status.phrase for status in HTTPStatus}
"""The reason phrases. ``http.client`` has them too, but takes long to import."""

ConnectionBreak = Literal["reset", "close", "cut", "stall", "timeout"]
"""How a connection ends early. ``timeout``: the client stopped waiting. All others are the emulator's doing."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the client sent it: path and query still percent-encoded, header names in lower case.

    ``size`` is the length of the body in bytes. If it exceeds the limit of the settings, ``body`` is not complete.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class Wait(NamedTuple):
    """A pause of ``seconds`` that a transport carries out. Setting ``end`` ends it early.

    A virtual pause belongs to a frozen clock: it counts, but takes no time.
    """

    seconds: float
    end: threading.Event
    is_virtual: bool = False


class Exchange:
    """One request and its response on a transport that can only deliver the response whole.

    A transport that can break the connection has a subclass with ``can_break``. ``skipped_pause`` is the part of the
    client's pause before this attempt, in seconds, that the transport left out. A log finds here the ``account`` of the
    request, its ``call``, and for one that was refused before there was a call, the reason.
    """

    can_break = False
    skipped_pause = 0.0
    account: str | None = None
    call: Call | None = None
    refusal: str | None = None

    def __init__(self) -> None:
        self.effect: ConnectionBreak | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the client gets the response, or half of it."""
        return self.effect in (None, "cut")

    def break_connection(self, effect: ConnectionBreak) -> None:
        """Make the transport end the connection early. If there is an effect already, it stays."""
        if not self.can_break:
            raise RuntimeError("only the emulator's own server, or its in-process client, can break a connection")
        self.effect = self.effect or effect

    def wait(self, wait: Wait) -> None:
        """Carry out a pause."""
        if not wait.is_virtual:
            wait.end.wait(wait.seconds)


def drive(steps: Generator[Wait, None, Response], exchange: Exchange) -> Response:
    """Run the steps of a request to their response, in a thread that may wait."""
    while True:
        try:
            wait = next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        exchange.wait(wait)
