"""One client's connection: read a request, answer it, keep the connection for the next one.

The threads of ``workers`` serve a connection when bytes have come, one thread at a time. That one alone reads, writes
and closes the socket. Other threads call only ``stop`` and ``abort``.

- ``_lock`` guards ``_is_stopping`` and ``_is_answering``, and the replacement of ``_socket`` by its TLS wrapper.
  Between ``_begin_answer`` and ``_end_answer`` the application runs and the response is sent; ``stop`` lets that
  finish, and only ends its waits. At any other time ``stop`` shuts the socket down, which makes it readable. Since both
  decide under the lock, no answer begins once a connection is stopped, and none that has begun is lost.
- Reading a request never waits: the state of one that came in part is in ``_reader`` and ``_head``. Before anything
  else waits, the thread lets another one lead.
- ``deadline`` runs from the first byte of a request to its last. It is checked before each read, so a client whose
  bytes never pause meets it too. There is none between two requests.
- A request takes two system calls of the socket, a read and a write. So its timeout is set only when it changes, and a
  response is one write: in two, Nagle's algorithm and delayed ACKs would cost 40 ms.
- Closing a socket with unread bytes sends RST, which can overtake the response. So after a request that was not read to
  its end, the connection lingers: it ends its own side, then reads what the client still sends.
"""

from __future__ import annotations

import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..aws.errors import BadRequestException, ServiceError, ServiceUnavailableException
from ..aws.rest_json import serialize_error
from ..messages import Exchange, Response, Wait
from ..monotonic import monotonic
from .access_log import log_request
from .gateway import build_environ, call_application, is_control
from .http1 import CONTINUE, Body, Event, Head, Refused, RequestReader, Signal, write_head
from .workers import Workers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from ..settings import Settings

PlainSocket = socket.socket
"""The class of sockets as it was at the import: a test may replace ``socket.socket``."""

PLAIN_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 41\r\n\r\n"
    b"this port speaks TLS: use an https:// URL"
)
"""The answer to HTTP without TLS on a port that wants it."""

