"""What AWS's model says of an answer, checked by botocore's parser and by the model's shapes."""

from __future__ import annotations

import gzip
import io
import json
import re
from typing import Any

from botocore.parsers import create_parser

from healthimaging_emulator.messages import Response
from tests.aws_model import MODEL, matches

COMMON = {
    "SerializationException": 400,
    "UnsupportedMediaTypeException": 415,
    "RequestEntityTooLargeException": 413,
    "NotAcceptableException": 406,
    "UnknownOperationException": 404,
}
"""Errors of the front end, with their statuses. No operation models them."""

STATUSES = {"TagResource": 204, "UntagResource": 204}
"""Statuses that AWS sends although the model says 200."""

NULL = ("datastoreName", "jobName")
"""Members that the model requires, and that are null where the user gave none: so AWS writes them."""

PARSER = create_parser("rest-json")


def check_answer(operation: str, answer: Response) -> tuple[str | None, dict[str, Any]]:
    """Fail for an answer that the operation cannot give. Return the code of an error, and what botocore makes of it."""
    model = MODEL.operation_model(operation)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    is_stream = answer.status < 300 and model.has_streaming_output
    body = io.BytesIO(answer.body) if is_stream else answer.body
    raw = {"status_code": answer.status, "headers": headers, "body": body}
    parsed = PARSER.parse(raw, model.output_shape)
    assert parsed["ResponseMetadata"]["HTTPStatusCode"] == answer.status
    assert parsed["ResponseMetadata"]["RequestId"]
    if answer.status >= 400:
        modelled = {shape.name: shape.metadata["error"]["httpStatusCode"] for shape in model.error_shapes}
        code = parsed["Error"]["Code"]
        assert {**COMMON, **modelled}[code] == answer.status
        assert json.loads(answer.body) == {"message": parsed["Error"]["Message"]}
        assert parsed["Error"]["Message"]
        return code, parsed
    assert answer.status == STATUSES.get(operation, model.http["responseCode"])
    payload = model.output_shape.serialization.get("payload")
    if payload is None:
        document = json.loads(answer.body) if answer.body else {}
        in_body = {n: each for n, each in model.output_shape.members.items() if "location" not in each.serialization}
        check_members(model.output_shape, in_body, document, operation)
    elif headers.get("content-encoding") == "gzip":
        assert isinstance(json.loads(gzip.decompress(answer.body)), dict)
    return None, parsed


def check_members(shape: Any, members: dict[str, Any], document: Any, path: str) -> None:
    """Fail for members that the shape does not have, and for values that it does not allow."""
    assert isinstance(document, dict), path
    assert document.keys() <= members.keys(), path
    for name, member in members.items():
        value = document.get(name)
        if value is None:
            assert name not in shape.required_members or name in NULL, f"{path}.{name} is missing"
            assert member.type_name not in ("list", "map") or name not in document, f"{path}.{name} is null"
        else:
            check_value(member, value, f"{path}.{name}")


def check_value(shape: Any, value: Any, path: str) -> None:
    """Fail for a value that is not one of the shape's."""
    match shape.type_name:
        case "structure":
            check_members(shape, shape.members, value, path)
        case "list":
            assert isinstance(value, list), path
            for each in value:
                check_value(shape.member, each, path)
        case "map":
            assert isinstance(value, dict), path
            for key, each in value.items():
                check_value(shape.key, key, path)
                check_value(shape.value, each, path)
        case "string":
            assert isinstance(value, str), path
            assert not shape.enum or value in shape.enum, path
            assert "pattern" not in shape.metadata or shape.name == "NextToken" or matches(shape, value), path
        case "timestamp":
            assert re.fullmatch(r"\d+(\.\d{1,3})?", json.dumps(value)), path
        case "boolean":
            assert isinstance(value, bool), path
        case "integer":
            assert type(value) is int, path
    check_size(shape, value, path)


def check_size(shape: Any, value: Any, path: str) -> None:
    """Fail for a value that is longer, shorter, greater or less than the shape allows."""
    size = value if shape.type_name == "integer" else len(value) if isinstance(value, (str, list, dict)) else None
    if size is not None:
        assert shape.metadata.get("min", size) <= size <= shape.metadata.get("max", size), path
