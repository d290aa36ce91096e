"""The access log: one line a request."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..transports.targets import CONTROL_PREFIX
from .gateway import split_target

if TYPE_CHECKING:
    from ..messages import Exchange, Response

HEALTH = CONTROL_PREFIX + "/health"
"""Path that monitors ask for every few seconds: logged at DEBUG."""

log = logging.getLogger("healthimaging_emulator.access")


def log_request(method: str, target: str, response: Response, exchange: Exchange, seconds: float) -> None:
    """Log method, target, status, error code, duration and the ids of the faults that fired.

    A request without a response has ``-`` for its status, and the connection's effect for the code.
    """
    if not log.isEnabledFor(logging.INFO):
        return
    headers = response.headers
    status, code = str(response.status), headers.get("x-amzn-ErrorType", "-")
    if not exchange.is_answered:
        status, code = "-", str(exchange.effect)
    faults = f" {headers['x-emulator-fault']}" if "x-emulator-fault" in headers else ""
    level = logging.DEBUG if split_target(target)[0] == HEALTH else logging.INFO
    log.log(level, "%s %.500s %s %s %.1f ms%s", method, target, status, code, seconds * 1000, faults)
