"""restJson1: a request to an operation's input, its output or an error to a response.

https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from ..identifiers import make_uuid
from ..messages import Request, Response
from .errors import (
    NotAcceptableException,
    RequestEntityTooLargeException,
    SerializationException,
    ServiceError,
    UnsupportedMediaTypeException,
)
from .members import Blob, Boolean, Integer, List, Map, Member, Shape, Structure, Text, Timestamp, shape_of
from .operation import Operation

_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)  # int() alone would take " 5", "5_0" and the digits of any script


# Before parsing.


def check_request(operation: Operation[Any, Any], request: Request, max_body: int) -> None:
    """Check size and content types, in this order.

    Raises ``RequestEntityTooLargeException``, ``NotAcceptableException`` or ``UnsupportedMediaTypeException``.
    """
    if request.size > max_body:
        raise RequestEntityTooLargeException(f"Request body is larger than {max_body} bytes.")
    if operation.output_payload is None and not _accepts_json(request.headers.get("accept", "")):
        raise NotAcceptableException
    if operation.has_body and request.body:
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type not in ("", "application/json"):
            raise UnsupportedMediaTypeException


def _accepts_json(accept: str) -> bool:
    """Whether there is no header, or it allows JSON. Werkzeug's parser would drop the ranges of Java's old client."""
    if not accept:
        return True
    for part in accept.split(","):
        media_range, *parameters = (each.strip().lower() for each in part.split(";"))
        is_refused = any(re.fullmatch(r"q\s*=\s*0?(\.0*)?", parameter) for parameter in parameters)
        if media_range in ("", "*", "*/*", "application/*", "application/json") and not is_refused:
            return True
    return False


# A request to an input.


def parse_input(operation: Operation[Any, Any], labels: Mapping[str, str], request: Request) -> Any:
    """Return the operation's input, its constraints not yet checked. Raises ``SerializationException``.

    A missing member is None, also if it is required: validation reports it. If a query parameter is given twice, the
    first one wins; an unknown one is ignored (Smithy's protocol tests).
    """
    query = parse_qsl(request.query, keep_blank_values=True) if request.query else []
    content = _decode_body(request.body) if operation.has_body and request.body else None
    if operation.payload is None and content is not None and not isinstance(content, dict):
        raise _refusal(None, "the request body", "a structure")
    return operation.input(
        **{
            member.attribute: _parse_member(member, labels, query, content, request.headers)
            for member in operation.input_shape.members
        }
    )


def _decode_body(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SerializationException("The request body is not valid JSON.") from None


def _parse_member(
    member: Member, labels: Mapping[str, str], query: list[tuple[str, str]], content: Any, headers: Mapping[str, str]
) -> Any:
    match member.location:
        case "label":
            return labels[member.name]
        case "query":
            return _parse_query(member, [value for name, value in query if name == member.location_name])
        case "header":
            return headers.get(member.location_name.lower())
        case "payload":
            return parse_value(member.shape, content, member.name)
    return parse_value(member.shape, (content or {}).get(member.name), member.name)


def _parse_query(member: Member, values: list[str]) -> Any:
    if not values:
        return None
    match member.shape:
        case List():
            return tuple(values)
        case Integer():
            return _parse_integer(values[0], member.name)
        case Boolean():
            if values[0] not in ("true", "false"):
                raise _refusal(values[0], member.name, "a Boolean")
            return values[0] == "true"
    return values[0]


def _parse_integer(text: str, path: str) -> int:
    if _INTEGER.fullmatch(text) and len(digits := text.lstrip("-").lstrip("0")) <= 10:
        number = int(digits or "0") * (-1 if text.startswith("-") else 1)
        if -(2**31) <= number < 2**31:
            return number
    raise _refusal(text, path, "an Integer")


def parse_value(shape: Shape, value: Any, path: str) -> Any:
    """Turn decoded JSON into the value of a shape; null counts as absent. Raises ``SerializationException``."""
    if value is None:
        return None
    match shape:
        case Text() if isinstance(value, str):
            return value
        case Integer() if isinstance(value, int) and not isinstance(value, bool):
            return _parse_integer(str(value), path)
        case Boolean() if isinstance(value, bool):
            return value
        case Timestamp() if isinstance(value, (int, float)) and not isinstance(value, bool):
            return _parse_timestamp(value, path)
        case Blob() if isinstance(value, str):
            return _parse_blob(value, path)
        case List(item) if isinstance(value, list):
            return tuple(parse_value(item, each, f"{path}.{index}.member") for index, each in enumerate(value, start=1))
        case Map(value=item) if isinstance(value, dict):
            return {key: parse_value(item, each, f"{path}.{key}") for key, each in value.items()}
        case Structure(cls, members) if isinstance(value, dict):
            return cls(**{m.attribute: parse_value(m.shape, value.get(m.name), f"{path}.{m.name}") for m in members})
    raise _refusal(None, path, _NAMES[type(shape)])  # without the value, which may be sensitive


_NAMES: dict[type, str] = {
    Text: "a String",
    Integer: "an Integer",
    Boolean: "a Boolean",
    Timestamp: "a Timestamp",
    Blob: "a Blob",
    List: "a List",
    Map: "a Map",
    Structure: "a structure",
}


def _parse_timestamp(value: float, path: str) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of 309 digits and more
        raise _refusal(None, path, "a Timestamp") from None


def _parse_blob(text: str, path: str) -> bytes:
    if len(text) % 4:  # more padding than there must be, which Python 3.10 would take
        raise _refusal(None, path, "a Blob")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _refusal(None, path, "a Blob") from None


def _refusal(value: str | None, path: str, wanted: str) -> SerializationException:
    shown = "Value" if value is None else f"Value '{value}'"
    return SerializationException(f"{shown} at '{path}' can not be converted to {wanted}")


# An output or an error to a response.


def serialize_output(operation: Operation[Any, Any], output: Struct, *, omit_unset: bool = False) -> Response:
    """Return the response of an operation that succeeded.

    Unset members are ``null``, as in recorded answers of the service, or left out. Keys are sorted.
    """
    payload, headers = operation.output_payload, {}
    for member in operation.output_shape.members:
        if member.location == "header" and (value := getattr(output, member.attribute)) is not None:
            headers[member.location_name] = value
    if operation.status == 204:
        return _respond(204, {}, b"")
    if payload is not None:
        return _respond(operation.status, headers, getattr(output, payload.attribute))
    if omit_unset:
        output = msgspec.convert(output, make_omitting_type(type(output)), from_attributes=True)
    body = msgspec.json.encode(output, order="sorted")
    return _respond(operation.status, {"Content-Type": "application/json"} | headers, body)


@functools.cache
def make_omitting_type(cls: type[Struct]) -> type[Struct]:
    """Return a variant of a structure that leaves unset members out. Filtering JSON would be far slower.

    Call it once for each output before there are threads: two that prepare a type at the same time crash Python.
    """
    fields = [_omitting_field(member) for member in shape_of(cls).members]
    made = msgspec.defstruct(cls.__name__, fields, omit_defaults=True, kw_only=True)
    msgspec.json.Decoder(made)
    return made


def _omitting_field(member: Member) -> tuple[str, Any, Any]:
    plain = _plain_type(member.shape)
    if member.is_required or isinstance(member.shape, (List, Map)):
        return member.attribute, plain, msgspec.field(name=member.name)
    return member.attribute, plain | None, msgspec.field(name=member.name, default=None)


def _plain_type(shape: Shape) -> Any:
    match shape:
        case List(item):
            return tuple[_plain_type(item), ...]  # type: ignore[misc]
        case Structure(cls):
            return make_omitting_type(cls)
    return _PLAIN_TYPES[type(shape)]


_PLAIN_TYPES: dict[type, Any] = {
    Text: str,
    Integer: int,
    Boolean: bool,
    Timestamp: float,
    Blob: bytes,
    Map: dict[str, str],
}


def serialize_error(error: ServiceError) -> Response:
    """Return the response of an error; this is the only place that makes one."""
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": error.code} | error.headers
    return _respond(error.status, headers, msgspec.json.encode({"message": error.message}))


def _respond(status: int, headers: dict[str, str], body: bytes) -> Response:
    return Response(status, headers | {"x-amzn-RequestId": make_uuid()}, body)
