"""Read and write HTTP/1.1 without I/O: bytes in, events out; httptools parses fields and chunks.

Strategy:

- Limits hold and events depend on the bytes alone, however these arrive: a head or a body with a length is only looked
  at when it is whole, a chunked body line by line.
- The request line is read here, because llhttp, the parser in httptools, refuses methods that it does not know, and
  accepts HTTP/0.9, RTSP and several spaces. It reads the headers behind a request line of ours, with a new parser for
  each request; so it never sees a body, nor what follows an upgrade. Host, Authorization and Transfer-Encoding are
  checked here too.
- A chunked body has another parser, which first gets a head of ours, so that trailers and upgrades do not matter. It
  does not tell where the body ends. But that is at the end of a line, so it gets no more than one line at a time, and
  bytes behind the body stay for the next request.
- The framing of a chunked body, which is everything but its content, may have ``max_head`` bytes. A chunk's shortest
  possible header and its line ends are free, so the limit is on extensions, padding and trailers together. The free
  part is less than six times the body, which has a limit too: a request whose bytes never pause ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from ..messages import REASONS, Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_TLS_HANDSHAKE = 0x16
"""The first byte of a TLS ClientHello."""

_find_head_end = re.compile(rb"\n\r?\n").search
"""Finds the empty line. CR may be missing so that such a head is refused at once, not waited for."""

_match_request_line = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/([0-9]\.[0-9])\r\n").match

_REQUEST_LINE = b"POST / HTTP/1.1\r\n"
_CHUNKED_HEAD = _REQUEST_LINE + b"Transfer-Encoding: chunked\r\n\r\n"

_MAX_DIGITS = 20
"""Digits of the largest Content-Length that llhttp reads; any more are zeros in front."""


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


class _UnreadableError(Exception):
    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.refused = Refused(status, message)


class RequestReader:
    """Read the requests of one connection, one after the other: a ``Head``, then a ``Body``, then ``start_next``.

    ``max_body`` returns the limit for a request's target, in bytes.
    """

    def __init__(self, max_head: int, max_body: Callable[[str], int]) -> None:
        self._max_head = max_head
        self._get_max_body = max_body
        self._buffer = bytearray()
        self._is_ended = False
        self.start_next()

    def start_next(self) -> None:
        """Go on to the next request. Call it only after a complete ``Body``."""
        self._searched = 0
        self._has_head = self._is_awaiting_continue = False
        self._length = self._max_body = 0
        self._chunked: tuple[_Chunks, HttpRequestParser] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether bytes of the next request are there."""
        return bool(self._buffer)

    def receive(self, data: bytes) -> None:
        """Add bytes that the client sent. Empty bytes say that it sends no more."""
        self._buffer += data
        self._is_ended = not data

    def next_event(self) -> Event:
        """Return the next event. After ``Refused`` and ``CLOSED`` there are no more."""
        try:
            if not self._has_head:
                return self._read_head()
            return self._read_chunks(*self._chunked) if self._chunked else self._read_content()
        except _UnreadableError as error:
            return error.refused

    def _read_head(self) -> Event:
        if not self._buffer:
            return Signal.CLOSED if self._is_ended else Signal.NEED_DATA
        _check_first_byte(self._buffer[0])
        end = _find_head_end(self._buffer, self._searched, self._max_head)
        if end is None:
            self._check_head_size()
            self._searched = max(0, len(self._buffer) - len("\n\r"))
            return self._wait()
        head = _parse_head(self._take(end.end()))
        self._has_head = True
        self._expect_body(head)
        return head

    def _check_head_size(self) -> None:
        if len(self._buffer) >= self._max_head:
            is_line = b"\n" not in self._buffer[: self._max_head]
            raise _UnreadableError("request line and headers are too long", 414 if is_line else 431)

    def _expect_body(self, head: Head) -> None:
        fields = dict(head.headers)
        length = fields.get("content-length", "0")
        if len(length) > _MAX_DIGITS:
            raise _UnreadableError("the Content-Length is too long")
        self._length = int(length)
        is_chunked = "transfer-encoding" in fields
        if self._length or is_chunked:
            self._max_body = self._get_max_body(head.target)
            self._chunked = _begin_chunks() if is_chunked else None
            expects = head.version == "1.1" and "100-continue" in _list_options(head.headers, "expect")
            self._is_awaiting_continue = expects and not self._buffer

    def _read_content(self) -> Event:
        if self._length > self._max_body:
            return Body(b"", self._length)
        if len(self._buffer) < self._length:
            return self._wait()
        return Body(self._take(self._length), self._length) if self._length else _NO_BODY

    def _read_chunks(self, chunks: _Chunks, parser: HttpRequestParser) -> Event:
        while not chunks.is_complete:
            allowed = self._max_head - chunks.framing
            if allowed <= 0:
                raise _UnreadableError("chunk extensions and trailers are too long", 431)
            if not self._buffer:
                return self._wait()
            end = self._buffer.find(b"\n", 0, allowed) + 1
            mistake = chunks.feed(parser, self._take(end or allowed))
            if len(chunks.content) > self._max_body:
                return Body(b"", self._max_body + 1)
            if mistake:
                raise _UnreadableError(mistake)
        return Body(bytes(chunks.content), len(chunks.content))

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _wait(self) -> Signal:
        """Return the signal for a request that is not whole. Raise if the client sends no more."""
        if self._is_ended:
            raise _UnreadableError("the connection ended in the middle of the request")
        is_awaiting, self._is_awaiting_continue = self._is_awaiting_continue, False
        return Signal.SEND_CONTINUE if is_awaiting else Signal.NEED_DATA