DONT_WAIT: int = getattr(socket, "MSG_DONTWAIT", 0)
"""The flag for a call that does not wait; Windows has none, and wants a timeout of 0."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

RECEIVE_SIZE = 64 * 1024
"""More than a TLS record, of 16 KB: the selector does not see bytes that OpenSSL has decrypted and kept."""

log = logging.getLogger("healthimaging_emulator")


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Timeouts of a server in seconds, and how many connections over the limit it answers."""

    request: float = 10.0
    """From a request's first byte to its last, and for a TLS handshake."""
    send: float = 30.0
    """For a client to read its response, beyond what the system buffers."""
    linger: float = 1.0
    """For a refused client to send the rest of its request."""
    stop: float = 2.0
    """For the answers under way when the server stops."""
    patience: float = 0.005
    """For one request to keep others waiting, until another thread goes on with them."""
    refused_connections: int = 64
    """Connections over the limit that get an error answer, at a time. Any more are closed at once."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """The application and the configuration that all connections of a server share."""

    app: WSGIApplication
    environ: dict[str, Any]
    settings: Settings
    timeouts: Timeouts
    tls: ssl.SSLContext | None
    workers: Workers

    def max_body(self, target: str) -> int:
        """Return the limit for the body of a request."""
        return self.settings.max_control_body if is_control(target) else self.settings.max_body


class ServedExchange(Exchange):
    """A request on a real connection, which can be broken. ``stop`` ends its waits; each begins with ``hand_over``.

    If the client has left after a wait, as ``has_left`` says, it gets no answer.
    """

    can_break = True

    def __init__(
        self, has_left: Callable[[], bool] = lambda: False, hand_over: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__()
        self._has_left = has_left
        self._hand_over = hand_over
        self._lock = threading.Lock()
        self._is_stopped = False
        self._waiting: threading.Event | None = None

    def wait(self, wait: Wait) -> None:
        """Carry out a pause, until it is over, its fault is removed or the server stops."""
        with self._lock:
            if self._is_stopped:
                return
            self._waiting = wait.end
        if not wait.is_virtual:
            self._hand_over()
        super().wait(wait)
        if not wait.is_virtual and self.effect is None and self._has_left():
            self.effect = "timeout"

    def stop(self) -> None:
        """End the wait under way and all that follow."""
        with self._lock:
            self._is_stopped = True
            if self._waiting:
                self._waiting.set()


class Connection:
    """A connection. ``on_close`` is called when it has ended.

    A connection over the server's limit (``is_refused``) gets an error for its first request, which must come within
    ``Timeouts.linger``.
    """

    def __init__(
        self,
        service: Service,
        client: socket.socket,
        *,
        is_refused: bool = False,
        on_close: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        self.is_refused = is_refused
        self._service = service
        self._socket = client
        self._on_close = on_close
        self._lock = threading.Lock()
        self._is_stopping = False
        self._is_answering = False
        self._exchange = self._make_exchange()
        self._reader = RequestReader(service.settings.max_head, service.max_body)
        self._head: Head | None = None
        self._timeout: float | None = None
        self._begun: float | None = None
        self.deadline = monotonic() + service.timeouts.linger if is_refused else None
        self.has_more = False

    def start(self) -> None:
        """Let the threads serve the connection. If none is left for it, close it and raise ``RuntimeError``."""
        if self._service.tls is None:
            self._service.workers.add(self)
            return
        try:
            self._service.workers.add_waiting(self)
        except RuntimeError:
            self.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._socket.fileno()

    def serve(self) -> bool:
        """Read the bytes that have come, and answer a request that is whole. Return whether more may come."""
        try:
            with suppress(OSError):  # the client has gone, or was too slow, or the server stops
                if self._service.tls and not isinstance(self._socket, ssl.SSLSocket):
                    self._encrypt(self._service.tls)
                return self._serve_requests()
        except BaseException:  # also SystemExit: the thread serves other connections, too
            with suppress(BaseException):  # logging asks for the time, which a test may have replaced
                log.exception("a connection failed")
        return False

    def stop(self) -> None:
        """Finish the answer under way, or close the connection at once if there is none."""
        with self._lock:
            self._is_stopping = True
            if self._is_answering:
                self._exchange.stop()
            else:
                self._shut_down()

    def abort(self) -> None:
        """Close the connection, whatever its thread is doing."""
        with self._lock:
            self._is_stopping = True
            self._shut_down()

    def _begin_answer(self) -> bool:
        """Make ``stop`` wait for the answer. Return False if the connection is stopping already."""
        with self._lock:
            self._is_answering = not self._is_stopping
            return self._is_answering

    def _end_answer(self) -> bool:
        """Return whether another answer may follow."""
        with self._lock:
            self._is_answering = False
            return not self._is_stopping

    def _encrypt(self, tls: ssl.SSLContext) -> None:
        """Speak TLS from now on. The handshake waits, in a thread that serves no others meanwhile."""
        with self._lock:
            self._socket = client = tls.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
        self._set_deadline(self.deadline or monotonic() + self._service.timeouts.request)
        try:
            client.do_handshake()
        except OSError as error:
            is_plain = getattr(error, "reason", "") == "HTTP_REQUEST"
            log.info("a TLS handshake failed: %s", PLAIN_HTTP.rpartition(b"\n")[2].decode() if is_plain else error)
            if is_plain:
                with suppress(OSError):
                    PlainSocket.send(client, PLAIN_HTTP)
            raise

    # Requests

    def _serve_requests(self) -> bool:
        """Answer the next request if it is whole. ``has_more`` says afterwards whether another one has begun."""
        if not self.has_more and not self._read():
            return True
        self.has_more = False
        while (event := self._reader.next_event()) is not Signal.NEED_DATA:
            if event is Signal.SEND_CONTINUE:
                self._send_all(CONTINUE)
            elif event is Signal.CLOSED:
                return False
            elif isinstance(event, Body) and self._head:
                if not self._answer(self._head, event):
                    return False
                self._start_next()
                return True
            elif isinstance(event, Head) and not self.is_refused:
                self._head = event
            else:
                self._refuse(event)
                return False
        return True

    def _answer(self, head: Head, body: Body) -> bool:
        self.deadline = None
        if not self._begin_answer():
            return False
        environ = build_environ(self._service.environ, head, body, self._exchange)
        response = call_application(self._service.app, environ)
        keeps_alive = head.keeps_alive and body.is_complete
        self._log(response, head)  # before its client goes on
        self._send(response, head, closes=not keeps_alive)
        may_continue = self._end_answer()
        if self._exchange.effect:
            return False
        if not body.is_complete:
            self._linger()
        return keeps_alive and may_continue

    def _refuse(self, event: Event) -> None:
        self.deadline = None
        head = event if isinstance(event, Head) else self._head
        if self._is_stopping:  # ``stop`` has cut the request off: not the client's mistake
            return
        response = serialize_error(self._get_error(event))
        self._log(response, head)
        self._send(response, head, closes=True)
        self._linger()

    def _get_error(self, event: Event) -> ServiceError:
        if self.is_refused:
            most = self._service.settings.max_connections
            return ServiceUnavailableException(f"The limit of connections is reached: {most}.")
        assert isinstance(event, Refused)
        self._exchange.refusal = event.message
        return BadRequestException(f"Bad request: {event.message}.", status=event.status)

    def _log(self, response: Response, head: Head | None) -> None:
        method, target = head[:2] if head else ("-", "-")
        now = monotonic()
        log_request(method, target, response, self._exchange, now - (self._begun or now))

    # Reading

    def _read(self) -> bool:
        """Read the bytes that have come. Return False if there are none, and raise ``TimeoutError`` if it is late."""
        if self.deadline is not None and monotonic() >= self.deadline:
            raise TimeoutError
        data = self._receive()
        if data is None:
            return False
        self._reader.receive(data)
        if self._begun is None:
            self._begin_request()
        return True

    def _receive(self) -> bytes | None:
        is_flagged = DONT_WAIT and not self._service.tls
        self._set_timeout(None if is_flagged else 0.0)
        try:
            return self._socket.recv(RECEIVE_SIZE, DONT_WAIT) if is_flagged else self._socket.recv(RECEIVE_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None

    def _begin_request(self) -> None:
        self._begun = monotonic()
        if not self.is_refused:
            self.deadline = self._begun + self._service.timeouts.request

    def _start_next(self) -> None:
        self._exchange = self._make_exchange()
        self._begun = self._head = None
        self._reader.start_next()
        self.has_more = self._reader.has_begun
        if self.has_more:
            self._begin_request()

    def _make_exchange(self) -> ServedExchange:
        return ServedExchange(self._has_left, self._service.workers.hand_over)

    def _set_deadline(self, deadline: float) -> None:
        """Let the socket's next call time out at the deadline. Raise ``TimeoutError`` if that has passed."""
        seconds = deadline - monotonic()
        if seconds <= 0:
            raise TimeoutError
        self._set_timeout(seconds)

    def _set_timeout(self, seconds: float | None) -> None:
        if seconds != self._timeout:  # setting it is a system call
            self._socket.settimeout(seconds)
            self._timeout = seconds

    # Writing

    def _send(self, response: Response, head: Head | None, *, closes: bool) -> None:
        """Send a response in one piece, or as much of it as the exchange's effect allows."""
        if not self._exchange.is_answered:
            return
        data = write_head(response, date=_format_date(int(time.time())), closes=closes or self._is_stopping)
        if head is None or head.method != "HEAD":
            data += response.body
            if self._exchange.effect == "cut":
                data = data[: len(data) - (len(response.body) + 1) // 2]
        self._send_all(data)

    def _send_all(self, data: bytes) -> None:
        if self._service.tls:
            self._send_slowly(memoryview(data))
        elif (sent := self._send_at_once(data)) < len(data):
            self._send_slowly(memoryview(data)[sent:])

    def _send_at_once(self, data: bytes) -> int:
        """Send as much as the system buffers, usually everything: that needs no system call to set a timeout."""
        self._set_timeout(None if DONT_WAIT else 0.0)  # with another one, ``send`` would wait despite the flag
        try:
            return self._socket.send(data, DONT_WAIT)
        except BlockingIOError:
            return 0

    def _has_left(self) -> bool:
        """Whether the client has closed the connection; over TLS, that cannot be known."""
        try:
            self._set_timeout(0.0)
            return not PlainSocket.recv(self._socket, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:  # it has reset the connection
            return True

    def _send_slowly(self, rest: memoryview) -> None:
        self._service.workers.hand_over()
        deadline = monotonic() + self._service.timeouts.send
        while rest:
            self._set_deadline(deadline)
            rest = rest[self._socket.send(rest) :]

    # Closing

    def _linger(self) -> None:
        """End this side of the connection, then read what the client still sends, for a while."""
        self._service.workers.hand_over()
        self._end_tls()
        PlainSocket.shutdown(self._socket, socket.SHUT_WR)
        deadline = monotonic() + self._service.timeouts.linger
        self._set_deadline(deadline)
        while PlainSocket.recv(self._socket, RECEIVE_SIZE):  # SSLSocket's own would end where TLS does
            self._set_deadline(deadline)

    def close(self) -> None:
        """End the connection."""
        self.deadline = None
        is_reset = self._exchange.effect == "reset"
        if not is_reset:
            self._end_tls()
        with self._lock:
            if is_reset:  # closing without lingering sends RST
                with suppress(OSError):  # macOS refuses if the client was faster
                    self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self._shut_down()
            self._socket.close()
        self._on_close(self)

    def _end_tls(self) -> None:
        """Send TLS's closing alert, so that the end does not look like an attack. Do not wait for a reply."""
        if isinstance(self._socket, ssl.SSLSocket):
            with suppress(OSError, ValueError):  # the client has gone, or the handshake failed
                self._set_timeout(0.0)
                self._socket.unwrap()

    def _shut_down(self) -> None:
        """Let a thread see the end, and end the connection even if a forked process has the socket too."""
        with suppress(OSError):  # the client was faster
            PlainSocket.shutdown(self._socket, socket.SHUT_RDWR)  # SSLSocket's own would go on in plain text


@lru_cache(maxsize=1)
def _format_date(second: int) -> str:
    """Return a date as HTTP writes it (RFC 9110, 5.6.7), in English in every locale.

    ``email.utils`` can do it too, but importing it takes a fortieth of a start.
    """
    date = time.gmtime(second)
    return time.strftime(f"{_DAYS[date.tm_wday]}, %d {_MONTHS[date.tm_mon - 1]} %Y %H:%M:%S GMT", date)
