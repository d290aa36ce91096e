"""restJson1: a request to an operation's input, its output to a response, any error to a response.

https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote

import msgspec
from flask import Request, Response
from msgspec import inspect

from healthimaging_emulator.aws.errors import (
    NotAcceptableException,
    RequestEntityTooLargeException,
    SerializationException,
    ServiceError,
    UnknownOperationException,
)
from healthimaging_emulator.healthimaging.shapes import members


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What the model says of an operation, and the function that does it.

    Members of ``input`` that stand in ``path`` travel there, all others in the query. SDKs put ``host_prefix`` in front
    of the host; the emulator serves any host.
    """

    name: str
    method: str
    path: str
    host_prefix: str = ""
    input: type[msgspec.Struct]
    output: type[msgspec.Struct]
    errors: tuple[type[ServiceError], ...]
    handler: Callable[..., msgspec.Struct]
    status: int = 200

    @property
    def is_paginated(self) -> bool:
        """Whether the operation answers page by page."""
        return "next_token" in self.input.__struct_fields__

    @cached_property
    def labels(self) -> re.Pattern[str]:
        """Matches a raw path, still percent-encoded, so that ``%2F`` stays inside its label."""
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]*)", self.path) + "/?")


def request_line(environ: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return method, path and query as the client sent them, also from an absolute-form request target.

    WSGI's own PATH_INFO is decoded, and does only where a server does not say what it received.
    """
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw is None:
        raw = quote(environ.get("PATH_INFO", "").encode("latin-1"))
    path = origin_form(raw).partition("?")[0]
    return environ["REQUEST_METHOD"], "/" + path.lstrip("/"), environ.get("QUERY_STRING", "")


def origin_form(target: str) -> str:
    """Return a request target without the scheme and the host that its absolute form has, as a proxy is asked."""
    return re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?]*", "", target)


def route(operations: Iterable[Operation], method: str, path: str) -> tuple[Operation, dict[str, str]]:
    """Find the operation and its labels, decoded. Raises ``UnknownOperationException``."""
    for operation in operations:
        if method == operation.method and (found := operation.labels.fullmatch(path)):
            return operation, {label: unquote(value) for label, value in found.groupdict().items()}
    raise UnknownOperationException(f"Unable to determine the operation of {method} {path}.")


def check_limits(request: Request, max_body: int) -> None:
    """Raise ``RequestEntityTooLargeException`` or ``NotAcceptableException``; a body's content does not matter."""
    if (request.content_length or 0) > max_body:
        raise RequestEntityTooLargeException(f"Request body is larger than {max_body} bytes.")
    if not _accepts_json(request.headers.get("Accept", "")):
        raise NotAcceptableException


def _accepts_json(accept: str) -> bool:
    """Whether no header is there, or one of its ranges takes JSON; Werkzeug drops what Java's old client sends."""
    for part in accept.split(","):
        media_range, *parameters = (each.strip().lower() for each in part.split(";"))
        is_refused = any(re.fullmatch(r"q\s*=\s*0?(\.0*)?", parameter) for parameter in parameters)
        if media_range in ("", "*", "*/*", "application/*", "application/json") and not is_refused:
            return True
    return False


class Credential(NamedTuple):
    """Who asks, and where."""

    account: str
    region: str


def credential(authorization: str) -> Credential:
    """Read a SigV4 header. An access key id of 12 digits is the account; any other, or none, is that of zeros."""
    account = re.search(r"Credential=([0-9]{12})/", authorization)
    region = re.search(r"Credential=[^/ ]+/[0-9]{8}/([a-z0-9-]{1,32})/", authorization)
    return Credential(account[1] if account else "000000000000", region[1] if region else "us-east-1")


def parse(operation: Operation, labels: dict[str, str], query: str) -> Any:
    """Return the operation's input, its constraints not yet checked. Raises ``SerializationException``.

    The first of a parameter given twice wins, an unknown one is ignored (Smithy's protocol tests).
    """
    given: dict[str, str] = {}
    for name, value in [*labels.items(), *parse_qsl(query, keep_blank_values=True)]:
        given.setdefault(name, value)
    present = (member for member in members(operation.input) if member.encode_name in given)
    return operation.input(**{member.name: _scalar(member, given[member.encode_name]) for member in present})


def _scalar(member: inspect.Field, text: str) -> str | int:
    types = member.type.types if isinstance(member.type, inspect.UnionType) else (member.type,)
    if not any(isinstance(each, inspect.IntType) for each in types):
        return text
    # int() alone would take " 5", "5_0" and other scripts' digits, and raises on more than 4,300 of them.
    found = re.fullmatch(r"(-?)0*([0-9]{1,10})", text, re.ASCII)
    if found and -(2**31) <= (number := int(found[1] + found[2])) < 2**31:
        return number
    raise SerializationException(f"Value '{text}' at '{member.encode_name}' can not be converted to an Integer")


def serialize(operation: Operation, output: msgspec.Struct) -> Response:
    """Return the response of an operation that succeeded."""
    return _response(operation.status, msgspec.json.encode(output), {})


def serialize_error(error: ServiceError) -> Response:
    """Return an error's response; the only place where one is made."""
    headers = {"x-amzn-ErrorType": error.code} | error.headers
    return _response(error.status, msgspec.json.encode({"message": error.message}), headers)


def _response(status: int, body: bytes, headers: dict[str, str]) -> Response:
    headers |= {"x-amzn-RequestId": str(uuid.uuid4())}
    return Response(body, status, headers, content_type="application/json")
