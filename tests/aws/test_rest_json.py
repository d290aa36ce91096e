"""restJson1 without a transport: a request to an input, an output or an error to a response."""

from __future__ import annotations

import json
import uuid
from typing import Annotated, Any

import pytest
from msgspec import Struct

from healthimaging_emulator.aws.errors import (
    NotAcceptableException,
    RequestEntityTooLargeException,
    ResourceNotFoundException,
    SerializationException,
    ServiceError,
    ThrottlingException,
    UnsupportedMediaTypeException,
)
from healthimaging_emulator.aws.members import header, label, payload, query, sensitive, shape_of
from healthimaging_emulator.aws.operation import Operation
from healthimaging_emulator.aws.rest_json import (
    check_request,
    parse_input,
    parse_value,
    serialize_error,
    serialize_output,
)
from healthimaging_emulator.messages import Request, Response


class Part(Struct, rename="camel", kw_only=True):
    name: str
    count: int | None = None


class Document(Struct, rename="camel", kw_only=True):
    """The structures of the tests: every shape once."""

    text: str | None = None
    integer: int | None = None
    boolean: bool | None = None
    timestamp: float | None = None
    blob: Annotated[bytes | None, sensitive()] = None
    list: tuple[Part, ...] | None = None
    map: dict[str, str] | None = None
    structure: Part | None = None


class Input(Struct, rename="camel", kw_only=True):
    thing_id: Annotated[str, label()]
    force: Annotated[bool | None, query()] = None
    max_results: Annotated[int | None, query("max")] = None
    next_token: Annotated[str | None, query()] = None
    keys: Annotated[tuple[str, ...], query()]
    trace: Annotated[str | None, header("X-Trace")] = None


class BodyInput(Input, rename="camel", kw_only=True):
    name: str
    parts: tuple[Part, ...] | None = None


class PayloadInput(Input, rename="camel", kw_only=True):
    information: Annotated[Document, payload()]


class Output(Struct, rename="camel", kw_only=True):
    name: str | None = None
    created_at: float | None = None
    parts: tuple[Part, ...] = ()
    tags: dict[str, str] = {}
    part: Part | None = None


class BlobOutput(Struct, rename="camel", kw_only=True):
    content: Annotated[bytes, payload()]
    content_type: Annotated[str | None, header("Content-Type")] = None


def operation(input: type[Struct] = Input, output: type[Struct] = Output, status: int = 200) -> Operation[Any, Any]:
    return Operation(
        name="DoThing",
        method="POST",
        path="/{thingId}",
        input=input,
        output=output,
        handler=lambda *_: output(),
        errors=(),
        status=status,
    )


# Before parsing.


