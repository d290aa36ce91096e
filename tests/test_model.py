"""What we declare, held against the model that the installed botocore ships: fails when AWS changes an operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import msgspec
import pytest
from botocore.model import OperationModel, Shape
from msgspec import inspect

from healthimaging_emulator.aws.rest_json import Operation
from healthimaging_emulator.healthimaging.operations import OPERATIONS
from healthimaging_emulator.healthimaging.shapes import YEAR_10000, members

OURS = {
    ("versionId", "max"): 18,  # tokens hold the number
    ("timestamp", "min"): 0,  # the years that Python knows
    ("timestamp", "max"): YEAR_10000,
}
"""Constraints that the model does not have, on purpose."""

Fact = tuple[str, Any]


def model() -> Any:
    return botocore.session.get_session().get_service_model("medical-imaging")


def declared_by_us(operation: Operation) -> Iterator[Fact]:
    yield "method", operation.method
    yield "path", operation.path
    yield "status", operation.status
    yield "host prefix", operation.host_prefix
    yield from ((f"error {error.__name__}", error.status) for error in operation.errors)
    for side, shape in (("input", operation.input), ("output", operation.output)):
        yield from our_members(side, shape)
    for member in members(operation.input):
        yield (
            f"input.{member.encode_name} location",
            "uri" if f"{{{member.encode_name}}}" in operation.path else "querystring",
        )


def our_members(path: str, shape: type[msgspec.Struct]) -> Iterator[Fact]:
    for member in members(shape):
        yield f"{path}.{member.encode_name} required", member.required
        yield from our_type(f"{path}.{member.encode_name}", member.type)


def our_type(path: str, type_info: inspect.Type, pattern: str | None = None) -> Iterator[Fact]:
    match type_info:
        case inspect.UnionType(types=types):
            (inner,) = (each for each in types if not isinstance(each, inspect.NoneType))
            yield from our_type(path, inner)
        case inspect.Metadata(type=inner, extra=extra):
            yield from our_type(path, inner, (extra or {}).get("pattern"))
        case inspect.StrType(min_length=least, max_length=most):
            yield from ((f"{path} type", "string"), (f"{path} pattern", pattern))
            yield from ((f"{path} min", least), (f"{path} max", most))
        case inspect.IntType(ge=least, le=most):
            yield from ((f"{path} type", "integer"), (f"{path} min", least), (f"{path} max", most))
        case inspect.FloatType(ge=least, lt=most):
            yield from ((f"{path} type", "timestamp"), (f"{path} min", least), (f"{path} max", most))
        case inspect.BoolType():
            yield f"{path} type", "boolean"
        case inspect.LiteralType(values=values):
            yield from ((f"{path} type", "string"), (f"{path} enum", set(values)))
        case inspect.VarTupleType(item_type=item):
            yield f"{path} type", "list"
            yield from our_type(f"{path}[]", item)
        case inspect.StructType(cls=cls):
            yield f"{path} type", "structure"
            yield from our_members(path, cls)
        case _:
            raise AssertionError(f"{path}: compare {type_info} too")


def declared_by_aws(operation: OperationModel) -> Iterator[Fact]:
    yield "method", operation.http["method"]
    yield "path", operation.http["requestUri"]
    yield "status", operation.http["responseCode"]
    yield "host prefix", (operation.endpoint or {}).get("hostPrefix", "")
    yield from ((f"error {error.name}", error.metadata["error"]["httpStatusCode"]) for error in operation.error_shapes)
    for side, shape in (("input", operation.input_shape), ("output", operation.output_shape)):
        yield from aws_members(side, shape)
    for name, member in operation.input_shape.members.items():
        yield f"input.{name} location", member.serialization["location"]


def aws_members(path: str, shape: Any) -> Iterator[Fact]:
    for name, member in shape.members.items():
        yield f"{path}.{name} required", name in shape.required_members
        yield from aws_type(f"{path}.{name}", member)


def aws_type(path: str, shape: Any) -> Iterator[Fact]:
    yield f"{path} type", shape.type_name
    if shape.type_name == "structure":
        yield from aws_members(path, shape)
    elif shape.type_name == "list":
        yield from aws_type(f"{path}[]", shape.member)
    elif getattr(shape, "enum", None):
        yield f"{path} enum", set(shape.enum)
    elif shape.type_name != "boolean":
        yield from ((f"{path} {limit}", constraint(path, shape, limit)) for limit in ("min", "max"))
        if shape.type_name == "string":
            yield f"{path} pattern", shape.metadata.get("pattern")


def constraint(path: str, shape: Shape, limit: str) -> Any:
    name = path.rpartition(".")[2] if shape.type_name == "string" else shape.type_name
    return shape.metadata.get(limit, OURS.get((name, limit)))


@pytest.mark.newest_boto3
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_operation_is_what_aws_declares(operation: Operation) -> None:
    ours = dict(declared_by_us(operation))
    theirs = dict(declared_by_aws(model().operation_model(operation.name)))
    differences = [
        f"{fact}: we say {ours.get(fact, 'nothing')}, AWS says {theirs.get(fact, 'nothing')}"
        for fact in sorted(ours | theirs)
        if ours.get(fact, "nothing") != theirs.get(fact, "nothing")
    ]
    assert not differences, "\n".join(differences)


def test_an_error_has_one_required_member_in_lower_case() -> None:
    for operation in OPERATIONS:
        for shape in model().operation_model(operation.name).error_shapes:
            assert (list(shape.members), shape.required_members) == (["message"], ["message"])
