"""The WSGI application of the service. HEAD and CORS are handled here, outside the pipeline.

Exactly ``/_emulator`` and paths that begin with ``/_emulator/`` are the control API's, which ``flask_app`` serves. All
others are the service's and never meet Flask. A server that nobody asks for the control API need not import it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from ..messages import REASONS, Exchange, Request, Response, drive
from ..pipeline import Pipeline
from ..settings import Settings
from .targets import CONTROL_PREFIX, EXCHANGE_KEY, is_control_path, is_input_terminated, origin_form, raw_target

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

EXPOSED = "x-amzn-RequestId, x-amzn-ErrorType, x-emulator-fault, x-emulator-generation, Retry-After, x-amz-retry-after"
METHODS = "DELETE, GET, HEAD, OPTIONS, POST, PUT"


def make_service(control: WSGIApplication, pipeline: Pipeline, settings: Settings) -> WSGIApplication:
    """Make the application that answers the service's requests, and hands those of the control API on."""
    service = _Service(control, pipeline, settings.max_body)
    return _Cors(service, settings.cors_origins) if settings.cors_origins else service


class _Service:
    """Answers the requests of the service, and hands those of the control API on."""

    def __init__(self, control: WSGIApplication, pipeline: Pipeline, max_body: int) -> None:
        self._control = control
        self._pipeline = pipeline
        self._max_body = max_body

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if is_control_path("/" + environ.get("PATH_INFO", "").lstrip("/")):
            return self._control(environ, start_response)
        if _is_browser_at_root(environ):
            start_response("302 Found", [("Location", f"{CONTROL_PREFIX[1:]}/"), ("Content-Length", "0")])
            return [b""]
        request = read_request(environ, self._max_body)
        exchange: Exchange = environ.get(EXCHANGE_KEY) or Exchange()
        response = drive(self._pipeline.handle(request, exchange), exchange)
        return send_response(response, start_response, is_head=request.method == "HEAD")


def _is_browser_at_root(environ: WSGIEnvironment) -> bool:
    """Whether a person has entered the emulator's address: no SDK asks for HTML."""
    is_root = environ.get("PATH_INFO") == "/" and environ["REQUEST_METHOD"] == "GET"
    return is_root and "text/html" in environ.get("HTTP_ACCEPT", "")


def read_request(environ: WSGIEnvironment, max_body: int) -> Request:
    """Return the request of a WSGI environment, with at most ``max_body + 1`` bytes of its body."""
    body, size = _read_body(environ, max_body)
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name, key in (("content-type", "CONTENT_TYPE"), ("content-length", "CONTENT_LENGTH")):
        if environ.get(key):
            headers[name] = environ[key]
    return Request(environ["REQUEST_METHOD"], _raw_path(environ), environ.get("QUERY_STRING", ""), headers, body, size)


def _read_body(environ: WSGIEnvironment, max_body: int) -> tuple[bytes, int]:
    length = environ.get("CONTENT_LENGTH") or ""
    if re.fullmatch("[0-9]{1,18}", length, re.ASCII):
        size = int(length)
        return (environ["wsgi.input"].read(size) if 0 < size <= max_body else b""), size
    if not is_input_terminated(environ):
        return b"", 0
    body = environ["wsgi.input"].read(max_body + 1)
    return body, len(body)


def _raw_path(environ: WSGIEnvironment) -> str:
    """Return the path as the client sent it, without the prefix under which the application is mounted.

    WSGI's own PATH_INFO is decoded, and only used if a server does not hand over the raw path.
    """
    raw = raw_target(environ)
    if not raw:
        return "/" + quote(environ.get("PATH_INFO", "").encode("latin-1")).lstrip("/")
    path = origin_form(raw).partition("?")[0]
    prefix = environ.get("SCRIPT_NAME", "")
    return "/" + (_without_prefix(path, prefix.encode("latin-1")) if prefix else path).lstrip("/")


def _without_prefix(path: str, prefix: bytes) -> str:
    """Take off as many raw characters as decode to a prefix."""
    for end in range(len(prefix), len(path) + 1):
        decoded = unquote_to_bytes(path[:end])
        if decoded == prefix:
            return path[end:]
        if len(decoded) > len(prefix) + 2:
            break
    return path


def send_response(response: Response, start_response: StartResponse, *, is_head: bool) -> Iterable[bytes]:
    """Send a response through WSGI."""
    headers = list(response.headers.items())
    if response.status != 204:
        headers.append(("Content-Length", str(len(response.body))))
    start_response(f"{response.status} {REASONS.get(response.status, 'Unknown')}", headers)
    return [b"" if is_head else response.body]


class _Cors:
    """Let pages from some origins read the answers in a browser, also the answers of the control API."""

    def __init__(self, app: WSGIApplication, origins: Collection[str]) -> None:
        self._app = app
        self._origins = {origin.lower() for origin in origins}  # browsers send origins in lower case

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN")
        is_preflight = environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        added = self._headers(origin, environ, is_preflight=is_preflight)
        if is_preflight:
            start_response("204 No Content", added)
            return [b""]

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
            return start_response(status, headers + added, *rest)

        return self._app(environ, start)

    def _headers(self, origin: str | None, environ: WSGIEnvironment, *, is_preflight: bool) -> list[tuple[str, str]]:
        if origin is None or not ({"*", origin} & self._origins):
            return []
        allowed = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
        if not is_preflight:
            return [*allowed, ("Access-Control-Expose-Headers", EXPOSED)]
        asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS")
        headers = [("Access-Control-Allow-Headers", asked)] if asked else []
        return [*allowed, ("Access-Control-Allow-Methods", METHODS), *headers]
