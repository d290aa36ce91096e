"""Every constraint of every member of all operations, generated from botocore's model and sent raw.

Each case breaks one constraint of a valid request, or meets it at its edge. The expected text is computed here from
AWS's model alone, so it shares nothing with the declarations of the emulator.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from healthimaging_emulator.accounts import Accounts
from healthimaging_emulator.messages import Exchange, Request, drive
from healthimaging_emulator.pipeline import Pipeline
from healthimaging_emulator.seeds.loader import load_seed
from healthimaging_emulator.settings import Settings
from tests.aws_model import EXAMPLES, MODEL, is_union, matches, serialize
from tests.demo import DATASTORE

pytestmark = pytest.mark.newest_boto3

FILLERS = {"S3Uri": "s3://bucket-1/", "RoleArn": "arn:aws:iam::000000000000:role/"}
"""Beginnings that a long value needs to match its pattern."""

WITHOUT_FILLER = ("KmsKeyArn",)
"""Patterns that do not reach the greatest length, so that a value of that length breaks them."""


class Case(NamedTuple):
    """A request, and the violations that its answer must name; none if the constraints are met."""

    name: str
    operation: str
    arguments: dict[str, Any]
    violations: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.operation}-{self.name}"


def example(shape: Any) -> Any:
    """Make a valid value: all members of a structure, the first member of a union."""
    match shape.type_name:
        case "structure":
            members = list(shape.members.items())
            return {name: example(each) for name, each in (members[:1] if is_union(shape) else members)}
        case "list":
            return [example(shape.member)]
        case "map":
            return {example(shape.key): example(shape.value)}
        case "blob":
            return b"{}"
        case "integer":
            return 1
        case "boolean":
            return False
        case "timestamp":
            return 1680027126.436
    return shape.enum[0] if shape.enum else EXAMPLES.get(shape.name, "text")


def of_length(shape: Any, length: int) -> Any:
    """Make a value of a length that keeps every other constraint, if one can."""
    if shape.type_name == "blob":
        return b"x" * length
    if shape.type_name == "list":
        return [example(shape.member)] * length
    beginning = FILLERS.get(shape.name, "")
    return beginning + "1" * (length - len(beginning)) if length >= len(beginning) else beginning[:length]


def show(value: Any) -> str:
    """Print a value as Java does, without what is sensitive: in lists of structures, that is every UID."""
    if isinstance(value, list):
        return f"[{', '.join(map(show, value))}]"
    if isinstance(value, dict):
        shown = {key: "***" if key.endswith("InstanceUID") else show(each) for key, each in value.items()}
        return "{" + ", ".join(f"{key}={each}" for key, each in shown.items()) + "}"
    return str(value)


class Place(NamedTuple):
    """A member: how to reach it inside the arguments, its name in messages, and whether its value is shown."""

    keys: tuple[Any, ...]
    path: str
    shape: Any
    is_required: bool
    is_sensitive: bool
    is_label: bool

    def put(self, arguments: dict[str, Any], value: Any) -> dict[str, Any]:
        """Return arguments with another value in this place; None leaves the member out."""
        changed: dict[str, Any] = json.loads(json.dumps(arguments, default=base64_of), object_hook=bytes_of)
        inside: Any = changed
        for key in self.keys[:-1]:
            inside = inside[key]
        if value is None and isinstance(inside, dict):
            del inside[self.keys[-1]]
        else:
            inside[self.keys[-1]] = value
        return changed

    def violation(self, value: Any, constraint: str) -> str:
        is_null = constraint == "Member must not be null"
        shown = "null" if is_null else f"'{show(value)}'"
        is_hidden = self.is_sensitive and not is_null
        subject = f"Value at '{self.path}'" if is_hidden else f"Value {shown} at '{self.path}'"
        return f"{subject} failed to satisfy constraint: {constraint}"


def base64_of(value: bytes) -> dict[str, str]:
    return {"__bytes__": base64.b64encode(value).decode()}


def bytes_of(value: dict[str, Any]) -> Any:
    return base64.b64decode(value["__bytes__"]) if "__bytes__" in value else value


def places(shape: Any, keys: tuple[Any, ...] = (), path: str = "", *, is_sensitive: bool = False) -> Iterator[Place]:
    """Yield every member of an example, nested ones too."""
    given = example(shape)
    for name, member in shape.members.items():
        if name not in given:
            continue
        sensitive = is_sensitive or bool(member.metadata.get("sensitive"))
        is_label = member.serialization.get("location") == "uri"
        here = (*keys, name)
        yield Place(here, path + name, member, name in shape.required_members, sensitive, is_label)
        if member.type_name == "structure":
            yield from places(member, here, f"{path}{name}.", is_sensitive=sensitive)
        elif member.type_name == "list":
            inside = (*here, 0)
            yield Place(inside, f"{path}{name}.1.member", member.member, True, sensitive, False)
            if member.member.type_name == "structure":
                yield from places(member.member, inside, f"{path}{name}.1.member.", is_sensitive=sensitive)


def cases_of(operation: str) -> Iterator[Case]:
    shape = MODEL.operation_model(operation).input_shape
    arguments = example(shape)
    yield Case("valid", operation, arguments, ())
    for place in places(shape):
        for name, value, constraints in values_of(place):
            violations = tuple(place.violation(value, constraint) for constraint in constraints)
            yield Case(f"{place.path}-{name}", operation, place.put(arguments, value), violations)


def values_of(place: Place) -> Iterator[tuple[str, Any, list[str]]]:
    """Yield values of one member, and the constraints that each breaks."""
    shape = place.shape
    is_in_union = place.path.rpartition(".")[0] and not place.is_required
    if place.is_required and not place.is_label and not isinstance(place.keys[-1], int):
        yield "missing", None, ["Member must not be null"]
    if not place.is_required and not is_in_union:
        yield "absent", None, []
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name == "integer":
        yield from numbers(least, most)
    elif shape.type_name in ("string", "blob", "list") and not getattr(shape, "enum", None):
        yield from lengths(shape, least, most)
    if getattr(shape, "enum", None):
        yield "enum", "OTHER", [f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"]
        for value in shape.enum:
            yield value, value, []
    if shape.metadata.get("pattern") and shape.name != "NextToken":
        longest = "!" * max(least or 1, 1)
        yield "pattern", longest.replace("!", "\u00e9"), [pattern_of(shape)]
        yield "newline", f"{EXAMPLES[shape.name]}\n", broken_by(shape, f"{EXAMPLES[shape.name]}\n")


def numbers(least: int | None, most: int | None) -> Iterator[tuple[str, Any, list[str]]]:
    if least is not None:
        yield "least", least, []
        yield "less", least - 1, [f"Member must have value greater than or equal to {least}"]
    if most is not None:
        yield "most", most, []
        yield "more", most + 1, [f"Member must have value less than or equal to {most}"]


def lengths(shape: Any, least: int | None, most: int | None) -> Iterator[tuple[str, Any, list[str]]]:
    for name, length in (("shortest", least), ("longest", most)):
        if length is not None and not (shape.name in WITHOUT_FILLER and name == "longest"):
            value = of_length(shape, length)
            # A list in the query that is empty is not there.
            is_absent = value == [] and shape.serialization.get("location") == "querystring"
            yield name, value, ["Member must not be null"] if is_absent else broken_by(shape, value)
    if least:
        value = of_length(shape, least - 1)
        yield "shorter", value, broken_by(shape, value)
    if most is not None:
        value = of_length(shape, most + 1)
        yield "longer", value, broken_by(shape, value)


def broken_by(shape: Any, value: Any) -> list[str]:
    """Name the constraints that a value breaks, by the model and in Coral's order."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    longest = 18 if shape.name == "ImageSetExternalVersionId" else most
    broken = []
    if least is not None and len(value) < least:
        broken.append(f"Member must have length greater than or equal to {least}")
    if longest is not None and len(value) > longest:
        broken.append(f"Member must have length less than or equal to {longest}")
    if isinstance(value, str) and shape.metadata.get("pattern") and not matches(shape, value):
        broken.append(pattern_of(shape))
    return broken


