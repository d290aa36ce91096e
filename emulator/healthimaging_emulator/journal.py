"""The journal of an account: the calls of its clients, and the attempts that each of them took."""

from __future__ import annotations

import functools
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import msgspec
from msgspec import Struct

from .clock import Clock, Moment

NO_ANSWER = "NoAnswer"
SUCCESS = "Success"

MAX_ATTEMPTS = 100
"""Attempts kept per call; older ones are dropped."""

MAX_TEXT = 1000
"""Characters kept of a text that a client sent."""

MAX_ANSWER = 500
"""Characters kept of the body of an answer."""

MAX_INPUT_TEXT = 200
"""Characters kept of a text inside an input."""

MAX_INPUT_ITEMS = 20
"""Items kept of a list or a structure inside an input."""

MAX_INPUT = 2000
"""Characters kept of all texts and names inside an input."""

DEFAULT_LIMIT = 1000
"""Calls that are kept by default."""

MEAN_SIZE = 2000
"""Mean size of a call in JSON, in bytes, up to which all are kept; a call with four attempts has about 1,700."""

_encode = msgspec.json.Encoder().encode

_ATTEMPT = re.compile(r"attempt=([0-9]{1,9})").search
_RETRIES = re.compile(r"([0-9]{1,9})/").match
_RETRY_MODE = re.compile(r"cfg/retry-mode#(\w{1,100})").search


@functools.lru_cache(maxsize=16)  # every request of a client repeats it; a text has up to 64 KB
def _read_retry_mode(user_agent: str) -> str | None:
    found = _RETRY_MODE(user_agent)
    return found and found[1]


def _read_attempt(headers: Mapping[str, str]) -> int | None:
    """Return the number of an attempt, from 1, as the SDK counts it; the one for PHP counts retries, from 0."""
    if counted := _ATTEMPT(headers.get("amz-sdk-request", "")):
        return int(counted[1])
    retries = _RETRIES(headers.get("aws-sdk-retry", ""))
    return int(retries[1]) + 1 if retries else None


class Attempt(Struct, rename="camel", kw_only=True, repr_omit_defaults=True):
    """One request. ``number`` is the SDK's own count, from 1. ``time`` is in epoch seconds by the account's clock.

    ``pause`` is how many seconds the client waited after the previous attempt; a pause that ``backoff=False`` skipped
    counts in full. ``delay`` is how many seconds faults delayed the answer; on a frozen clock it counts, but takes no
    time. ``status`` is None if the client got no answer, ``code`` is None if there was no error. ``faults`` are the ids
    of the faults that fired, ``unused`` the ids of faults that were picked but had nothing to do. ``outcome`` is the
    operation's own answer if a fault replaced it. ``answer`` is the beginning of the body that was sent, if it is text.
    ``met`` and ``ended`` are the transitions that the request saw, and the ones that it ended.
    """

    number: int
    time: float
    pause: float | None = None
    status: int | None = None
    code: str | None = None
    faults: list[str] = []
    unused: list[str] = []
    delay: float = 0.0
    outcome: str | None = None
    answer: str | None = None
    met: list[str] = []
    ended: list[str] = []

    def __str__(self) -> str:
        parts = [
            "no answer" if self.status is None else " ".join(filter(None, (str(self.status), self.code))),
            f"by {', '.join(self.faults)}" if self.faults else "",
            f"although the operation answered {self.outcome}" if self.outcome else "",
            f"without use for {', '.join(self.unused)}" if self.unused else "",
            f"{self.delay:g} s late" if self.delay else "",
            f"after a pause of {self.pause:g} s" if self.pause else "",
            f"saw {', '.join(self.met)}" if self.met else "",
            f"ended {', '.join(self.ended)}" if self.ended else "",
        ]
        return ", ".join(filter(None, parts))


