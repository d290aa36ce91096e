"""``calls``: the call journal of a running emulator."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import click
import msgspec

from ..control.bodies import CallList
from ..journal import NO_ANSWER, Attempt, Call
from ..server.access_log import describe_resource
from .remote import Running, print_json, showing
from .tables import Rows, print_row, to_date

HEAD = ["TIME", "OPERATION", "RESOURCE", "PAGE", "ATTEMPT", "STATUS", "CODE", "FAULTS"]
WIDTHS = [24, 22, 22, 4, 7, 6, 25, 0]
"""Widths of the columns while calls are followed, when the longest text is not known yet."""

POLL_SECONDS = 0.5

MOST_FOLLOWED = 10_000
"""Calls of which it is remembered how many attempts were shown."""


@click.command()
@showing
@click.option("--follow", "-f", is_flag=True, help="Go on with those that come, until Ctrl-C.")
@click.option("--image-set-id", help="Only the calls about this image set.")
@click.option("--code", help="Only the calls with an attempt that got this error.")
@click.option("--attempts", type=click.IntRange(1), help="Only the calls with so many attempts.")
def calls(running: Running, follow: bool, image_set_id: str | None, code: str | None, attempts: int | None) -> None:
    """List the calls of clients, a line for each of their attempts, by the clock of the account.

    With --follow and --format json, each line is an answer of the control API with the calls that began or changed.

    Example: healthimaging-emulator calls --follow
    """
    query = {"imageSetId": image_set_id, "code": code, "attempts": attempts}
    if follow:
        with suppress(KeyboardInterrupt):
            _follow(running, query)
    else:
        running.show(running.ask("GET", "calls", query=query), CallList, _calls)


def _follow(running: Running, query: dict[str, Any]) -> None:
    followed = Followed()
    if not running.is_json:
        print_row(HEAD, WIDTHS)
    for content in _changes(running, query):
        answer = msgspec.json.decode(content, type=CallList)
        if not running.is_json:
            for row in followed.new_rows(answer):
                print_row(row, WIDTHS)
        elif answer.calls:
            print_json(content, indent=-1)


def _changes(running: Running, query: dict[str, Any]) -> Iterator[bytes]:
    """Ask for what has changed, again and again."""
    last = ""
    while True:
        content = running.ask("GET", "calls", query=query | {"after": last})
        yield content
        last = msgspec.json.decode(content, type=CallList).last
        time.sleep(POLL_SECONDS)


class Followed:
    """Remembers which attempts were shown."""

    def __init__(self) -> None:
        self._shown: dict[int, int] = {}

    def new_rows(self, answer: CallList) -> Iterator[list[Any]]:
        """Yield the rows of those attempts that are over and were not shown yet."""
        if answer.is_whole:
            self._shown.clear()
        for call in answer.calls:
            over = [attempt for attempt in call.attempts if _is_over(attempt, call)]
            yield from (_row(call, attempt) for attempt in over[self._shown.pop(call.id, 0) :])
            self._shown[call.id] = len(over)
        while len(self._shown) > MOST_FOLLOWED:
            del self._shown[next(iter(self._shown))]


def _is_over(attempt: Attempt, call: Call) -> bool:
    return attempt.status is not None or attempt is not call.attempts[-1] or call.outcome == NO_ANSWER


def _calls(answer: CallList) -> Rows:
    return [HEAD, *(_row(call, attempt) for call in answer.calls for attempt in call.attempts)]


def _row(call: Call, attempt: Attempt) -> list[Any]:
    return [
        to_date(attempt.time),
        call.operation or f"{call.method} {call.path}",
        describe_resource(call.identifiers),
        call.page,
        attempt.number,
        attempt.status or "-",
        attempt.code,
        ", ".join(attempt.faults),
    ]
