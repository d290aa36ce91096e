"""``clock``: the clock of an account of a running emulator."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import click

from ..control.bodies import ClockState
from .remote import Running, showing
from .tables import Rows, to_date


@click.group()
def clock() -> None:
    """Read, stop and advance the clock of an account."""


@clock.command()
@showing
def show(running: Running) -> None:
    """Show the date, and whether time stands still.

    Example: healthimaging-emulator clock show
    """
    running.show(running.ask("GET", "clock"), ClockState, _state)


@clock.command()
@showing
@click.argument("date", required=False)
def freeze(running: Running, date: str | None) -> None:
    """Stop at a date, in ISO 8601 or epoch seconds; by default at the present one.

    Example: healthimaging-emulator clock freeze 2024-01-01T00:00:00Z
    """
    _set(running, freeze=True if date is None else _read_date(date))


@clock.command()
@showing
@click.argument("seconds", type=float)
def advance(running: Running, seconds: float) -> None:
    """Let seconds pass, whether time stands still or not.

    Example: healthimaging-emulator clock advance 3600
    """
    _set(running, advance=seconds)


@clock.command()
@showing
def run(running: Running) -> None:
    """Let time run on from the present date.

    Example: healthimaging-emulator clock run
    """
    _set(running, run=True)


def _set(running: Running, **change: Any) -> None:
    running.show(running.ask("PUT", "clock", body=change), ClockState, _state)


def _read_date(text: str) -> float | str:
    with suppress(ValueError):
        return float(text)
    return text


def _state(answer: ClockState) -> Rows:
    return [["DATE", "CLOCK"], [to_date(answer.now), "frozen" if answer.is_frozen else "running"]]