class Call(Struct, rename="camel", kw_only=True, repr_omit_defaults=True):
    """One call of a client, with its attempts. ``outcome`` is an error's code, ``Success`` or ``NoAnswer``.

    ``id`` counts the calls of the account, from 1. ``identifiers`` name the resource that the call is about. ``input``
    is the input in the wire's spelling, its long texts and lists cut.
    """

    id: int
    invocation_id: str | None
    method: str
    path: str
    operation: str | None = None
    identifiers: dict[str, list[str]] = {}
    input: dict[str, Any] = {}
    page: int | None = None
    retry_mode: str | None = None
    outcome: str | None = None
    attempts: list[Attempt] = []

    @property
    def datastore_id(self) -> str | None:
        """The data store that the call names."""
        return self.identifiers.get("datastoreId", [None])[0]

    @property
    def image_set_id(self) -> str | None:
        """The image set that the call names; of a copy, the source."""
        return self.identifiers.get("imageSetId", [None])[0]

    def identify(self, operation: str, identifiers: Mapping[str, list[str]], input: Any, page: int | None) -> None:
        """Record the operation, once the request is parsed."""
        self.operation, self.page = operation, page
        self.identifiers = {name: [value[:MAX_TEXT] for value in values] for name, values in identifiers.items()}
        self.input = _Shortener().shorten(msgspec.to_builtins(input))

    def __str__(self) -> str:
        resource = "/".join(values[0] for values in self.identifiers.values())
        asked = " ".join(filter(None, (self.operation, resource))) if self.operation else self.path
        page = f", page {self.page}" if self.page else ""
        return "\n  ".join([f"{asked}{page}: {self.outcome or 'not answered yet'}", *map(str, self.attempts)])


