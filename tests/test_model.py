"""The declared operations against the model of the installed botocore: fails when AWS changes an operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.model import OperationModel

from healthimaging_emulator.aws.members import Blob, Boolean, Integer, List, Map, Shape, Structure, Text, Timestamp
from healthimaging_emulator.aws.operation import Operation
from healthimaging_emulator.healthimaging.operations import OPERATIONS

OURS = {
    ("ImageSetExternalVersionId", "max"): 18,  # tokens hold the number
    ("TagValue", "min"): 0,  # the model says it of the shape's value only in words
}
"""Constraints that the model does not have, on purpose."""

STATUSES = {"TagResource": 204, "UntagResource": 204}
"""Statuses that AWS sends although the model says 200."""

TYPES: dict[type, str] = {
    Text: "string",
    Integer: "integer",
    Boolean: "boolean",
    Timestamp: "timestamp",
    Blob: "blob",
    List: "list",
    Map: "map",
    Structure: "structure",
}
LOCATIONS = {"label": "uri", "query": "querystring", "header": "header"}

Fact = tuple[str, Any]


def model() -> Any:
    return botocore.session.get_session().get_service_model("medical-imaging")


def declared_by_us(operation: Operation[Any, Any]) -> Iterator[Fact]:
    yield "method", operation.method
    yield "path", operation.path
    yield "status", operation.status
    yield "host prefix", operation.host_prefix
    yield from ((f"error {error.__name__}", error.status) for error in operation.errors)
    for side, structure in (("input", operation.input_shape), ("output", operation.output_shape)):
        yield from our_members(side, structure)
        for member in structure.members:
            if member.location == "payload":
                yield f"{side} payload", member.name
            elif member.location != "body":
                location = LOCATIONS[member.location], member.location_name
                yield f"{side}.{member.name} location", location


def our_members(path: str, structure: Structure, *, is_sensitive: bool = False) -> Iterator[Fact]:
    yield f"{path} members", [member.name for member in structure.members]
    yield f"{path} union", structure.is_union
    for member in structure.members:
        inside = f"{path}.{member.name}"
        yield f"{inside} required", member.is_required
        yield f"{inside} token", member.is_idempotency_token
        sensitive = is_sensitive or member.is_sensitive
        yield f"{inside} sensitive", sensitive
        yield from our_shape(inside, member.shape, is_sensitive=sensitive)


def our_shape(path: str, shape: Shape, *, is_sensitive: bool) -> Iterator[Fact]:
    yield f"{path} type", TYPES[type(shape)]
    match shape:
        case Text():
            yield f"{path} enum", list(shape.values)
            yield f"{path} pattern", shape.pattern
            yield f"{path} range", (shape.min_length, shape.max_length)
        case Integer(least, most):
            yield f"{path} range", (least, most)
        case Blob(shortest, longest):
            yield f"{path} range", (shortest, longest)
        case List(item, shortest, longest):
            yield f"{path} range", (shortest, longest)
            yield from our_shape(f"{path}[]", item, is_sensitive=is_sensitive)
        case Map(key, value):
            yield from our_shape(f"{path}.key", key, is_sensitive=is_sensitive)
            yield from our_shape(f"{path}.value", value, is_sensitive=is_sensitive)
        case Structure():
            yield from our_members(path, shape, is_sensitive=is_sensitive)


def declared_by_aws(operation: OperationModel) -> Iterator[Fact]:
    yield "method", operation.http["method"]
    yield "path", operation.http["requestUri"]
    yield "status", STATUSES.get(operation.name, operation.http["responseCode"])
    yield "host prefix", (operation.endpoint or {}).get("hostPrefix", "")
    yield from ((f"error {error.name}", error.metadata["error"]["httpStatusCode"]) for error in operation.error_shapes)
    for side, shape in (("input", operation.input_shape), ("output", operation.output_shape)):
        yield from aws_members(side, shape)
        if payload := shape.serialization.get("payload"):
            yield f"{side} payload", payload
        for name, member in shape.members.items():
            if location := member.serialization.get("location"):
                yield f"{side}.{name} location", (location, member.serialization.get("name", name))


def aws_members(path: str, shape: Any, *, is_sensitive: bool = False) -> Iterator[Fact]:
    yield f"{path} members", list(shape.members)
    yield f"{path} union", bool(getattr(shape, "is_tagged_union", False))
    for name, member in shape.members.items():
        inside = f"{path}.{name}"
        yield f"{inside} required", name in shape.required_members
        yield f"{inside} token", bool(member.metadata.get("idempotencyToken"))
        sensitive = is_sensitive or bool(member.metadata.get("sensitive"))
        yield f"{inside} sensitive", sensitive
        yield from aws_shape(inside, member, is_sensitive=sensitive)


def aws_shape(path: str, shape: Any, *, is_sensitive: bool) -> Iterator[Fact]:
    yield f"{path} type", shape.type_name
    limits = tuple(shape.metadata.get(limit, OURS.get((shape.name, limit))) for limit in ("min", "max"))
    match shape.type_name:
        case "string":
            yield f"{path} enum", list(shape.enum)
            yield f"{path} pattern", shape.metadata.get("pattern")
            yield f"{path} range", limits
        case "integer" | "blob":
            yield f"{path} range", limits
        case "list":
            yield f"{path} range", limits
            yield from aws_shape(f"{path}[]", shape.member, is_sensitive=is_sensitive)
        case "map":
            yield from aws_shape(f"{path}.key", shape.key, is_sensitive=is_sensitive)
            yield from aws_shape(f"{path}.value", shape.value, is_sensitive=is_sensitive)
        case "structure":
            yield from aws_members(path, shape, is_sensitive=is_sensitive)


@pytest.mark.newest_boto3
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_operation_is_declared_as_aws_declares_it(operation: Operation[Any, Any]) -> None:
    ours = dict(declared_by_us(operation))
    theirs = dict(declared_by_aws(model().operation_model(operation.name)))
    differences = [
        f"{fact}: we say {ours.get(fact, 'nothing')}, AWS says {theirs.get(fact, 'nothing')}"
        for fact in sorted(ours | theirs)
        if ours.get(fact, "nothing") != theirs.get(fact, "nothing")
    ]
    assert not differences, "\n".join(differences)


@pytest.mark.newest_boto3
def test_every_operation_of_the_service_is_declared() -> None:
    assert sorted(operation.name for operation in OPERATIONS) == sorted(model().operation_names)


def test_an_error_has_one_required_member_in_lower_case() -> None:
    for name in model().operation_names:
        for shape in model().operation_model(name).error_shapes:
            assert (list(shape.members), shape.required_members) == (["message"], ["message"])
