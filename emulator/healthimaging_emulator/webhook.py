"""Post events to a URL, as a rule of EventBridge would deliver them.

One thread posts the events of all accounts, in the order in which they happened; so those of an image set are in order
too. It begins with the first event that waits, and ends when none is left.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

log = logging.getLogger("healthimaging_emulator")

PAUSES = (0.1, 0.2, 0.4, 0.8)
"""Seconds before each further attempt to post an event. After the last attempt, the event is dropped."""

ANSWER_SECONDS = 5.0
"""How long the receiver may take for its answer."""

MOST_WAITING = 10_000
"""Events that wait; further ones are dropped."""

RETRIED = {408, 409, 429}
"""Client errors after which an event is posted again, as after each server error."""


class Webhook:
    """The receiver of events at a URL. No proxy is used, and no redirect followed."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._changed = threading.Condition()
        self._is_posting = False

    def post(self, event: Mapping[str, Any]) -> None:
        """Post an event when those before it are delivered or dropped. Returns at once."""
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                log.warning("event %s is not posted: %d others wait", event["id"], MOST_WAITING)
                return
            self._waiting.append(event)
            if not self._is_posting:
                with suppress(RuntimeError):  # no thread is left; the next event tries again
                    threading.Thread(target=self._post_waiting, name="webhook", daemon=True).start()
                    self._is_posting = True

    def wait(self, seconds: float) -> bool:
        """Wait until no event waits any more, and say whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def _post_waiting(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._is_posting = False
                    return
                event = self._waiting[0]
            with suppress(BaseException):  # logging asks for the time, which a test may have replaced
                self._deliver(event)
            with self._changed:
                self._waiting.popleft()
                self._changed.notify_all()

    def _deliver(self, event: Mapping[str, Any]) -> None:
        failure = ""
        for pause in (0.0, *PAUSES):
            if pause:
                threading.Event().wait(pause)  # a test may have replaced ``time.sleep``
            try:
                status = self._send(json.dumps(event).encode())
            except BaseException as error:  # of the network, or of what a test has put in its place
                failure = (str(error) or type(error).__name__).encode("unicode_escape").decode()
                continue
            if 200 <= status < 300:
                return
            failure = f"the receiver answered {status}"
            if status < 500 and status not in RETRIED:
                break
        log.warning("event %s (%s) is dropped: %s", event["id"], event["detail-type"], failure)

    def _send(self, body: bytes) -> int:
        url = self._url
        connect = HTTPSConnection if url.scheme == "https" else HTTPConnection
        connection = connect(url.hostname or "", url.port, timeout=ANSWER_SECONDS)
        timer = threading.Timer(ANSWER_SECONDS, _abort, [connection])  # the timeout is that of each byte
        timer.daemon = True
        try:
            timer.start()
            target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request("POST", target, body, {"Content-Type": "application/json"})
            return connection.getresponse().status
        finally:
            timer.cancel()
            connection.close()


def _abort(connection: HTTPConnection) -> None:
    found = connection.sock
    if found is not None:
        with suppress(OSError):  # it is closed
            found.shutdown(socket.SHUT_RDWR)