class _Shortener:
    """Keeps the members of an input that are set, and cuts long texts, lists and the whole."""

    def __init__(self) -> None:
        self._left = MAX_INPUT

    def shorten(self, value: Any) -> Any:
        """Return as much of a value as is kept."""
        if isinstance(value, dict):
            return self._shorten_members(value)
        if isinstance(value, (list, tuple)):
            return [self.shorten(each) for each in value[:MAX_INPUT_ITEMS] if self._left > 0]
        if isinstance(value, str) and len(value) > MAX_INPUT_TEXT:
            value = f"{value[:MAX_INPUT_TEXT]}..."
        self._left -= len(str(value))
        return value

    def _shorten_members(self, members: dict[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, value in members.items():
            if value is not None and self._left > 0 and len(kept) < MAX_INPUT_ITEMS:
                self._left -= len(name)
                kept[name[:MAX_INPUT_TEXT]] = self.shorten(value)
        return kept


class JournalSnapshot(Sequence[Call]):
    """Calls, oldest first, and how many older ones were ``dropped``.

    ``first`` is the id of the oldest call, or the next id if there is none. ``last`` names the last change of the
    journal. With ``is_whole``, all calls are there, not only those that have changed.
    """

    def __init__(
        self, calls: Sequence[Call], dropped: int = 0, *, first: int = 1, last: str = "", is_whole: bool = True
    ) -> None:
        self._calls = list(calls)
        self.dropped = dropped
        self.first = first
        self.last = last
        self.is_whole = is_whole

    def filter(
        self, *, image_set_id: str | None = None, code: str | None = None, attempts: int | None = None
    ) -> list[Call]:
        """Return the calls about an image set, with an attempt that got an error, or with a number of attempts."""
        return [
            call
            for call in self
            if (image_set_id is None or image_set_id in call.identifiers.get("imageSetId", ()))
            and (code is None or any(attempt.code == code for attempt in call.attempts))
            and attempts in (None, len(call.attempts))
        ]

    def __len__(self) -> int:
        return len(self._calls)

    @overload
    def __getitem__(self, index: int) -> Call: ...
    @overload
    def __getitem__(self, index: slice) -> list[Call]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._calls[index]

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._calls == list(other)

    __hash__ = None  # type: ignore[assignment]  # calls change while they are answered

    def __repr__(self) -> str:
        return f"<calls {self._calls!r}, {self.dropped} dropped>"

    def __str__(self) -> str:
        return "\n".join(map(str, self))


@dataclass(slots=True, eq=False)
class _Entry:
    """A call that is kept: the number of its last change, when its last attempt ended, and its bytes in JSON."""

    call: Call
    changed: int = 0
    ended_at: float | None = None
    size: int = 0


class Journal:
    """Records the calls of one account.

    Keeps the last ``limit`` calls, but at most ``MEAN_SIZE`` bytes of JSON for each, and 2 MB for all if the limit is
    below 1,000; the newest call always stays. In memory they take about three times as much, at worst five times: less
    than 10 MB by default.

    Every change has a number, so that a reader can ask for what has changed since. ``clear`` does not restart them.
    """

    def __init__(self, clock: Clock, limit: int = DEFAULT_LIMIT) -> None:
        self._clock = clock
        self._limit = limit
        self._max_size = max(limit, DEFAULT_LIMIT) * MEAN_SIZE
        self._lock = threading.Lock()
        self._id = secrets.token_hex(8)
        self._changes = self._begun = 0
        self.clear()

    def clear(self) -> None:
        """Forget all calls, and how many were dropped."""
        with self._lock:
            self._entries: OrderedDict[object, _Entry] = OrderedDict()
            self._size = self._dropped = 0
            self._changes += 1

    def snapshot(self, after: str = "") -> JournalSnapshot:
        """Return the calls as they are now; with the ``last`` of an earlier snapshot, those that have changed since."""
        id, _, number = after.partition(".")
        is_whole = id != self._id or not re.fullmatch("[0-9]{1,18}", number, re.ASCII)  # also for another journal's
        with self._lock:
            calls = [entry.call for entry in self._entries.values() if is_whole or entry.changed > int(number)]
            oldest = next(iter(self._entries.values()), None)
            first = oldest.call.id if oldest else self._begun + 1
            last = f"{self._id}.{self._changes}"
            return JournalSnapshot(calls, self._dropped, first=first, last=last, is_whole=is_whole)

    def begin(
        self, method: str, path: str, headers: Mapping[str, str], moment: Moment, skipped_pause: float = 0.0
    ) -> tuple[Call, Attempt]:
        """Add an attempt to the call that it continues, by the SDK's own headers, or to a new call.

        ``skipped_pause`` is the part of the client's pause that its transport left out, in seconds.
        """
        id = headers.get("amz-sdk-invocation-id") or headers.get("aws-sdk-invocation-id", "")
        mode = _read_retry_mode(headers.get("user-agent", ""))
        with self._lock:
            new = Call(
                id=self._begun + 1,
                invocation_id=id[:MAX_TEXT] or None,
                method=method[:MAX_TEXT],
                path=path[:MAX_TEXT],
                retry_mode=mode,
            )
            entry = self._entries.setdefault(_key(new), _Entry(new))
            if entry.call is new:
                self._begun += 1
            if len(self._entries) > self._limit:
                self._drop_oldest()
            call = entry.call
            call.outcome = None  # until this attempt is answered
            attempt = Attempt(number=_read_attempt(headers) or len(call.attempts) + 1, time=moment.date)
            if entry.ended_at is not None:
                attempt.pause = round(moment.elapsed - entry.ended_at + skipped_pause, 3)
            self._note_change(entry)
            call.attempts.append(attempt)
            del call.attempts[:-MAX_ATTEMPTS]
            return call, attempt

    def end(
        self, call: Call, attempt: Attempt, status: int | None, code: str | None, answer: str | None = None
    ) -> None:
        """Record the answer to an attempt; without a status, the client got none."""
        with self._lock:
            attempt.status, attempt.code, attempt.answer = status, code, answer
            is_last = call.attempts[-1] is attempt  # otherwise the client has not waited for this one
            if is_last:
                call.outcome = code or (SUCCESS if status else NO_ANSWER)
            entry = self._entries.get(_key(call))
            if entry is not None and entry.call is call:
                entry.ended_at = self._clock.elapsed() if is_last else entry.ended_at
                self._note_change(entry)
                self._measure(entry)

    def _note_change(self, entry: _Entry) -> None:
        self._changes += 1
        entry.changed = self._changes

    def _measure(self, entry: _Entry) -> None:
        before, entry.size = entry.size, len(_encode(entry.call))
        self._size += entry.size - before
        while self._size > self._max_size and len(self._entries) > 1:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, oldest = self._entries.popitem(last=False)
        self._size -= oldest.size
        self._dropped += 1


def _key(call: Call) -> object:
    """Return what the attempts of a call share; without the SDK's id, a call has one attempt."""
    return (call.invocation_id, call.method, call.path) if call.invocation_id else call.id
