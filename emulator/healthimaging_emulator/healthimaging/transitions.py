"""Transitions: an operation has answered LOCKED and continues by itself.

A transition is over when a number of requests have seen it, or when a number of seconds have passed, whichever is
first. A request sees a transition if its answer shows the LOCKED state, or if it is refused because of this state. Each
request counts once per transition, after its operation has run. Exactly the set number of requests see it, even if they
run in parallel: the last one ends the transition after it has read its own answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..clock import Moment
    from .records import Version, Work

Key = tuple[str, str]
"""A data store and an image set."""


class Pace(NamedTuple):
    """When a transition is over: after ``reads`` requests, or after ``seconds``. None switches a number off."""

    reads: int | None = 1
    seconds: float | None = 1.0

    @property
    def is_immediate(self) -> bool:
        """Whether the transition is over with the answer of the operation."""
        return self.reads == 0 or self.seconds == 0


class Transition:
    """A change that is under way. The lock of the store guards its fields.

    ``ends`` has a function for each image set that makes its final version from the date of the end. ``then`` does
    whatever else belongs to the end, for the resource that ``subject`` names. ``due`` is by the elapsed time of the
    account's clock. A transition with ``work`` is not over before the work is done; ``is_due`` says that it waits only
    for that. No end is dated before ``began_at``, however the readings of the clock fell.
    """

    __slots__ = ("began_at", "due", "ends", "is_due", "is_over", "name", "reads", "subject", "then", "work")

    def __init__(
        self,
        name: str,
        pace: Pace,
        moment: Moment,
        ends: Mapping[Key, Callable[[float], Version]] | None = None,
        *,
        subject: str = "",
        then: Callable[[float], None] | None = None,
        work: Work | None = None,
    ) -> None:
        self.name = name
        self.reads = pace.reads
        self.began_at = moment.date
        self.due = None if pace.seconds is None else moment.elapsed + pace.seconds
        self.ends = ends or {}
        self.subject = subject or ", ".join(image_set_id for _, image_set_id in self.ends)
        self.then = then
        self.work = work
        self.is_over = self.is_due = False

    def __str__(self) -> str:
        return f"{self.name} of {self.subject}"