@pytest.mark.parametrize(
    ("input", "body", "content_type", "is_refused"),
    [
        (BodyInput, b"{}", "application/json", False),
        (BodyInput, b"{}", "application/json; charset=utf-8", False),
        (BodyInput, b"{}", " Application/JSON ", False),
        (BodyInput, b"{}", "", False),
        (BodyInput, b"{}", None, False),
        (BodyInput, b"", "text/plain", False),
        (BodyInput, b"{}", "text/plain", True),
        (BodyInput, b"{}", "application/x-amz-json-1.1", True),
        (BodyInput, b"{}", "application/jsonx", True),
        (PayloadInput, b"{}", "application/octet-stream", True),
        (Input, b"{}", "text/plain", False),
    ],
)
def test_a_content_type_counts_only_where_a_body_is_modelled(
    input: type[Struct], body: bytes, content_type: str | None, is_refused: bool
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    request = Request("POST", "/x", headers=headers, body=body, size=len(body))
    if not is_refused:
        check_request(operation(input), request, 100)
        return
    with pytest.raises(UnsupportedMediaTypeException) as raised:
        check_request(operation(input), request, 100)
    assert raised.value.message == "The request body is JSON; its Content-Type must be application/json."


def test_the_size_of_a_body_is_checked_first_and_has_its_edge_at_the_limit() -> None:
    headers = {"content-type": "text/plain", "accept": "text/html"}
    check_request(operation(), Request("POST", "/x", body=b"x" * 100, size=100), 100)
    with pytest.raises(RequestEntityTooLargeException) as raised:
        check_request(operation(BodyInput), Request("POST", "/x", headers=headers, size=101), 100)
    assert raised.value.message == "Request body is larger than 100 bytes."


def test_accept_comes_before_the_content_type_and_a_blob_takes_any() -> None:
    headers = {"content-type": "text/plain", "accept": "text/html"}
    request = Request("POST", "/x", headers=headers, body=b"{}", size=2)
    with pytest.raises(NotAcceptableException) as raised:
        check_request(operation(BodyInput), request, 100)
    assert raised.value.message == "The service answers in application/json, which the Accept header excludes."
    check_request(operation(Input, BlobOutput), request, 100)


# The parts of a request.


def parse(
    input: type[Struct] = Input, query: str = "", body: Any = None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request("POST", "/x", query, headers or {}, content, len(content))
    parsed = parse_input(operation(input), {"thingId": "x"}, request)
    return {name: getattr(parsed, name) for name in parsed.__struct_fields__}


def refusal(*arguments: Any, **options: Any) -> str:
    with pytest.raises(SerializationException) as raised:
        parse(*arguments, **options)
    return raised.value.message


def test_a_member_that_is_not_there_is_none_also_if_it_is_required() -> None:
    absent = {"force": None, "max_results": None, "next_token": None, "keys": None, "trace": None}
    assert parse() == {"thing_id": "x"} | absent
    assert parse(BodyInput) == {"thing_id": "x", "name": None, "parts": None} | absent
    assert parse(PayloadInput) == {"thing_id": "x", "information": None} | absent


def test_each_part_is_read_from_where_it_travels() -> None:
    parsed = parse(
        BodyInput,
        "max=7&force=true&nextToken=a%2Bb+c&keys=a&keys=b&name=query",
        {"name": "body", "parts": [{"name": "p"}], "thingId": "y", "max": 9, "keys": ["z"]},
        {"x-trace": "t"},
    )
    assert parsed == {
        "thing_id": "x",
        "force": True,
        "max_results": 7,
        "next_token": "a+b c",
        "keys": ("a", "b"),
        "trace": "t",
        "name": "body",
        "parts": (Part(name="p"),),
    }


def test_the_first_of_a_query_parameter_given_twice_wins_but_a_list_takes_all() -> None:
    parsed = parse(query="max=1&max=2&nextToken=&nextToken=b&keys=&keys=a&keys=a")
    assert (parsed["max_results"], parsed["next_token"], parsed["keys"]) == (1, "", ("", "a", "a"))


@pytest.mark.parametrize("value", ["True", "TRUE", "1", "0", "yes", "", " true", "true%0A"])
def test_a_boolean_of_the_query_is_true_or_false_and_nothing_else(value: str) -> None:
    shown = value.replace("%0A", "\n")
    assert refusal(query=f"force={value}") == f"Value '{shown}' at 'force' can not be converted to a Boolean"
    assert (parse(query="force=true")["force"], parse(query="force=false")["force"]) == (True, False)


@pytest.mark.parametrize(
    "value", ["", "-", "+5", " 5", "5_0", "5.0", "1e1", "0x42", "\u0665", "2147483648", "-2147483649", "9" * 5000]
)
def test_an_integer_of_the_query_has_digits_only_and_32_bits(value: str) -> None:
    text = value.replace("+", "%2B").replace(" ", "%20")
    assert refusal(query=f"max={text}") == f"Value '{value}' at 'maxResults' can not be converted to an Integer"


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("-0", 0), ("007", 7), ("2147483647", 2**31 - 1), ("-2147483648", -(2**31)), ("0" * 50_000 + "9", 9)],
)
def test_an_integer_of_the_query_at_its_edges(text: str, number: int) -> None:
    assert parse(query=f"max={text}")["max_results"] == number


# Bodies.


@pytest.mark.parametrize(
    "body",
    [b"{", b"nonsense", b"{'a': 1}", b"\xff", b'{"name": NaN}', b"{} {}", b"\xef\xbb\xbf{}", b"[" * 100_000, b" "],
    ids=lambda body: str(body[:12]),
)
@pytest.mark.parametrize("input", [BodyInput, PayloadInput])
def test_a_body_that_is_not_json_is_refused(input: type[Struct], body: bytes) -> None:
    assert refusal(input, body=body) == "The request body is not valid JSON."


