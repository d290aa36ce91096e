"""A request as a WSGI environment, and what an application answers to it."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_to_bytes

from healthimaging_emulator.aws.rest_json import origin_form
from healthimaging_emulator.messages import Link

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Answer(NamedTuple):
    """An application's response, whole."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def split(target: str) -> tuple[str, str]:
    """Return a request target's path, decoded as WSGI wants it, and its query; also of one in absolute form."""
    path, _, query = origin_form(target).partition("?")
    return "/" + unquote_to_bytes(path).decode("latin-1").lstrip("/"), query


def environ(
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    *,
    host: str,
    port: int,
    link: Link,
    scheme: str = "http",
) -> dict[str, Any]:
    """Build the environment of a request (PEP 3333), its target kept as it came in ``RAW_URI``."""
    path, query = split(target)
    made: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "RAW_URI": target,
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "emulator.link": link,
    }
    for name, value in headers:
        if "_" in name:  # it would pass for another header
            continue
        key = "HTTP_" + name.upper().replace("-", "_")
        made[key] = f"{made[key]},{value}" if key in made else value
    made["CONTENT_LENGTH"] = made.pop("HTTP_CONTENT_LENGTH", str(len(body)))
    made["CONTENT_TYPE"] = made.pop("HTTP_CONTENT_TYPE", "")
    return made


def call(app: WSGIApplication, environment: dict[str, Any]) -> Answer:
    """Call an application and collect its answer."""
    started: list[tuple[int, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
        started.append((int(status.split(" ", 1)[0]), headers))

    chunks = app(environment, start_response)
    try:
        body = b"".join(chunks)
    finally:
        getattr(chunks, "close", lambda: None)()
    return Answer(*started[-1], body)
