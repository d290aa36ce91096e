"""The contract that every answer of the service keeps, whatever was asked."""

from __future__ import annotations

import gzip
import json
import re
import uuid
from collections.abc import Mapping, Set
from typing import Any

import msgspec

from healthimaging_emulator.aws.members import List, Map, Member, Shape, Structure, Timestamp
from healthimaging_emulator.aws.rest_json import parse_value
from healthimaging_emulator.aws.validation import find_violations
from healthimaging_emulator.healthimaging.operations import OPERATIONS

Answers = Set[tuple[int, str | None]]

ANSWERS: Answers = {
    (200, None),
    (204, None),
    (400, "SerializationException"),
    (400, "ValidationException"),
    (404, "ResourceNotFoundException"),
    (404, "UnknownOperationException"),
    (406, "NotAcceptableException"),
    (409, "ConflictException"),
    (413, "RequestEntityTooLargeException"),
    (415, "UnsupportedMediaTypeException"),
}
BAD_HTTP: Answers = {(status, "BadRequestException") for status in (400, 414, 431, 505)}
UNSIGNED: Answers = {
    (403, code)
    for code in (
        "MissingAuthenticationTokenException",
        "IncompleteSignatureException",
        "UnrecognizedClientException",
        "InvalidSignatureException",
    )
} | {
    (404, "UnknownOperationException"),
    (406, "NotAcceptableException"),
    (413, "RequestEntityTooLargeException"),
    (415, "UnsupportedMediaTypeException"),
}
"""The answers to a request that is not signed: checks that come before the signature, and refusals of it."""

OUTPUTS = {
    frozenset(member.name for member in operation.output_shape.members): operation.output_shape
    for operation in OPERATIONS
    if operation.output_payload is None and operation.status == 200
}
"""The outputs in JSON, by the names of their members: unset members are null, so all of them are there."""


NAMES = ("datastoreName", "jobName")
"""Members that the model requires, and that are null where the user gave none: so AWS writes them."""


def check(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    is_head: bool = False,
    answers: Answers = ANSWERS,
) -> None:
    """Fail for an answer that the contract does not know."""
    given = {name.lower(): value for name, value in headers.items()}
    code = given.get("x-amzn-errortype")
    assert (status, code) in answers
    assert uuid.UUID(given["x-amzn-requestid"])
    if status == 204:
        assert (body, "content-type" in given) == (b"", False)
        return
    assert given["content-type"] == "application/json"
    if is_head:
        assert body == b""
    elif code is not None:
        assert "content-encoding" not in given
        check_error(body)
    elif given.get("content-encoding") == "gzip":  # metadata
        assert isinstance(json.loads(gzip.decompress(body)), dict)
    else:
        check_output(body)


def check_error(body: bytes) -> None:
    """Fail for anything but a message, in the shortest form."""
    document = json.loads(body)
    assert list(document) == ["message"]
    assert isinstance(document["message"], str)
    assert msgspec.json.encode(document) == body


def check_output(body: bytes) -> None:
    """Fail for an output that is not one of the model's, or is not written as the service writes it."""
    document = json.loads(body)
    shape = OUTPUTS[frozenset(document)]
    check_value(shape, document)
    violations = find_violations(parse_value(shape, document, "output"))
    assert [each for each in violations if not re.match(rf"Value null at '[\w.]*({'|'.join(NAMES)})'", each)] == []
    assert msgspec.json.encode(document, order="sorted") == body


def check_value(shape: Shape, value: Any) -> None:
    """Fail for a member that is missing, unknown, or null where the service writes none."""
    match shape:
        case Structure(members=members):
            assert {member.name for member in members} == value.keys()
            for member in members:
                check_member(member, value[member.name])
        case List(item=item):
            for each in value:
                check_value(item, each)
        case Map(value=item):
            for each in value.values():
                check_value(item, each)
        case Timestamp():
            assert round(value, 3) == value


def check_member(member: Member, value: Any) -> None:
    """Fail for a null that is not an unset scalar or structure."""
    if value is None:
        assert not member.is_required or member.name in NAMES
        assert not isinstance(member.shape, (List, Map))
    else:
        check_value(member.shape, value)
