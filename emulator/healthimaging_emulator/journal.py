"""What the client did: calls, and the attempts that each of them took."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, overload

from msgspec import Struct
from werkzeug.datastructures import Headers

from healthimaging_emulator.clock import Clock

NO_ANSWER = "NoAnswer"
SUCCESS = "Success"

MAX_ATTEMPTS = 100
"""Of a call, the last so many are kept."""

MAX_TEXT = 1000
"""Of what a client sent, so many characters are kept."""


class Attempt(Struct, rename="camel", kw_only=True, repr_omit_defaults=True):
    """One request; ``number`` is the SDK's own count, from 1. ``time`` is in epoch seconds by the account's clock.

    ``pause`` is how many seconds the client waited since the attempt before, or would have without ``backoff=False``;
    ``delay`` how many rules made it wait, or would have under a clock that runs. ``status`` is None where a rule broke
    the connection before an answer, and ``code`` where there was no error. ``faults`` are the ids of the rules that
    fired.
    """

    number: int
    time: float
    pause: float | None = None
    status: int | None = None
    code: str | None = None
    faults: list[str] = []
    delay: float = 0.0

    def __str__(self) -> str:
        parts = [
            "no answer" if self.status is None else " ".join(filter(None, (str(self.status), self.code))),
            f"by {', '.join(self.faults)}" if self.faults else "",
            f"{self.delay:g} s late" if self.delay else "",
            f"after a pause of {self.pause:g} s" if self.pause else "",
        ]
        return ", ".join(filter(None, parts))


class Call(Struct, rename="camel", kw_only=True, repr_omit_defaults=True):
    """One call of a client, with its attempts. ``outcome`` is an error's code, ``Success`` or ``NoAnswer``."""

    invocation_id: str | None
    method: str
    path: str
    operation: str | None = None
    datastore_id: str | None = None
    image_set_id: str | None = None
    page: int | None = None
    max_results: int | None = None
    retry_mode: str | None = None
    outcome: str | None = None
    attempts: list[Attempt] = []

    def identify(self, operation: str, input: Any, page: int | None) -> None:
        """Say what the call turned out to ask for."""
        self.operation, self.page = operation, page
        for name in ("datastore_id", "image_set_id", "max_results"):
            value = getattr(input, name, None)
            setattr(self, name, value[:MAX_TEXT] if isinstance(value, str) else value)

    def __str__(self) -> str:
        asked = f"{self.operation} {self.datastore_id}/{self.image_set_id}" if self.operation else self.path
        page = f", page {self.page}" if self.page else ""
        return "\n  ".join([f"{asked}{page}: {self.outcome or 'not answered yet'}", *map(str, self.attempts)])


class Journal(Sequence[Call]):
    """Calls, oldest first, and how many older ones were ``dropped``."""

    def __init__(self, calls: Sequence[Call], dropped: int) -> None:
        self._given = list(calls)
        self.dropped = dropped

    def _list(self) -> list[Call]:
        return self._given

    def filter(
        self, *, image_set_id: str | None = None, code: str | None = None, attempts: int | None = None
    ) -> list[Call]:
        """Return the calls for an image set, with an attempt that met an error, or of so many attempts."""
        return [
            call
            for call in self
            if image_set_id in (None, call.image_set_id)
            and (code is None or any(attempt.code == code for attempt in call.attempts))
            and attempts in (None, len(call.attempts))
        ]

    def __len__(self) -> int:
        return len(self._list())

    @overload
    def __getitem__(self, index: int) -> Call: ...
    @overload
    def __getitem__(self, index: slice) -> list[Call]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._list()[index]

    def __iter__(self) -> Iterator[Call]:
        return iter(self._list())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._list() == list(other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"<Calls {self._list()!r}, {self.dropped} dropped>"

    def __str__(self) -> str:
        return "\n".join(map(str, self))


class Calls(Journal):
    """One account's journal, oldest call first. It keeps the last ``limit`` calls, and counts those it ``dropped``."""

    def __init__(self, clock: Clock, limit: int = 1000) -> None:
        self._clock = clock
        self._limit = limit
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget all calls, and how many were dropped."""
        with self._lock:
            self._calls: OrderedDict[object, Call] = OrderedDict()
            self._ended_at: dict[object, float] = {}
            self.dropped = 0

    def begin(self, method: str, path: str, headers: Headers, skipped_pause: float = 0.0) -> tuple[Call, Attempt]:
        """Add an attempt: to the call that it continues, by the SDK's own headers, or to a new one.

        ``skipped_pause`` is what the client left out of its pause, in seconds.
        """
        method, path = method[:MAX_TEXT], path[:MAX_TEXT]
        invocation_id = headers.get("amz-sdk-invocation-id", "")[:MAX_TEXT] or None
        counted = re.search(r"attempt=([0-9]{1,9})", headers.get("amz-sdk-request", ""))
        mode = re.search(r"cfg/retry-mode#(\w{1,100})", headers.get("User-Agent", ""))
        with self._lock:
            key = (invocation_id, method, path) if invocation_id else object()
            call = self._calls.get(key)
            number = int(counted[1]) if counted else len(call.attempts) + 1 if call else 1
            attempt = Attempt(number=number, time=self._clock.now())
            if call is None:
                call = self._calls[key] = Call(
                    invocation_id=invocation_id, method=method, path=path, retry_mode=mode and mode[1]
                )
                if len(self._calls) > self._limit:
                    oldest, _ = self._calls.popitem(last=False)
                    self._ended_at.pop(oldest, None)
                    self.dropped += 1
            elif key in self._ended_at:
                attempt.pause = max(0.0, round(attempt.time - self._ended_at[key] + skipped_pause, 3))
            call.attempts.append(attempt)
            del call.attempts[:-MAX_ATTEMPTS]
            return call, attempt

    def end(self, call: Call, attempt: Attempt, status: int | None, code: str | None) -> None:
        """Record what an attempt was answered; with no status, it was not."""
        with self._lock:
            attempt.status, attempt.code = status, code
            call.outcome = code or (SUCCESS if status else NO_ANSWER)
            key = (call.invocation_id, call.method, call.path)
            if key in self._calls:
                self._ended_at[key] = self._clock.now()

    def _list(self) -> list[Call]:
        with self._lock:
            return list(self._calls.values())
