"""The access log: one line a request, and its parts for those who write lines of their own."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .gateway import is_control

if TYPE_CHECKING:
    from ..journal import Call
    from ..messages import Exchange, Response

MAX_TARGET = 500
"""Characters shown of a target."""

MAX_PART = 14
"""Characters up to which a part of an identifier is shown whole."""

_ID = re.compile("(?<![0-9a-zA-Z])[0-9a-z]{32}(?![0-9a-zA-Z])").sub

_NOT_ASCII = re.compile(r"[^\n -~]").sub

log = logging.getLogger("healthimaging_emulator.access")


class Access(NamedTuple):
    """One request and its answer. ``status`` is None if there was no answer, and ``code`` is the connection's effect.

    ``call`` is None for a request that is none of the service's; ``refusal`` is the reason of the control API, or of
    the server for bytes that are no request.
    """

    method: str
    target: str
    status: int | None
    code: str | None
    seconds: float
    faults: str | None
    account: str | None
    call: Call | None
    refusal: str | None

    @property
    def subject(self) -> str:
        """The operation, its resource and the page; of other requests, the method and the target."""
        call = self.call
        if call is None or call.operation is None:
            return f"{self.method} {_ID(lambda id: _ends_of(id[0]), self.target[:MAX_TARGET])}"
        page = f"page {call.page}" if call.page else ""
        return " ".join(filter(None, (call.operation, describe_resource(call.identifiers), page)))

    def __str__(self) -> str:
        parts = (self.account, self.subject, self.status or "-", self.code or "-", f"{self.seconds * 1000:.1f} ms")
        line = " ".join(str(part) for part in parts if part is not None)
        line += f" {self.faults}" if self.faults else ""
        return to_printable(f"{line}: {self.refusal}" if self.refusal else line)


def log_request(method: str, target: str, response: Response, exchange: Exchange, seconds: float) -> None:
    """Log a request and its answer; the record has them as ``access``."""
    if not log.isEnabledFor(logging.INFO):
        return
    status, code = response.status, response.headers.get("x-amzn-ErrorType")
    access = Access(
        method,
        target,
        status if exchange.is_answered else None,
        code if exchange.is_answered else exchange.effect,
        seconds,
        response.headers.get("x-emulator-fault"),
        exchange.account,
        exchange.call,
        exchange.refusal,
    )
    is_poll = method == "GET" and status < 400 and is_control(target)  # of a monitor or the console
    level = logging.DEBUG if is_poll else logging.INFO
    log.log(level, "%s", access, extra={"access": access})


def describe_resource(identifiers: Mapping[str, Sequence[str]]) -> str:
    """Return identifiers in short: the ends of each."""
    return "/".join(",".join(map(_shorten, values)) for values in identifiers.values())


def _shorten(identifier: str) -> str:
    parts = identifier.rpartition(":")[2].split("/")  # of an ARN, only the resource
    return "/".join(part if len(part) <= MAX_PART else _ends_of(part) for part in parts)


def _ends_of(text: str) -> str:
    return f"{text[:4]}..{text[-4:]}"


def to_printable(text: str) -> str:
    """Replace characters that a terminal would obey."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def to_printable_json(text: str) -> str:
    """Escape the characters of a JSON text that a terminal would obey, or that could be taken for the end of a line."""
    return _NOT_ASCII(lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text)
