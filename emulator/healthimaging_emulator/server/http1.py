"""Read and write HTTP/1.1 without I/O: bytes in, events out; h11 does the parsing.

Strategy:

- Each request has an ``h11.Connection`` of its own. h11 reuses one only if the responses go through it too, and that
  takes ten times as long as ``write_head``. Bytes behind the end of a request move on to the next one's connection.
- The parser never holds more than the limits allow, however the bytes arrive: h11 is fed no more than ``max_head``
  bytes of a request's framing, and the rest waits in ``_unfed``. If h11 then still needs data, the request is refused.
  h11's own limit only counts while it waits for data, so it would let a head pass that came in one piece.
- Framing is everything but the content of the body. For a head, that is all of it. For a chunked body, a chunk's
  shortest possible header and its line ends are free, so the limit is on extensions, padding and trailers together.
  The free part is less than six times the body, which has a limit too: a request whose bytes never pause ends.
- Events depend on the bytes alone, not on how they were split.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from functools import lru_cache
from http.client import responses
from typing import Any, NamedTuple

import h11

from ..messages import Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_TLS_HANDSHAKE = 0x16
"""The first byte of a TLS ClientHello."""


class Head(NamedTuple):
    """Request line and headers. ``target`` is raw, header names are in lower case."""

    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]
    keeps_alive: bool


class Body(NamedTuple):
    """The body of a request, its last event.

    If ``size`` exceeds the limit, ``data`` is empty and the rest of the request remains unread. Only the Content-Length
    tells the whole size; a chunked body over the limit counts as one byte over it.
    """

    data: bytes
    size: int

    @property
    def is_complete(self) -> bool:
        return len(self.data) == self.size


class Refused(NamedTuple):
    """A request that cannot be read: 400, 414, 431 or 505. Nothing behind it can be read either."""

    status: int
    message: str


class Signal(Enum):
    """Events without data."""

    NEED_DATA = auto()
    """Call ``receive`` with more bytes."""
    SEND_CONTINUE = auto()
    """The client waits for ``CONTINUE`` before it sends the body. Comes once a request."""
    CLOSED = auto()
    """The client has closed the connection between two requests."""


Event = Head | Body | Refused | Signal

_NO_BODY = Body(b"", 0)


class RequestReader:
    """Read the requests of one connection, one after the other: a ``Head``, then a ``Body``, then ``start_next``.

    ``max_body`` returns the limit for a request's target, in bytes.
    """

    def __init__(self, max_head: int, max_body: Callable[[str], int]) -> None:
        self._max_head = max_head
        self._get_max_body = max_body
        self._unfed = bytearray()
        self._is_ended = False
        self._start()

    def _start(self) -> None:
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=2 * self._max_head)  # ours is lower
        self._fed = 0
        self._free = 0
        self._chunk = 0
        self._body = bytearray()
        self._has_head = self._has_body = self._has_continued = False
        self._length: int | None = None
        self._max_body = 0

    def start_next(self) -> None:
        """Go on to the next request. Call it only after a complete ``Body``."""
        if behind := self._h11.trailing_data[0]:
            self._unfed[:0] = behind
        self._start()

    @property
    def has_begun(self) -> bool:
        """Whether bytes of the current request are there."""
        return self._fed > 0 or bool(self._unfed)

    def receive(self, data: bytes) -> None:
        """Add bytes that the client sent. Empty bytes say that it sends no more."""
        self._unfed += data
        self._is_ended = not data

    def next_event(self) -> Event:
        """Return the next event. After ``Refused`` and ``CLOSED`` there are no more."""
        try:
            if not self._has_head:
                return self._read_head()
            return self._read_body() if self._has_body else _NO_BODY
        except h11.RemoteProtocolError as error:
            return Refused(_get_status(error), str(error).partition(": bytearray")[0])
        except ValueError:  # of h11 before 0.16, which lets Python read a length of thousands of digits
            return Refused(400, "bad Content-Length")

    def _read_head(self) -> Event:
        if not self._fed:
            if not self._unfed:
                return Signal.CLOSED if self._is_ended else Signal.NEED_DATA
            _check_first_byte(self._unfed[0])
        request = self._parse()
        if not isinstance(request, h11.Request):
            return Signal.NEED_DATA
        self._has_head = True
        headers = [
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.headers.raw_items()
        ]
        head = Head(
            request.method.decode("latin-1"),
            request.target.decode("latin-1"),
            request.http_version.decode("latin-1"),
            headers,
            _keeps_alive(request, headers),
        )
        self._expect_body(head)
        return head

    def _expect_body(self, head: Head) -> None:
        if head.version not in ("1.0", "1.1"):
            raise h11.RemoteProtocolError("this server speaks HTTP/1.1", error_status_hint=505)
        fields = dict(head.headers)
        is_chunked = "transfer-encoding" in fields
        length = fields.get("content-length")
        if is_chunked and length is not None:
            raise h11.RemoteProtocolError("Content-Length and Transfer-Encoding exclude each other")
        if length is not None and len(length) > 20:
            raise h11.RemoteProtocolError("bad Content-Length")
        self._has_body = is_chunked or length not in (None, "0")
        if self._has_body:
            self._length = None if length is None else int(length)
            self._max_body = self._get_max_body(head.target)
            self._fed = len(self._h11.trailing_data[0])

    def _read_body(self) -> Event:
        if self._length is not None and self._length > self._max_body:
            return Body(b"", self._length)
        while isinstance(event := self._parse(), h11.Data):
            self._add(event)
            if len(self._body) > self._max_body:
                return Body(b"", self._max_body + 1)
        if isinstance(event, h11.EndOfMessage):
            return Body(bytes(self._body), len(self._body))
        if self._h11.they_are_waiting_for_100_continue and not self._has_continued:
            self._has_continued = True
            return Signal.SEND_CONTINUE
        return Signal.NEED_DATA

    def _add(self, data: h11.Data) -> None:
        self._body += data.data
        if self._length is None:
            self._chunk += len(data.data)
            if data.chunk_end:
                self._free += len(f"{self._chunk:x}") + len("\r\n\r\n")
                self._chunk = 0

    def _parse(self) -> Any:
        """Return h11's next event; feed it the bytes that are there, as far as the limit allows."""
        while (event := self._h11.next_event()) is h11.NEED_DATA and self._feed():
            pass
        return event

    def _feed(self) -> bool:
        """Give h11 the next bytes; return whether there were any. Raise if it needs more than the limit."""
        allowed = self._max_head - (self._fed - len(self._body) - self._free)
        if allowed <= 0:
            raise self._exceed_limit()
        if not self._unfed:
            if self._is_ended:
                self._h11.receive_data(b"")
            return self._is_ended
        piece = bytes(self._unfed[:allowed])
        del self._unfed[:allowed]
        self._h11.receive_data(piece)
        self._fed += len(piece)
        return True

    def _exceed_limit(self) -> h11.RemoteProtocolError:
        if self._has_head:
            return h11.RemoteProtocolError("chunk extensions and trailers are too long", error_status_hint=431)
        is_line = b"\n" not in self._h11.trailing_data[0]
        return h11.RemoteProtocolError(
            "request line and headers are too long", error_status_hint=414 if is_line else 431
        )