def pattern_of(shape: Any) -> str:
    return f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"


CASES = [case for name in MODEL.operation_names for case in cases_of(name)]


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    settings = Settings()
    return Pipeline(Accounts(load_seed({"datastores": [{"datastoreId": DATASTORE}]}), settings), settings)


def answer(pipeline: Pipeline, request: Request) -> tuple[str | None, str]:
    exchange = Exchange()
    response = drive(pipeline.handle(request, exchange), exchange)
    error = response.headers.get("x-amzn-ErrorType")
    return error, json.loads(response.body)["message"] if error else ""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_constraint_is_checked_in_the_words_of_aws(pipeline: Pipeline, case: Case) -> None:
    code, message = answer(pipeline, serialize(case.operation, case.arguments))
    if not case.violations:
        assert "validation error" not in message, message
        assert code != "SerializationException", message
        return
    count = len(case.violations)
    beginning = f"{count} validation error{'s' if count > 1 else ''} detected: "
    assert (code, message) == ("ValidationException", beginning + "; ".join(case.violations))


def test_there_is_a_case_for_every_operation() -> None:
    assert {case.operation for case in CASES} == set(MODEL.operation_names)
    assert len(CASES) > 250


# JSON of the wrong type, and members that nobody knows.

WRONG = {
    "string": [1, True, [], {}],
    "integer": ["1", True, 1.5, []],
    "boolean": ["true", 1, []],
    "timestamp": ["2024-01-01T00:00:00Z", True, []],
    "blob": ["not base64!", 1, {}],
    "list": [{}, "text", 1],
    "map": [[], "text", 1],
    "structure": [[], "text", 1, True],
}
NOUNS = {
    "string": "a String",
    "integer": "an Integer",
    "boolean": "a Boolean",
    "timestamp": "a Timestamp",
    "blob": "a Blob",
    "list": "a List",
    "map": "a Map",
    "structure": "a structure",
}


