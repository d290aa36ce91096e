"""WSGI applications for tests of the server alone."""

from __future__ import annotations

import threading
from typing import Any

from healthimaging_emulator.messages import ConnectionBreak, Wait
from healthimaging_emulator.transports.targets import EXCHANGE_KEY
from tests.raw import HANG_SECONDS

OK = "200 OK"


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with method, target, size and the body itself; 413 if the body is not there."""
    body = environ["wsgi.input"].read()
    is_whole = str(len(body)) == environ["CONTENT_LENGTH"]
    start_response(OK if is_whole else "413 Too Large", [("Content-Type", "text/plain")])
    line = f"{environ['REQUEST_METHOD']} {environ['RAW_URI']} {environ['CONTENT_LENGTH']} "
    return [line.encode("latin-1"), body]


class Large:
    """Answers with ``size`` bytes."""

    def __init__(self, size: int) -> None:
        self.body = b"x" * size

    def __call__(self, _: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(OK, [("Content-Length", str(len(self.body)))])
        return [self.body]


def refuse_to_start(_: threading.Thread) -> None:
    """Refuse as ``Thread.start`` does when the system has no thread left."""
    raise RuntimeError("no thread")


class Gate:
    """Answers when the test opens it."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, _: dict[str, Any], start_response: Any) -> list[bytes]:
        self.entered.set()
        self.open.wait(HANG_SECONDS)
        start_response(OK, [("Content-Length", "5")])
        return [b"hello"]


class Broken:
    """Has its connection ended early, in all requests or in those for one path. ``waits`` as stalls and delays do."""

    def __init__(self, effect: ConnectionBreak | None, *, waits: bool = False, path: str | None = None) -> None:
        self.effect, self.waits, self.path = effect, waits, path
        self.entered, self.end = threading.Event(), threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if self.path in (None, environ["PATH_INFO"]):
            self._break(environ[EXCHANGE_KEY])
        start_response(OK, [("x-emulator-fault", "scissors"), ("x-amzn-ErrorType", "SomeException")])
        return [b"0123456789"]

    def _break(self, exchange: Any) -> None:
        self.entered.set()
        if self.waits:
            exchange.wait(Wait(3600, self.end))
        if self.effect:
            exchange.break_connection(self.effect)