def _check_first_byte(byte: int) -> None:
    if byte == _TLS_HANDSHAKE:
        raise h11.RemoteProtocolError("this port speaks plain HTTP, not TLS: use an http:// URL")
    if byte <= ord(" "):
        raise h11.RemoteProtocolError("illegal request line")


def _get_status(error: h11.RemoteProtocolError) -> int:
    return error.error_status_hint if error.error_status_hint in (414, 431, 505) else 400


def _keeps_alive(request: h11.Request, headers: list[tuple[str, str]]) -> bool:
    if request.http_version == b"1.0" or request.method == b"CONNECT":  # to its client, a tunnel
        return False
    options = ",".join(value for name, value in headers if name == "connection")
    return not options or "close" not in [option.strip() for option in options.lower().split(",")]


@lru_cache(maxsize=128)
def _write_status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {responses.get(status, '')}"


def write_head(response: Response, *, date: str, closes: bool = False) -> bytes:
    """Write status line and headers. Adds Date, Content-Length if there is none, and Connection if ``closes``."""
    lines = [_write_status_line(response.status)]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines.append(f"Date: {date}")
    if response.status not in (204, 304) and not _has_length(response):
        lines.append(f"Content-Length: {len(response.body)}")
    if closes:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _has_length(response: Response) -> bool:
    headers = response.headers
    return "Content-Length" in headers or any(name.lower() == "content-length" for name in headers)
