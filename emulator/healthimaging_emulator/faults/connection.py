"""``connection``: break the connection, before the answer or in the middle of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from ..messages import Response
from .effect import Effect, Target
from .latency import Seconds

ConnectionKind = Literal["reset", "close", "cut", "stall"]

STALL_SECONDS = 60.0
"""boto3's default read timeout."""


class ConnectionEffect(Effect, frozen=True, kw_only=True):
    """``reset`` and ``close`` end the connection before an answer, ``cut`` after half of it.

    ``stall`` sends nothing for some ``seconds``, by default 60, and then closes.
    """

    can_come_after = True

    kind: ConnectionKind
    seconds: Seconds | None = None

    def act(self, target: Target) -> Iterator[float]:
        if self.kind == "cut":
            return
        target.exchange.break_connection(self.kind)
        if self.kind == "stall":
            yield STALL_SECONDS if self.seconds is None else self.seconds
        raise NoAnswer

    def change_response(self, response: Response, target: Target) -> Response:
        if self.kind == "cut":
            target.exchange.break_connection("cut")
        return response


class NoAnswer(Exception):
    """Ends a request without an answer, because its connection breaks."""
