"""The log of a command that serves, on standard error: lines for people, or JSON. It blocks no request.

A request only puts a record into a queue; a thread of its own makes the line and writes it. So a log that nobody reads
costs lines, but no time. The thread formats a record later: of a call, it reads only what does not change any more.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from logging.handlers import QueueHandler
from typing import Any

import click
import msgspec

from ..server.access_log import Access, to_printable, to_printable_json

LOG_SECONDS = 1.0
"""Seconds to wait for the rest of the log to be written."""


SUBJECT_WIDTH = 52
"""Characters of the column for most operations, their resource and their page."""


@contextmanager
def background_log(level: str, form: str) -> Iterator[None]:
    """Log in a form, ``text`` or ``json``, from a thread of its own. If nobody reads it, lines are lost."""
    records: queue.Queue[logging.LogRecord | None] = queue.Queue(maxsize=10_000)
    handler = _LossyHandler(records)
    formatter = JsonLines() if form == "json" else TextLines()
    writer = threading.Thread(target=_write, args=(records, formatter), daemon=True)
    logger = logging.getLogger("healthimaging_emulator")
    level_before = logger.level
    logger.setLevel(level.upper())
    logger.propagate = False
    logger.addHandler(handler)
    writer.start()
    try:
        yield
    finally:
        logger.propagate = True
        logger.setLevel(level_before)
        logger.removeHandler(handler)
        with suppress(queue.Full):
            records.put_nowait(None)
        writer.join(LOG_SECONDS)


class _LossyHandler(QueueHandler):
    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # which the thread formats

    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(queue.Full):
            self.queue.put_nowait(record)


def _write(records: queue.Queue[logging.LogRecord | None], formatter: logging.Formatter) -> None:
    color = False if os.environ.get("NO_COLOR") else None  # None: only on a terminal
    while record := records.get():
        with suppress(OSError, ValueError):  # a full disk or a closed stream, for example
            click.echo(formatter.format(record), err=True, color=color)


class TextLines(logging.Formatter):
    """Lines for people: the time of day, then a request in columns, or a message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        access: Access | None = getattr(record, "access", None)
        text = super().format(record) if access is None else _show_access(access)
        time = datetime.fromtimestamp(record.created).time().isoformat("milliseconds")
        return f"{click.style(time, dim=True)} {text}"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's
        """Return the message, which a traceback may follow, without characters that a terminal would obey."""
        return to_printable(super().formatMessage(record))


def _show_access(access: Access) -> str:
    status = click.style(str(access.status or "-"), fg=_color_of(access.status))
    answer = " ".join(filter(None, (status, access.code, f"{access.seconds * 1000:.1f} ms")))
    faults = f" by {access.faults}" if access.faults else ""
    refusal = to_printable(f": {access.refusal}") if access.refusal else ""
    begin = f"{access.account or '-':<12} {to_printable(access.subject):<{SUBJECT_WIDTH}}"
    return f"{begin} {answer}{click.style(faults, fg='magenta')}{refusal}"


def _color_of(status: int | None) -> str:
    if status is None or status >= 500:
        return "red"
    return "yellow" if status >= 400 else "green"


class JsonLines(logging.Formatter):
    """An object on each line: ``time``, ``level`` and ``message``, or in its place the members of a request."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": time.replace("+00:00", "Z"), "level": record.levelname.lower()}
        access: Access | None = getattr(record, "access", None)
        line |= {"message": super().format(record)} if access is None else _describe_access(access)
        return to_printable_json(msgspec.json.encode(line).decode())


def _describe_access(access: Access) -> dict[str, Any]:
    """Return the members that a request has."""
    call = access.call
    about = {} if call is None else {"operation": call.operation, "identifiers": call.identifiers, "page": call.page}
    members = {
        "account": access.account,
        "method": access.method,
        "target": access.target,
        **about,
        "status": access.status,
        "code": access.code,
        "milliseconds": round(access.seconds * 1000, 1),
        "faults": access.faults.split(",") if access.faults else None,
        "reason": access.refusal,
    }
    return {name: value for name, value in members.items() if value not in (None, {})}
