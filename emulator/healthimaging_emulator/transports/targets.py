"""Request targets and keys that the WSGI application, the control API and the server share."""

from __future__ import annotations

import re

CONTROL_PREFIX = "/_emulator"
"""Path of the control API: this one, and all paths below it."""

EXCHANGE_KEY = "healthimaging_emulator.exchange"
"""Key of the ``Exchange`` in a WSGI environment."""


def is_control_path(path: str) -> bool:
    """Whether a decoded path belongs to the control API."""
    return path == CONTROL_PREFIX or path.startswith(f"{CONTROL_PREFIX}/")


def origin_form(target: str) -> str:
    """Return a request target without the scheme and the host of its absolute form, which proxies receive."""
    return target if target.startswith("/") else re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?]*", "", target)
