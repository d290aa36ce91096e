"""Listen on a port, and hand the connections to threads that serve them.

- ``_changed`` guards ``_connections`` and ``_refused``. It is never held while a connection is started, stopped or
  closed: connections have locks of their own and report their end here.
- ``stop`` first ends the accepting thread, so that no connection appears behind its back; then it stops all
  connections, waits until they are gone, and aborts those that are still answering after ``Timeouts.stop``. Last, it
  stops the workers, which close what is left.
- Closing a socket does not end it if a forked process has it too; shutting it down does.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from ..errors import invalid
from ..monotonic import monotonic
from ..settings import Settings
from ..transports.environment import build_variables
from .connection import Connection, PlainSocket, Service, Timeouts
from .gateway import build_base_environ
from .workers import Workers

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIApplication

__all__ = ["Server", "Timeouts"]

RETRY_SECONDS = 0.1
"""Pause after a connection could not be accepted: without one, the loop would spin while descriptors are used up."""

log = logging.getLogger("healthimaging_emulator")


class Server:
    """Serve a WSGI application as soon as the object is made, until ``stop`` or the end of a ``with`` block.

    The application's responses are sent as they are, so they must be valid HTTP, as Werkzeug's are.

    ``port`` 0 takes a free port, and ``url`` contains it. The host ``::`` listens on IPv6 and IPv4. With a context for
    ``tls`` the port speaks only TLS. ``signing`` are variables to add to ``environment``. Raises ``OSError`` if it
    cannot listen, ``ValueError`` for an invalid host or port.
    """

    def __init__(
        self,
        app: WSGIApplication,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
        settings: Settings = Settings(),
        signing: Mapping[str, str] | None = None,
        timeouts: Timeouts = Timeouts(),
    ) -> None:
        with ExitStack() as opened:  # closes all of them if one cannot be opened
            self._listener = opened.enter_context(_listen(host, port))
            self._wake, woken = (opened.enter_context(each) for each in socket.socketpair())
            self._selector = opened.enter_context(selectors.DefaultSelector())
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._selector.register(woken, selectors.EVENT_READ)
            workers = Workers(timeouts.patience)
            self._opened = opened.pop_all()
        self.host, self.port = self._listener.getsockname()[:2]
        self._scheme = "https" if tls else "http"
        self._signing = dict(signing or {})
        environ = build_base_environ(self.host, self.port, self._scheme)
        self._service = Service(
            app=app, environ=environ, settings=settings, timeouts=timeouts, tls=tls, workers=workers
        )
        self._changed = threading.Condition()
        self._connections: set[Connection] = set()
        self._refused = 0
        self._thread = threading.Thread(target=self._accept_all, name="healthimaging-accept", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """URL of the server for clients on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        name = f"[{host}]" if ":" in host else host
        return f"{self._scheme}://{name}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that point the SDK of a child process at the server."""
        return build_variables(self.url) | self._signing

    @property
    def connection_count(self) -> int:
        """Number of open connections, including those over the limit that are being refused."""
        with self._changed:
            return len(self._connections)

    def stop(self) -> None:
        """Stop listening and close all connections: idle ones at once, others when their answer is finished.

        Delays and stalls end early. Takes ``Timeouts.stop`` at most, 2 seconds by default.
        """
        with suppress(OSError):  # it was stopped before
            self._wake.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for connection in self._list_connections():
            connection.stop()
        end = monotonic() + self._service.timeouts.stop
        with self._changed:
            self._changed.wait_for(lambda: not self._connections, self._service.timeouts.stop)
        for connection in self._list_connections():
            connection.abort()
        self._service.workers.stop(max(0.0, end - monotonic()))

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _list_connections(self) -> list[Connection]:
        with self._changed:
            return list(self._connections)

    def _accept_all(self) -> None:
        with self._opened:
            while all(key.fileobj is self._listener for key, _ in self._selector.select()):
                try:
                    self._open(self._accept())
                except Exception as error:  # the client has gone, or descriptors or threads ran out
                    with suppress(BaseException):  # logging asks for the time, which a test may have replaced
                        log.warning("a connection was not accepted: %s", error)
                    self._selector.unregister(self._listener)
                    self._selector.select(RETRY_SECONDS)
                    self._selector.register(self._listener, selectors.EVENT_READ)
            with suppress(OSError):  # macOS refuses, and does not need it
                self._listener.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> socket.socket:
        """Accept a connection, as ``accept`` does, but with the class that a test cannot replace."""
        listener = self._listener
        descriptor, _ = listener._accept()  # type: ignore[attr-defined]
        return PlainSocket(listener.family, listener.type, listener.proto, fileno=descriptor)

    def _open(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.settimeout(None)  # a process may have set another default
        connection = self._register(client)
        if connection:
            connection.start()
        else:
            client.close()

    def _register(self, client: socket.socket) -> Connection | None:
        """Count a connection. Return None if there are too many refused ones as well."""
        with self._changed:
            is_refused = len(self._connections) - self._refused >= self._service.settings.max_connections
            if is_refused and self._refused >= self._service.timeouts.refused_connections:
                return None
            connection = Connection(self._service, client, is_refused=is_refused, on_close=self._unregister)
            self._connections.add(connection)
            self._refused += is_refused
            return connection

    def _unregister(self, connection: Connection) -> None:
        with self._changed:
            self._connections.discard(connection)
            self._refused -= connection.is_refused
            self._changed.notify_all()


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise invalid("port", port, "a number from 0 to 65535")
    if not host:
        raise invalid("host", host, "a name or an address; 0.0.0.0 is every one")
    host.encode("idna")  # raises the system's error, but before there is a socket to close
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    is_dual = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, backlog=1024, dualstack_ipv6=is_dual)
