"""A real HTTP server for the emulator: a thread a connection, kept as long as the client wants it.

h11 reads HTTP/1.1, strictly; this module moves the bytes, and writes the answers itself, in a tenth of the time.
Werkzeug's own server closes every connection, answers malformed requests in HTML, and polls to notice that it should
stop.
"""

from __future__ import annotations

import functools
import logging
import selectors
import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from email.utils import formatdate
from http.client import responses
from typing import TYPE_CHECKING, Any

import h11

from healthimaging_emulator.aws import rest_json as protocol
from healthimaging_emulator.aws.errors import BadRequestException, ServiceError, ServiceUnavailableException
from healthimaging_emulator.control import endpoints as control
from healthimaging_emulator.messages import Link
from healthimaging_emulator.server.gateway import Answer, call, environ, split
from healthimaging_emulator.settings import Limits
from healthimaging_emulator.transports import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIApplication

REQUEST_SECONDS = 10.0
"""From the first byte of a request to its last, and for a TLS handshake. Where nothing has begun there is no limit."""

SEND_SECONDS = 30.0
"""How long a client may take to read its answer, beyond what the system buffers."""

LINGER_SECONDS = 1.0
"""How long a refused client may go on sending: closing on unread bytes would reset the refusal away."""

STOP_SECONDS = 2.0
"""How long answers under way may take when the server stops."""

REFUSED_CONNECTIONS = 64
"""Of those over the limit, so many at a time are told so; any more are closed at once."""

log = logging.getLogger("emulator")
access_log = logging.getLogger("emulator.access")


