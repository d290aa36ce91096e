"""What every answer of the service must be, whatever was asked."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Set

import msgspec

from healthimaging_emulator.healthimaging.operations.list_image_set_versions import ListImageSetVersionsOutput

Answers = Set[tuple[int, str | None]]

ANSWERS: Answers = {
    (200, None),
    (400, "SerializationException"),
    (400, "ValidationException"),
    (404, "ResourceNotFoundException"),
    (404, "UnknownOperationException"),
    (406, "NotAcceptableException"),
    (413, "RequestEntityTooLargeException"),
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
}
"""What a request gets that is not signed: what stands before the signature, or that it is missing."""


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
    assert given["content-type"] == "application/json"
    assert uuid.UUID(given["x-amzn-requestid"])
    if is_head:
        assert body == b""
    elif code is None:
        page = msgspec.json.decode(body, type=ListImageSetVersionsOutput)
        assert msgspec.json.encode(page) == body  # no null, and nothing that the model does not know
    else:
        assert list(json.loads(body)) == ["message"]
        assert isinstance(json.loads(body)["message"], str)
