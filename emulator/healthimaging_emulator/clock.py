"""The clock of an account: it follows the machine's clock, and can be frozen, set and advanced.

A clock tells two things. ``now`` is the date. ``elapsed`` counts the seconds that pass: setting the date does not
change it, so a fault that expires in 60 seconds still does after ``freeze("2024-01-01T00:00:00Z")``. A test may also
replace the machine's clock (freezegun, time-machine): meanwhile, seconds pass as they do on the replaced clock.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Hashable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec

from .errors import invalid
from .monotonic import monotonic

YEAR_10000 = 253402300800
"""The end of the year 9999 in epoch seconds. Python, and so boto3, knows no later one."""

LATEST = YEAR_10000 - 0.001
"""The last date that there is."""

_parse = partial(msgspec.convert, type=datetime)  # the real class, also while freezegun replaces it


def timestamp(time: Any) -> float:
    """Return a time as epoch seconds with milliseconds, as the service sends them.

    Accepts epoch seconds, a datetime with an offset, or a string in RFC 3339. Raises ``InvalidError`` for anything
    else, and for times outside the years 1970 to 9999.
    """
    seconds = time if type(time) is float else _to_seconds(time)  # a seed may have millions of floats
    if not 0 <= seconds < YEAR_10000 - 0.0005:  # a later time would be rounded up
        raise invalid("time", time, "a time in the years 1970 to 9999, in epoch seconds")
    return int(seconds * 1000 + 0.5) / 1000  # like round(time, 3) but for ties, in a third of the time


def _to_seconds(time: Any) -> float:
    found = time
    if isinstance(time, str):
        try:
            found = _parse(time)
        except msgspec.ValidationError:
            raise invalid("time", time, "epoch seconds or a string such as 2023-03-28T18:12:06.436Z") from None
    if isinstance(found, datetime):
        if found.tzinfo is None:
            raise invalid("time", time, "a time with an offset from UTC, such as 2023-03-28T18:12:06.436Z")
        return found.timestamp()
    number = _to_number(found)
    if number is None:
        raise invalid("time", time, "epoch seconds, a datetime with an offset, or a string in RFC 3339")
    return float(number) if 0 <= number < YEAR_10000 else math.inf  # an integer may be too large for a float


def duration(name: str, seconds: Any) -> float:
    """Return a duration in seconds, at least 0. Raises ``InvalidError`` for anything else."""
    number = _to_number(seconds)
    if number is None or not 0 <= number < YEAR_10000:
        raise invalid(name, seconds, "a number of seconds from 0")
    return float(number)


def _to_number(value: Any) -> int | float | None:
    """Return a number, also of a type such as Decimal; None for anything else."""
    if isinstance(value, (int, float)):
        return None if isinstance(value, bool) else value
    return float(value) if hasattr(value, "__float__") else None


class Moment(NamedTuple):
    """One reading of a clock: its date in epoch seconds, and its elapsed time."""

    date: float
    elapsed: float

    def date_of(self, elapsed: float) -> float:
        """Return the date at another elapsed time."""
        return round(self.date + elapsed - self.elapsed, 3)

    def back_at(self, date: float) -> Moment:
        """Return the moment of an earlier date; this one, if the date is not earlier."""
        return self if date > self.date else Moment(date, self.elapsed + date - self.date)


class Clock:
    """Tell one account's time, in epoch seconds. It does not change how long anything really takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset = 0.0
        self._frozen_at: float | None = None
        self._frozen_since = 0.0
        self._began_at = time.time()  # so that the clocks of replicas agree
        self._passed = 0.0  # a number of its own: added to ``_began_at``, a small step would be rounded away
        self._replacement = _replacement_of_the_clock()
        self._read_at = self._machine_time()

    def reset(self) -> None:
        """Follow the machine's clock again. Elapsed time goes on from where it is."""
        with self._lock:
            self._advance_elapsed()
            self._offset, self._frozen_at = 0.0, None

    def now(self) -> float:
        """Return the date, in epoch seconds with milliseconds."""
        with self._lock:
            return round(self._now(), 3)

    def read(self) -> Moment:
        """Return date and elapsed time of the same moment."""
        with self._lock:
            self._advance_elapsed()
            return Moment(round(self._now(), 3), self._began_at + self._passed)

    def elapsed(self) -> float:
        """Return a number of seconds that grows as time passes, whatever the date is set to."""
        with self._lock:
            self._advance_elapsed()
            return self._began_at + self._passed

    @property
    def is_virtual(self) -> bool:
        """Whether waiting is only recorded: the clock is frozen, or a test has replaced the machine's clock."""
        return self._frozen_at is not None or _replacement_of_the_clock() is not None

    @property
    def is_frozen(self) -> bool:
        """Whether time stands still, here or because a test has stopped the machine's clock."""
        return self._frozen_at is not None or _is_machine_stopped()

    def freeze(self, at: float | datetime | str | None = None) -> None:
        """Stop at a date, or at the present one. Raises ``InvalidError`` for a date out of range.

        Only the date changes: a fault, a transition or a version that is due in 60 seconds is still due in 60 seconds.
        """
        moment = None if at is None else timestamp(at)
        with self._lock:
            self._advance_elapsed()
            self._frozen_at = self._now() if moment is None else moment
            self._frozen_since = self._passed

    def advance(self, seconds: float) -> None:
        """Let time pass, frozen or running. Raises ``InvalidError`` for a step back or past the year 9999."""
        step = duration("step", seconds)
        with self._lock:
            timestamp(self._now() + step)
            self._advance_elapsed()
            self._passed += step
            if self._frozen_at is None:
                self._offset += step

    def run(self) -> None:
        """Run on from the present date."""
        with self._lock:
            self._advance_elapsed()
            self._offset, self._frozen_at = self._now() - time.time(), None

    def _now(self) -> float:
        if self._frozen_at is None:
            return min(time.time() + self._offset, LATEST)
        return min(self._frozen_at + (self._passed - self._frozen_since), LATEST)

    def _advance_elapsed(self) -> None:
        """Add the seconds since the last reading, unless the clock is frozen or another clock was put in its place."""
        replacement = _replacement_of_the_clock()
        is_other_clock, self._replacement = replacement != self._replacement, replacement
        before, self._read_at = self._read_at, self._machine_time()
        if not is_other_clock and self._frozen_at is None:
            self._passed += max(0.0, self._read_at - before)

    def _machine_time(self) -> float:
        return monotonic() if self._replacement is None else time.time()


def _replacement_of_the_clock() -> Hashable | None:
    """Return the tool that a test uses to replace the machine's clock, if it does, and the present use of it.

    Inside one use, a step of the replaced clock is time that passes; the beginning and the end of one are not.
    """
    if time.time.__module__ != "time":
        freezegun = sys.modules.get("freezegun.api")  # or any other that replaces ``time.time``
        return "freezegun", *map(id, getattr(freezegun, "freeze_factories", ())[-1:])
    time_machine = sys.modules.get("time_machine")  # it replaces the clock in C
    if time_machine is None or not time_machine.escape_hatch.is_travelling():
        return None
    stack: Any = getattr(time_machine, "traveller_stack", ()) or getattr(time_machine, "coordinates_stack", ())
    return "time-machine", *map(id, stack[-1:])


def _is_machine_stopped() -> bool:
    """Whether a test has stopped the machine's clock. It may also have replaced it and let it go on."""
    if _replacement_of_the_clock() is None:
        return False
    started = time.time_ns()
    return all(time.time_ns() == started for _ in range(50))
