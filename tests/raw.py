"""HTTP by hand, for what no client would send."""

from __future__ import annotations

import gc
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from healthimaging_emulator.server.listener import Server

HANG_SECONDS = 30.0
JSON = "Content-Type: application/json"

BANNER_END = "JavaScript"
"""The last line that ``serve`` prints before it serves begins so."""


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes
    is_closed: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A socket that reads whole replies; a hang fails instead of waiting for ever."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.create_connection((server.host, server.port), HANG_SECONDS)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def send(self, request: bytes) -> None:
        self.socket.sendall(request)

    def receive(self, *, is_head: bool = False) -> Reply:
        status = int(self._file.readline().split()[1])
        headers = {}
        while line := self._file.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            assert name.lower() not in headers, f"{name} twice"
            headers[name.lower()] = value.strip()
        body = b"" if is_head or status in (100, 204) else self._file.read(int(headers["content-length"]))
        return Reply(status, headers, body, headers.get("connection") == "close" and self.is_closed())

    def is_closed(self) -> bool:
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True


def request(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    host = "127.0.0.1" if "emulator/" in target else "runtime-127.0.0.1"
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}:4580", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def exchange(server: Server, data: bytes) -> Reply:
    with Client(server) as client:
        client.send(data)
        return client.receive(is_head=data.startswith(b"HEAD "))


@contextmanager
def reserve_port() -> Iterator[int]:
    """Yield a free port and keep it from others, but for a server that binds it with SO_REUSEADDR, as all do."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def count_descriptors() -> int:
    """Return how many descriptors this process has open, without those that only wait for the garbage collector.

    Descriptors of earlier tests may still be closed afterwards, so compare with ``<=``.
    """
    gc.collect()
    return len(os.listdir("/dev/fd"))


def until(condition: Callable[[], object]) -> None:
    """Check every millisecond whether a condition holds; a hang fails instead of waiting for ever.

    Without the pause, this loop would keep the interpreter from other threads for 5 ms at a time.
    """
    end = time.monotonic() + HANG_SECONDS
    pause = threading.Event()  # tests replace ``time.sleep``
    while not condition():
        assert time.monotonic() < end, "it never came to hold"
        pause.wait(0.001)