@pytest.mark.parametrize("body", [b"nonsense", b"\xff", b"[1]"])
def test_a_body_that_is_not_modelled_is_not_read(body: bytes) -> None:
    assert parse(Input, body=body)["thing_id"] == "x"


@pytest.mark.parametrize("body", [[], 1, True, "text"])
def test_a_body_of_members_is_a_structure(body: Any) -> None:
    assert refusal(BodyInput, body=body) == "Value at 'the request body' can not be converted to a structure"


def test_null_is_as_absent_and_an_unknown_member_is_ignored() -> None:
    assert parse(BodyInput, body=b"null")["name"] is None
    parsed = parse(BodyInput, body={"name": "a", "parts": None, "unknown": {"a": [1]}})
    assert (parsed["name"], parsed["parts"]) == ("a", None)
    nested = parse(BodyInput, body={"name": None, "parts": [{"name": "a", "count": None, "unknown": 1}]})
    assert (nested["name"], nested["parts"]) == (None, (Part(name="a"),))


def test_a_payload_is_the_body_itself() -> None:
    assert parse(PayloadInput, body={"text": "a"})["information"] == Document(text="a")
    assert parse(PayloadInput, body={})["information"] == Document()
    assert parse(PayloadInput, body=b"null")["information"] is None
    assert refusal(PayloadInput, body=[]) == "Value at 'information' can not be converted to a structure"


@pytest.mark.parametrize(
    ("member", "given", "value"),
    [
        ("text", "", ""),
        ("integer", -7, -7),
        ("integer", 2**31 - 1, 2**31 - 1),
        ("boolean", False, False),
        ("timestamp", 0, 0.0),
        ("timestamp", 1680027126.436, 1680027126.436),
        ("blob", "", b""),
        ("blob", "/+8=", b"\xff\xef"),
        ("list", [], ()),
        ("list", [{"name": "a"}, None], (Part(name="a"), None)),
        ("map", {"a": "b", "c": None}, {"a": "b", "c": None}),
        ("structure", {"name": "a", "count": 1}, Part(name="a", count=1)),
        ("structure", {}, Part(name=None)),  # type: ignore[arg-type]
    ],
)
def test_json_becomes_the_value_of_a_shape(member: str, given: Any, value: Any) -> None:
    parsed = parse_value(shape_of(Document), {member: given}, "at")
    assert getattr(parsed, member) == value
    assert type(getattr(parsed, member)) is type(value)


@pytest.mark.parametrize(
    ("member", "given", "message"),
    [
        ("text", 1, "Value at 'at.text' can not be converted to a String"),
        ("text", ["a"], "Value at 'at.text' can not be converted to a String"),
        ("integer", "1", "Value at 'at.integer' can not be converted to an Integer"),
        ("integer", 1.5, "Value at 'at.integer' can not be converted to an Integer"),
        ("integer", True, "Value at 'at.integer' can not be converted to an Integer"),
        ("integer", 2**31, "Value '2147483648' at 'at.integer' can not be converted to an Integer"),
        ("boolean", "true", "Value at 'at.boolean' can not be converted to a Boolean"),
        ("boolean", 1, "Value at 'at.boolean' can not be converted to a Boolean"),
        ("timestamp", True, "Value at 'at.timestamp' can not be converted to a Timestamp"),
        (
            "timestamp",
            "2024-01-01T00:00:00Z",
            "Value at 'at.timestamp' can not be converted to a Timestamp",
        ),
        ("timestamp", 10**400, "Value at 'at.timestamp' can not be converted to a Timestamp"),
        ("blob", "a", "Value at 'at.blob' can not be converted to a Blob"),
        ("blob", "YQ==\n", "Value at 'at.blob' can not be converted to a Blob"),
        ("blob", "YQ-_", "Value at 'at.blob' can not be converted to a Blob"),
        ("blob", "é", "Value at 'at.blob' can not be converted to a Blob"),
        ("blob", 1, "Value at 'at.blob' can not be converted to a Blob"),
        ("list", {}, "Value at 'at.list' can not be converted to a List"),
        ("list", [{"name": "a"}, 1], "Value at 'at.list.2.member' can not be converted to a structure"),
        ("list", [{"name": 1}], "Value at 'at.list.1.member.name' can not be converted to a String"),
        ("map", [], "Value at 'at.map' can not be converted to a Map"),
        ("map", {"key": 1}, "Value at 'at.map.key' can not be converted to a String"),
        ("structure", [], "Value at 'at.structure' can not be converted to a structure"),
        ("structure", {"count": "1"}, "Value at 'at.structure.count' can not be converted to an Integer"),
    ],
)
def test_json_of_another_type_is_refused_with_its_path(member: str, given: Any, message: str) -> None:
    with pytest.raises(SerializationException) as raised:
        parse_value(shape_of(Document), {member: given}, "at")
    assert raised.value.message == message