def body_places(operation: str) -> Iterator[Place]:
    shape = MODEL.operation_model(operation).input_shape
    in_body = {name for name, member in shape.members.items() if "location" not in member.serialization}
    return (place for place in places(shape) if place.keys[0] in in_body)


WRONG_TYPES = [
    (operation, place, value)
    for operation in MODEL.operation_names
    for place in body_places(operation)
    for value in WRONG[place.shape.type_name]
]


@pytest.mark.parametrize(
    ("operation", "place", "value"), WRONG_TYPES, ids=lambda value: getattr(value, "path", None) or str(value)[:20]
)
def test_json_of_the_wrong_type_is_a_serialization_exception(
    pipeline: Pipeline, operation: str, place: Place, value: Any
) -> None:
    arguments = place.put(example(MODEL.operation_model(operation).input_shape), value)
    request = serialize(operation, arguments)
    if not request.body:
        payload = json.dumps(value).encode()
        request = Request(request.method, request.path, request.query, {}, payload, len(payload))
    noun = NOUNS[place.shape.type_name]
    expected = ("SerializationException", f"Value at '{place.path}' can not be converted to {noun}")
    assert answer(pipeline, request) == expected


@pytest.mark.parametrize("operation", [each for each in MODEL.operation_names if list(body_places(each))])
def test_unknown_members_are_ignored_and_null_is_as_absent(pipeline: Pipeline, operation: str) -> None:
    shape = MODEL.operation_model(operation).input_shape
    payload = shape.serialization.get("payload")
    inside = shape.members[payload] if payload else shape
    arguments = example(shape)
    given = arguments[payload] if payload else arguments
    optional = [name for name in given if name not in inside.required_members and not is_union(inside)]
    absent = {name: value for name, value in given.items() if name not in optional}
    before = answer(pipeline, serialize(operation, {**arguments, payload: absent} if payload else absent))
    content = {name: value for name, value in absent.items() if not inside.members[name].serialization.get("location")}
    content |= {"unknownMember": {"a": 1}} | dict.fromkeys(optional)
    text = json.dumps(content, default=lambda each: base64.b64encode(each).decode()).encode()
    request = serialize(operation, {**arguments, payload: absent} if payload else absent)
    assert answer(pipeline, Request(request.method, request.path, request.query, {}, text, len(text))) == before
