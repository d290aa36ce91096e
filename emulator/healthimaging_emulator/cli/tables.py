"""Tables for people: columns that line up, and no character that a terminal would obey."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import click

from ..server.access_log import to_printable

Rows = Sequence[Sequence[Any]]
"""The rows of a table, of which the first is its head. None is an empty cell."""


def print_table(rows: Rows) -> None:
    """Print rows in columns."""
    widths = [max(len(_to_text(cell)) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print_row(row, widths)


def print_row(row: Sequence[Any], widths: Sequence[int]) -> None:
    """Print one row in columns of these widths."""
    cells = [_to_text(cell).ljust(width) for cell, width in zip(row, widths, strict=True)]
    click.echo("  ".join(cells).rstrip())


def _to_text(cell: Any) -> str:
    return "" if cell is None else to_printable(str(cell))


def to_date(seconds: float | datetime | None) -> str | None:
    """Return epoch seconds as a date that the emulator reads as well."""
    if seconds is None:
        return None
    date = seconds if isinstance(seconds, datetime) else datetime.fromtimestamp(seconds, timezone.utc)
    return date.isoformat(timespec="milliseconds").replace("+00:00", "Z")