class Server:
    """Serves a WSGI application from the moment it is made until ``stop``; a context manager that stops it.

    It sends what the application says, so that must be right, as Werkzeug's responses are.

    ``port`` 0 takes a free one; ``url`` says which. With a context for ``tls`` it speaks nothing else. ``signing`` are
    variables for its ``environment``. Raises ``OSError`` if it cannot listen, ``ValueError`` for no host or port.
    """

    def __init__(
        self,
        app: WSGIApplication,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
        limits: Limits = Limits(),
        signing: Mapping[str, str] | None = None,
    ) -> None:
        if not 0 <= port <= 65535:
            raise ValueError("a port is from 0 to 65535")
        host.encode("idna")  # a name that is none would leave a socket behind
        self.app = app
        self.tls = tls
        self.limits = limits
        self._signing = dict(signing or {})
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=1024)
        self.host, self.port = self._listener.getsockname()[:2]
        self._wake, self._woken = socket.socketpair()
        self._connections: set[_Connection] = set()
        self._refused = 0
        self._changed = threading.Condition()
        self.is_stopping = False
        self._thread = threading.Thread(target=self._accept, name="emulator-accept", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where a client on this machine finds the server."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        name = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls else 'http'}://{name}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables to add to this process's, so that a child's SDK finds the server: ``environment.variables``."""
        return environment.variables(self.url) | self._signing

    def stop(self) -> None:
        """Stop at once when idle, whatever connections are open; end delays and stalls, finish answers under way.

        That takes two seconds at most.
        """
        with suppress(OSError):  # it was stopped before
            self._wake.shutdown(socket.SHUT_RDWR)  # closing alone does not wake, where a forked process has it open too
        self._thread.join()
        self._wake.close()
        with self._changed:
            self.is_stopping = True
            for connection in self._connections:
                if connection.is_answering:
                    connection.link.stop()
                else:
                    connection.abort()
            self._changed.wait_for(lambda: not self._connections, STOP_SECONDS)
            for connection in self._connections:
                connection.abort()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def begin_answer(self, connection: _Connection) -> bool:
        """Mark a connection so that stopping waits for it; False when it is too late."""
        with self._changed:
            connection.is_answering = not self.is_stopping
            return connection.is_answering

    def admit(self, connection: _Connection) -> bool:
        """Give a place to a connection that had none, if there is one by now."""
        with self._changed:
            if len(self._connections) - self._refused < self.limits.connections:
                connection.is_refused = False
                self._refused -= 1
            return not connection.is_refused

    def end(self, connection: _Connection) -> None:
        """Forget a connection that is closed."""
        with self._changed:
            self._connections.discard(connection)
            self._refused -= connection.is_refused
            self._changed.notify_all()

    def _accept(self) -> None:
        with self._listener, self._woken, selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while all(key.fileobj is self._listener for key, _ in selector.select()):
                try:
                    self._open(self._listener.accept()[0])
                except (OSError, RuntimeError) as error:  # the client has gone, or descriptors or threads ran out
                    log.warning("a connection was not accepted: %s", error)
                    selector.unregister(self._listener)
                    selector.select(0.1)
                    selector.register(self._listener, selectors.EVENT_READ)
            with suppress(OSError):  # closing alone goes on listening in a forked process; macOS refuses, needlessly
                self._listener.shutdown(socket.SHUT_RDWR)

    def _open(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.settimeout(None)  # whatever the process's default is
        with self._changed:
            is_refused = len(self._connections) - self._refused >= self.limits.connections
            if is_refused and self._refused >= REFUSED_CONNECTIONS:
                client.close()
                return
            connection = _Connection(self, client, is_refused=is_refused)
            self._connections.add(connection)
            self._refused += is_refused
        try:
            threading.Thread(target=connection.run, name="emulator-connection", daemon=True).start()
        except RuntimeError:
            connection.close()
            raise


@functools.lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def _error_answer(error: ServiceError) -> Answer:
    response = protocol.serialize_error(error)
    return Answer(response.status_code, list(response.headers), response.get_data())


class _Connection:
    """One client's connection: request after request, until either side has had enough."""

    def __init__(self, server: Server, client: socket.socket, *, is_refused: bool) -> None:
        self.is_answering = False
        self.link = Link()
        self._server = server
        self._client = client
        self.is_refused = is_refused
        self._max_head = server.limits.head
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=self._max_head)
        self._deadline = time.monotonic() + LINGER_SECONDS if is_refused else None
        self._timeout: float | None = None

    def run(self) -> None:
        try:
            with suppress(OSError):  # the client has gone, or was too slow, or the server stops
                if self._server.tls:
                    self._encrypt(self._server.tls)
                while self._exchange():
                    self._begin_again()
        finally:
            self.close()

    def _encrypt(self, tls: ssl.SSLContext) -> None:
        """Speak TLS from now on. Here and not where connections are accepted, a silent client holds up nobody."""
        self._limit(LINGER_SECONDS if self.is_refused else REQUEST_SECONDS)
        self._client = tls.wrap_socket(self._client, server_side=True, do_handshake_on_connect=False)
        try:
            self._client.do_handshake()
        except OSError as error:
            log.info("a TLS handshake failed: %s", error)
            raise

    def _begin_again(self) -> None:
        """Be ready for the next request, of which the beginning may be there already."""
        received, _ = self._http.trailing_data
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=self._max_head)
        if received:
            self._http.receive_data(received)
        self._deadline = None

    def abort(self) -> None:
        """Wake the connection's thread, whatever it waits for."""
        with suppress(OSError):  # the client was faster
            socket.socket.shutdown(self._client, socket.SHUT_RDWR)  # that of TLS would go on in plain text

    def close(self) -> None:
        if self.link.effect != "reset":  # closing alone says nothing where a forked process has the socket too
            self._end_tls()
            self.abort()
        self._client.close()
        self._server.end(self)

    def _end_tls(self) -> None:
        """Say that nothing more comes, so that the end does not look like an attack, and wait for no reply."""
        if isinstance(self._client, ssl.SSLSocket):
            with suppress(OSError, ValueError):  # the client has gone, or the handshake failed
                self._limit(0.0)
                self._client.unwrap()

    def _exchange(self) -> bool:
        """Read a request and answer it; return whether another may follow."""
        begun = time.perf_counter()
        method = target = "-"
        self.link = Link()
        try:
            request = self._next_event()
            if not isinstance(request, h11.Request):
                return False
            begun = time.perf_counter()
            method, target = request.method.decode(), request.target.decode()
            self._check_head(request)
            if self.is_refused:
                self._ask_for_a_place()
            headers = [(name.decode(), value.decode("latin-1")) for name, value in request.headers]
            body, length = self._read_body(request.http_version, target, dict(headers))
        except h11.RemoteProtocolError as error:
            answer = self._refusal(error)
        else:
            kept = [(name, value) for name, value in headers if name not in ("content-length", "transfer-encoding")]
            kept.append(("content-length", str(length)))
            host, port = self._server.host, self._server.port
            scheme = "https" if self._server.tls else "http"
            request_environ = environ(method, target, kept, body, host=host, port=port, link=self.link, scheme=scheme)
            if not self._server.begin_answer(self):
                return False
            answer = call(self._server.app, request_environ)
        self._send(answer, is_head=method == "HEAD")
        self.is_answering = False
        self._log(method, target, answer, time.perf_counter() - begun)
        if self.link.effect:
            return False
        if self._http.their_state is h11.DONE:
            return not self._server.is_stopping
        if self._http.their_state in (h11.SEND_BODY, h11.ERROR):
            self._linger()
        return False

    def _ask_for_a_place(self) -> None:
        if not self._server.admit(self):
            raise h11.RemoteProtocolError("too many connections")
        self._deadline = time.monotonic() + REQUEST_SECONDS  # as for others

    def _next_event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._deadline is None and self._http.trailing_data[0]:  # of a request sent behind the last one
                self._deadline = time.monotonic() + REQUEST_SECONDS
            if self._http.they_are_waiting_for_100_continue:
                self._client.sendall(
                    self._http.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")) or b""
                )
            received = self._receive()
            self._deadline = self._deadline or time.monotonic() + REQUEST_SECONDS
            self._http.receive_data(received)
        return event

    def _receive(self) -> bytes:
        self._limit(None if self._deadline is None else max(self._deadline - time.monotonic(), 0.001))
        return self._client.recv(64 * 1024)

    def _limit(self, seconds: float | None) -> None:
        """Set the socket's timeout, where it is another: every such call lets other threads in, at a cost to all."""
        if seconds != self._timeout:
            self._client.settimeout(seconds)
            self._timeout = seconds

    def _read_body(self, http_version: bytes, target: str, headers: dict[str, str]) -> tuple[bytes, int]:
        """Return the body and its length; of one over the limit only the length, and what follows is never read."""
        if http_version not in (b"1.0", b"1.1"):
            raise h11.RemoteProtocolError("this server speaks HTTP/1.1", error_status_hint=505)
        if "transfer-encoding" in headers and "content-length" in headers:
            raise h11.RemoteProtocolError("Content-Length and Transfer-Encoding exclude each other")
        length = int(headers.get("content-length", 0))
        if not length and "transfer-encoding" not in headers:
            self._next_event()  # which ends the request
            return b"", 0
        limits = self._server.limits
        limit = limits.control_body if split(target)[0].startswith(control.PREFIX) else limits.body
        body = bytearray()
        while max(length, len(body)) <= limit:
            event = self._next_event()
            if not isinstance(event, h11.Data):
                return bytes(body), len(body)
            body += event.data
        return b"", max(length, len(body))

    def _check_head(self, request: h11.Request) -> None:
        """Hold a request to the limit also where it came in one piece; h11 does only while it waits for more."""
        line = len(request.method) + len(request.target) + len(" HTTP/1.1 \r\n")
        head = line + sum(len(name) + len(value) + len(": \r\n") for name, value in request.headers) + len("\r\n")
        if head > self._max_head:
            status = 414 if line > self._max_head else 431
            raise h11.RemoteProtocolError("request line and headers are too long", error_status_hint=status)

    def _refusal(self, error: h11.RemoteProtocolError) -> Answer:
        if self.is_refused:
            most = self._server.limits.connections
            return _error_answer(ServiceUnavailableException(f"The limit of connections is reached: {most}."))
        status = error.error_status_hint if error.error_status_hint in (414, 431, 505) else 400
        unread = self._http.trailing_data[0]
        if status == 431 and unread and b"\n" not in unread:
            status = 414
        reason = str(error).partition(": bytearray")[0]
        return _error_answer(BadRequestException(f"Bad request: {reason}.", status=status))

    def _send(self, answer: Answer, *, is_head: bool) -> None:
        """Write head and body at once: in two writes, Nagle's algorithm and delayed ACKs cost 40 ms.

        Or do to the connection what a fault rule wants; the caller closes it.
        """
        if self.link.effect == "reset":  # closing without lingering sends RST
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if not self.link.is_answered:
            return
        lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, '')}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        lines.append(f"Date: {_date(int(time.time()))}")
        if answer.status != 204 and all(name.lower() != "content-length" for name, _ in answer.headers):
            lines.append(f"Content-Length: {len(answer.body)}")
        if self._http.their_state is not h11.DONE or self._server.is_stopping:
            lines.append("Connection: close")
        data = "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if is_head else answer.body)
        if self.link.effect == "cut":
            data = data[: len(data) - (len(answer.body) + 1) // 2]
        sent = 0
        if self._server.tls is None:
            self._limit(None)  # with a timeout, send would wait for it
            with suppress(BlockingIOError):  # it mostly fits what the system buffers
                sent = self._client.send(data, socket.MSG_DONTWAIT)
        if sent < len(data):
            self._limit(SEND_SECONDS)
            self._client.sendall(memoryview(data)[sent:])

    def _log(self, method: str, target: str, answer: Answer, seconds: float) -> None:
        if not access_log.isEnabledFor(logging.INFO):
            return
        headers = dict(answer.headers)
        status, code = str(answer.status), headers.get("x-amzn-ErrorType", "-")
        if not self.link.is_answered:
            status, code = "-", str(self.link.effect)
        fault = f" {headers['x-emulator-fault']}" if "x-emulator-fault" in headers else ""
        level = logging.DEBUG if split(target)[0] == control.PREFIX + "health" else logging.INFO
        access_log.log(level, "%s %.500s %s %s %.1f ms%s", method, target, status, code, seconds * 1000, fault)

    def _linger(self) -> None:
        """Close in good order: say that nothing more comes, and read what the client still sends, for a while."""
        self._end_tls()
        socket.socket.shutdown(self._client, socket.SHUT_WR)
        self._deadline = time.monotonic() + LINGER_SECONDS
        while time.monotonic() < self._deadline:
            self._limit(max(self._deadline - time.monotonic(), 0.001))
            if not socket.socket.recv(self._client, 64 * 1024):  # that of TLS ends where TLS does
                break