class _Chunks:
    """A chunked body so far. ``framing`` is the size of its framing, without the free part.

    It does not hold its parser, which holds it: a cycle would keep the body in memory until garbage is collected.
    """

    def __init__(self) -> None:
        self.content = bytearray()
        self.framing = 0
        self.is_complete = False
        self._chunk = 0

    def feed(self, parser: HttpRequestParser, piece: bytes) -> str | None:
        """Decode a piece of the body. Return the mistake in it; content in front of that counts."""
        self.framing += len(piece)
        try:
            parser.feed_data(piece)
        except HttpParserError as error:
            return str(error)
        return None

    def on_body(self, data: bytes) -> None:
        self.content += data
        self.framing -= len(data)
        self._chunk += len(data)

    def on_chunk_complete(self) -> None:
        self.framing -= len(f"{self._chunk:x}") + len("\r\n\r\n")
        self._chunk = 0

    def on_message_complete(self) -> None:
        self.is_complete = True


def _begin_chunks() -> tuple[_Chunks, HttpRequestParser]:
    chunks = _Chunks()
    parser = HttpRequestParser(chunks)
    parser.feed_data(_CHUNKED_HEAD)
    return chunks, parser


class _Fields:
    """The headers of a request so far."""

    def __init__(self) -> None:
        self.headers: list[tuple[str, str]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1").rstrip(" \t")))


def _check_first_byte(byte: int) -> None:
    if byte == _TLS_HANDSHAKE:
        raise _UnreadableError("this port speaks plain HTTP, not TLS: use an http:// URL")
    if byte <= ord(" "):
        raise _UnreadableError("illegal request line")


def _parse_head(data: bytes) -> Head:
    line = _match_request_line(data)
    if line is None:
        raise _UnreadableError("illegal request line")
    method, target, version = (part.decode("ascii") for part in line.groups())
    if version not in ("1.0", "1.1"):
        raise _UnreadableError("this server speaks HTTP/1.1", 505)
    headers = _parse_fields(data[line.end() :])
    _check_singletons(headers, version)
    _check_coding(headers)
    keeps_alive = version == "1.1" and method != "CONNECT" and "close" not in _list_options(headers, "connection")
    return Head(method, target, version, headers, keeps_alive)


def _parse_fields(data: bytes) -> list[tuple[str, str]]:
    fields = _Fields()
    try:
        HttpRequestParser(fields).feed_data(_REQUEST_LINE + data)
    except HttpParserUpgrade:
        pass
    except HttpParserError as error:
        raise _UnreadableError(str(error)) from None
    return fields.headers


def _check_singletons(headers: list[tuple[str, str]], version: str) -> None:
    """Check headers that may come once: joined by commas, two of them could be read in two ways (RFC 9110, 5.3)."""
    names = [name for name, _ in headers]
    for name in ("Host", "Authorization"):
        if names.count(name.lower()) > 1:
            raise _UnreadableError(f"there is more than one {name} header")
    if "host" not in names and version == "1.1":
        raise _UnreadableError("the Host header is missing")


def _check_coding(headers: list[tuple[str, str]]) -> None:
    codings = [value.lower() for name, value in headers if name == "transfer-encoding"]
    if codings not in ([], ["chunked"]):
        raise _UnreadableError("the only supported Transfer-Encoding is chunked")


def _list_options(headers: list[tuple[str, str]], wanted: str) -> list[str]:
    """Return the items of a list header, in lower case."""
    return [option.strip().lower() for name, value in headers if name == wanted for option in value.split(",")]


@lru_cache(maxsize=128)
def _write_status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {REASONS.get(status, '')}"


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
