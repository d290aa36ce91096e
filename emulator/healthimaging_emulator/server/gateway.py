"""Call a WSGI application (PEP 3333) for a request that a server has read."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from ..messages import Exchange, Response
from ..transports.targets import EXCHANGE_KEY, is_control_path, origin_form

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import WSGIApplication

    from .http1 import Body, Head

log = logging.getLogger("healthimaging_emulator")

_KEYS = {
    "accept": "HTTP_ACCEPT",
    "accept-encoding": "HTTP_ACCEPT_ENCODING",
    "amz-sdk-invocation-id": "HTTP_AMZ_SDK_INVOCATION_ID",
    "amz-sdk-request": "HTTP_AMZ_SDK_REQUEST",
    "authorization": "HTTP_AUTHORIZATION",
    "connection": "HTTP_CONNECTION",
    "content-type": "CONTENT_TYPE",
    "host": "HTTP_HOST",
    "user-agent": "HTTP_USER_AGENT",
    "x-amz-content-sha256": "HTTP_X_AMZ_CONTENT_SHA256",
    "x-amz-date": "HTTP_X_AMZ_DATE",
    "x-amz-security-token": "HTTP_X_AMZ_SECURITY_TOKEN",
}
"""Keys of the headers that every SDK sends, made once. Content-Type has one of its own (PEP 3333)."""


class _ErrorLog(io.TextIOBase):
    """``wsgi.errors`` that goes to the server's log."""

    def write(self, text: str) -> int:
        if text.strip():
            log.error("%s", text.rstrip())
        return len(text)


def split_target(target: str) -> tuple[str, str]:
    """Return the path of a request target, decoded, and its query. Proxies receive targets in absolute form."""
    path, _, query = origin_form(target).partition("?")
    if "%" in path:
        path = unquote_to_bytes(path).decode("latin-1")
    return "/" + path.lstrip("/"), query


def is_control(target: str) -> bool:
    """Whether a request target belongs to the control API."""
    return is_control_path(split_target(target)[0])


def build_base_environ(host: str, port: int, scheme: str = "http") -> dict[str, Any]:
    """Build the part of an environment that all requests to one server share."""
    return {
        "SCRIPT_NAME": "",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "CONTENT_TYPE": "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.errors": _ErrorLog(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def build_environ(base: dict[str, Any], head: Head, body: Body, exchange: Exchange) -> dict[str, Any]:
    """Build the environment of a request. ``RAW_URI`` is its target as the client sent it.

    The body is complete, so CONTENT_LENGTH is always set and Transfer-Encoding never. A header whose name contains an
    underscore is left out: WSGI could not tell it from one with a hyphen.
    """
    path, query = split_target(head.target)
    environ = base | {
        "REQUEST_METHOD": head.method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "RAW_URI": head.target,
        "SERVER_PROTOCOL": f"HTTP/{head.version}",
        "CONTENT_LENGTH": str(body.size),
        "wsgi.input": io.BytesIO(body.data),
        EXCHANGE_KEY: exchange,
    }
    seen = set()
    for name, value in head.headers:
        if name in ("content-length", "transfer-encoding") or "_" in name:
            continue
        key = _KEYS.get(name) or "HTTP_" + name.upper().replace("-", "_")
        environ[key] = f"{environ[key]},{value}" if name in seen else value
        seen.add(name)
    return environ


def call_application(app: WSGIApplication, environ: dict[str, Any]) -> Response:
    """Call an application and collect its response."""
    status = ""
    headers: list[tuple[str, str]] = []
    written: list[bytes] = []

    def start_response(new_status: str, new_headers: list[tuple[str, str]], _: Any = None) -> Any:
        nonlocal status, headers
        status, headers = new_status, new_headers
        return written.append

    chunks = app(environ, start_response)
    try:
        written.extend(chunks)
    finally:
        getattr(chunks, "close", lambda: None)()
    return Response(int(status[:3]), _join_repeated(headers), b"".join(written))


def _join_repeated(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Join the values of a repeated header by commas (RFC 9110, 5.3). Only Set-Cookie does not allow it."""
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined
