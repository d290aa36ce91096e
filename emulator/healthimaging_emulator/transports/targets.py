"""Request targets and keys that the WSGI application, the control API and the server share."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CONTROL_PREFIX = "/_emulator"
"""Path of the control API: this one, and all paths below it."""

GENERATION_HEADER = "x-emulator-generation"
"""Header of the control API's answers; with another value, the account has begun again with the seed."""

EXCHANGE_KEY = "healthimaging_emulator.exchange"
"""Key of the ``Exchange`` in a WSGI environment."""


def is_control_path(path: str) -> bool:
    """Whether a decoded path belongs to the control API."""
    return path == CONTROL_PREFIX or path.startswith(f"{CONTROL_PREFIX}/")


def origin_form(target: str) -> str:
    """Return a request target without the scheme and the host of its absolute form, which proxies receive."""
    return target if target.startswith("/") else re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?]*", "", target)


def raw_target(environ: WSGIEnvironment) -> str:
    """Return the request target as the client sent it, or its path; empty if the server does not hand it over."""
    return environ.get("RAW_URI") or environ.get("REQUEST_URI") or _raw_path_of_asgi(environ)


def _raw_path_of_asgi(environ: WSGIEnvironment) -> str:
    """Return the raw path of the ASGI server around a2wsgi, if there is one and it hands it over."""
    raw: bytes = environ.get("asgi.scope", {}).get("raw_path") or b""
    return raw.decode("latin-1")


def is_input_terminated(environ: WSGIEnvironment) -> bool:
    """Whether reading the body without a length comes to an end.

    Most servers set Werkzeug's key if it does. a2wsgi does not, but ASGI ends every body; nor does hypercorn, which
    hands over a whole body in memory.
    """
    is_in_memory = type(environ.get("wsgi.input")) is io.BytesIO
    return bool(environ.get("wsgi.input_terminated")) or "asgi.scope" in environ or is_in_memory