# Responses.


def assert_response(response: Response, status: int, headers: dict[str, str], body: bytes) -> None:
    assert (response.status, response.body) == (status, body)
    assert uuid.UUID(response.headers["x-amzn-RequestId"])
    assert {name: value for name, value in response.headers.items() if name != "x-amzn-RequestId"} == headers


JSON = {"Content-Type": "application/json"}


def test_an_unset_member_is_null_keys_are_sorted_and_lists_and_maps_are_never_null() -> None:
    output = Output(name="é", parts=(Part(name="b"),))
    body = '{"createdAt":null,"name":"é","part":null,"parts":[{"count":null,"name":"b"}],"tags":{}}'
    assert_response(serialize_output(operation(), output), 200, JSON, body.encode())


def test_unset_members_are_left_out_everywhere_if_that_is_asked_for() -> None:
    output = Output(parts=(Part(name="b"),), tags={"a": ""}, created_at=0.0)
    response = serialize_output(operation(), output, omit_unset=True)
    assert_response(response, 200, JSON, b'{"createdAt":0.0,"parts":[{"name":"b"}],"tags":{"a":""}}')


@pytest.mark.parametrize("omit_unset", [False, True])
@pytest.mark.parametrize("seconds", [1680027126.436, 0.001, 253402300799.999, 1700243522.295, 1e10])
def test_a_timestamp_is_a_plain_number(seconds: float, omit_unset: bool) -> None:
    response = serialize_output(operation(), Output(created_at=seconds), omit_unset=omit_unset)
    assert b'"createdAt":%s,' % repr(seconds).encode() in response.body


def test_a_blob_is_the_body_and_its_headers_come_from_the_output() -> None:
    made = operation(Input, BlobOutput)
    response = serialize_output(made, BlobOutput(content=b"\x00\xff", content_type="image/jph"))
    assert_response(response, 200, {"Content-Type": "image/jph"}, b"\x00\xff")
    assert_response(serialize_output(made, BlobOutput(content=b"")), 200, {}, b"")


def test_a_response_without_content_has_no_body_and_no_content_type() -> None:
    assert_response(serialize_output(operation(status=204), Output()), 204, {}, b"")


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (ThrottlingException(), 429, "ThrottlingException", "Rate exceeded"),
        (ResourceNotFoundException("gone"), 404, "ResourceNotFoundException", "gone"),
        (ThrottlingException("", status=503), 503, "ThrottlingException", ""),
        (ServiceError("mine", status=418, code="TeapotException"), 418, "TeapotException", "mine"),
    ],
)
def test_an_error_is_its_code_its_status_and_one_member(
    error: ServiceError, status: int, code: str, message: str
) -> None:
    expected = JSON | {"x-amzn-ErrorType": code}
    assert_response(serialize_error(error), status, expected, b'{"message":%s}' % json.dumps(message).encode())


def test_the_headers_of_an_error_are_sent() -> None:
    error = ThrottlingException()
    error.headers = {"Retry-After": "1"}
    assert serialize_error(error).headers["Retry-After"] == "1"


def test_every_response_has_an_id_of_its_own() -> None:
    responses = [serialize_error(ThrottlingException()) for _ in range(5)]
    assert len({response.headers["x-amzn-RequestId"] for response in responses}) == 5
