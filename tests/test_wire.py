"""The contract of the wire, row by row, over a raw socket."""

from __future__ import annotations

import gzip
import json
import re
import uuid
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import pytest

from healthimaging_emulator import Emulator, Fault, Settings
from healthimaging_emulator.healthimaging.operations import OPERATIONS_BY_NAME
from healthimaging_emulator.server.listener import Server

from .conftest import DEMO
from .demo import DATASTORE, FIFTY_ONE, MANY, OTHER_DATASTORE, SAMPLE, UNKNOWN, path
from .raw import JSON, Client, Reply, exchange, request

MAX_HEAD, MAX_BODY = Settings().max_head, Settings().max_body


def post(server: Server, target: str, *headers: str, body: bytes = b"") -> Reply:
    return exchange(server, request("POST", target, *headers, body=body))


def operation_path(name: str, image_set_id: str = SAMPLE) -> str:
    return path(image_set_id).replace("listImageSetVersions", name)


def assert_error(reply: Reply, status: int, code: str, message: str | None = None) -> None:
    assert (reply.status, reply.headers["x-amzn-errortype"]) == (status, code)
    assert reply.headers["content-type"] == "application/json"
    assert uuid.UUID(reply.headers["x-amzn-requestid"])
    assert list(reply.json) == ["message"]
    assert reply.json["message"] == message if message is not None else reply.json["message"]


# Success.


def entry(version: int, status: str, **members: object) -> dict[str, object]:
    return {
        "imageSetId": SAMPLE,
        "versionId": str(version),
        "imageSetState": "ACTIVE",
        "ImageSetWorkflowStatus": status,
        "createdAt": 1680027126.436,
        "updatedAt": None,
        "deletedAt": None,
        "message": None,
        "overrides": None,
        "isPrimary": None,
    } | members


COPY_FAILED = "INVALID_REQUEST:  Series of SourceImageSet and DestinationImageSet don't match."


def test_the_sample_that_aws_publishes(demo_server: Server) -> None:
    reply = post(demo_server, path())
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert uuid.UUID(reply.headers["x-amzn-requestid"])
    assert "x-amzn-errortype" not in reply.headers
    assert reply.json == {
        "imageSetPropertiesList": [
            entry(4, "UPDATED", updatedAt=1680029436.304),
            entry(3, "UPDATED", updatedAt=1680029163.325),
            entry(2, "COPY_FAILED", updatedAt=1680027455.944, message=COPY_FAILED),
            entry(1, "COPIED"),
        ],
        "nextToken": None,
    }


def test_every_request_has_an_id_of_its_own(demo_server: Server) -> None:
    assert len({post(demo_server, path()).headers["x-amzn-requestid"] for _ in range(5)}) == 5


class Written(str):
    """A number as it is written."""

    __slots__ = ()


def test_timestamps_are_numbers_of_at_most_three_decimals(demo_server: Server) -> None:
    read = json.loads(post(demo_server, path(MANY)).body, parse_float=Written, parse_int=Written)
    times = [entry[name] for entry in read["imageSetPropertiesList"] for name in ("createdAt", "updatedAt")]
    assert len(times) == 100
    assert all(isinstance(time, Written) and re.fullmatch(r"[0-9]{10}(\.[0-9]{1,3})?", time) for time in times)


def test_keys_are_in_alphabetical_order(demo_server: Server) -> None:
    read = json.loads(post(demo_server, path()).body, object_pairs_hook=lambda pairs: pairs)
    assert [name for name, _ in read] == ["imageSetPropertiesList", "nextToken"]
    names = [name for name, _ in read[0][1][0]]
    assert names == sorted(names)
    assert names[0] == "ImageSetWorkflowStatus"  # capitals come first


def test_unset_members_are_left_out_if_that_is_set() -> None:
    with Emulator.from_seed(DEMO, omit_unset=True).serve() as server:
        body = post(server, path()).json
        assert post(server, operation_path("getImageSet")).json.keys() == {
            "datastoreId",
            "imageSetId",
            "versionId",
            "imageSetState",
            "imageSetWorkflowStatus",
            "createdAt",
            "updatedAt",
            "imageSetArn",
            "storageTier",
        }
    assert list(body) == ["imageSetPropertiesList"]
    assert body["imageSetPropertiesList"] == [
        {name: value for name, value in each.items() if value is not None}
        for each in (
            entry(4, "UPDATED", updatedAt=1680029436.304),
            entry(3, "UPDATED", updatedAt=1680029163.325),
            entry(2, "COPY_FAILED", updatedAt=1680027455.944, message=COPY_FAILED),
            entry(1, "COPIED"),
        )
    ]


@pytest.mark.parametrize(
    ("image_set_id", "entry"),
    [
        ("forced", {"overrides": {"forced": True}}),
        ("primary", {"isPrimary": True}),
        ("notprimary", {"isPrimary": False}),
    ],
)
def test_members_that_few_versions_have(demo_server: Server, image_set_id: str, entry: dict[str, object]) -> None:
    newest = post(demo_server, path(image_set_id.ljust(32, "0"), OTHER_DATASTORE)).json["imageSetPropertiesList"][0]
    assert entry.items() <= newest.items()


def test_a_deleted_image_set_is_listed(demo_server: Server) -> None:
    newest = post(demo_server, path("deleted".ljust(32, "0"))).json["imageSetPropertiesList"][0]
    assert (newest["imageSetState"], newest["ImageSetWorkflowStatus"], newest["deletedAt"]) == (
        "DELETED",
        "DELETED",
        1680034326.686,
    )


def test_the_token_is_null_on_the_last_page(demo_server: Server) -> None:
    first = post(demo_server, path(FIFTY_ONE)).json
    assert len(first["imageSetPropertiesList"]) == 50
    last = post(demo_server, f"{path(FIFTY_ONE)}?nextToken={first['nextToken']}").json
    assert [entry["versionId"] for entry in last["imageSetPropertiesList"]] == ["1"]
    assert last["nextToken"] is None


# Validation.

PATTERN = "Member must satisfy regular expression pattern: [0-9a-z]{32}"
LONG = "a" * 8193

VALIDATION = [
    (path() + "?maxResults=51", ["Value '51' at 'maxResults'", "Member must have value less than or equal to 50"]),
    (path() + "?maxResults=0", ["Value '0' at 'maxResults'", "Member must have value greater than or equal to 1"]),
    (path() + "?maxResults=-1", ["Value '-1' at 'maxResults'", "Member must have value greater than or equal to 1"]),
    (
        path() + "?maxResults=2147483647",
        ["Value '2147483647' at 'maxResults'", "Member must have value less than or equal to 50"],
    ),
    (path() + "?nextToken=", ["Value '' at 'nextToken'", "Member must have length greater than or equal to 1"]),
    (path() + "?nextToken", ["Value '' at 'nextToken'", "Member must have length greater than or equal to 1"]),
    (
        path() + "?nextToken=%C3%A9",
        ["Value 'é' at 'nextToken'", r"Member must satisfy regular expression pattern: \p{ASCII}{0,8192}"],
    ),
    (path(datastore_id="UPPER"), ["Value 'UPPER' at 'datastoreId'", PATTERN]),
    (path(datastore_id=""), ["Value '' at 'datastoreId'", PATTERN]),
    (path(datastore_id=".."), ["Value '..' at 'datastoreId'", PATTERN]),
    (path(""), ["Value '' at 'imageSetId'", PATTERN]),
    (path("a%2Fb"), ["Value 'a/b' at 'imageSetId'", PATTERN]),
    (path("a%252Fb"), ["Value 'a%2Fb' at 'imageSetId'", PATTERN]),
    (path(".."), ["Value '..' at 'imageSetId'", PATTERN]),
    (path(SAMPLE + "0"), [f"Value '{SAMPLE}0' at 'imageSetId'", PATTERN]),
    (path(SAMPLE[:-1]), [f"Value '{SAMPLE[:-1]}' at 'imageSetId'", PATTERN]),
    (path(SAMPLE + "%0A"), [f"Value '{SAMPLE}\n' at 'imageSetId'", PATTERN]),
    (path("%FF" * 32), [f"Value '{'�' * 32}' at 'imageSetId'", PATTERN]),
]


@pytest.mark.parametrize(("target", "violation"), VALIDATION, ids=[target[-40:] for target, _ in VALIDATION])
def test_a_violated_constraint(demo_server: Server, target: str, violation: list[str]) -> None:
    message = "1 validation error detected: " + " failed to satisfy constraint: ".join(violation)
    assert_error(post(demo_server, target), 400, "ValidationException", message)


def test_all_violations_are_reported_at_once_in_order(demo_server: Server) -> None:
    reply = post(demo_server, path("b", "A") + "?maxResults=51&nextToken=")
    message = (
        "4 validation errors detected: "
        f"Value 'A' at 'datastoreId' failed to satisfy constraint: {PATTERN}; "
        f"Value 'b' at 'imageSetId' failed to satisfy constraint: {PATTERN}; "
        "Value '' at 'nextToken' failed to satisfy constraint: Member must have length greater than or equal to 1; "
        "Value '51' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 50"
    )
    assert_error(reply, 400, "ValidationException", message)


def test_a_token_over_the_limit_violates_length_and_pattern(demo_server: Server) -> None:
    reply = post(demo_server, f"{path()}?nextToken={LONG}")
    message = (
        f"2 validation errors detected: Value '{LONG}' at 'nextToken' failed to satisfy constraint: "
        f"Member must have length less than or equal to 8192; Value '{LONG}' at 'nextToken' failed to satisfy "
        r"constraint: Member must satisfy regular expression pattern: \p{ASCII}{0,8192}"
    )
    assert_error(reply, 400, "ValidationException", message)


def test_a_token_of_the_longest_length_reaches_the_operation(demo_server: Server) -> None:
    target = f"{path()}?nextToken={'%7E' * 8192}"
    assert_error(post(demo_server, target), 400, "ValidationException", "Invalid nextToken.")


@pytest.mark.parametrize(
    "edge", ["1", "50", "0050", "0" * 5000 + "9", "-0000000000000000007"], ids=lambda edge: edge[-4:]
)
def test_max_results_at_its_edges(demo_server: Server, edge: str) -> None:
    reply = post(demo_server, f"{path(FIFTY_ONE)}?maxResults={edge}")
    if edge.startswith("-"):
        message = (
            "1 validation error detected: Value '-7' at 'maxResults' failed to satisfy constraint: Member must have "
            "value greater than or equal to 1"
        )
        assert_error(reply, 400, "ValidationException", message)
    else:
        assert len(reply.json["imageSetPropertiesList"]) == int(edge[-4:])


# Not found.


def test_an_unknown_image_set(demo_server: Server) -> None:
    message = f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."
    assert_error(post(demo_server, path(UNKNOWN)), 404, "ResourceNotFoundException", message)


def test_an_unknown_data_store(demo_server: Server) -> None:
    message = f"Datastore {UNKNOWN} was not found."
    assert_error(post(demo_server, path(SAMPLE, UNKNOWN)), 404, "ResourceNotFoundException", message)


def test_an_image_set_of_another_data_store(demo_server: Server) -> None:
    message = f"ImageSet {SAMPLE} was not found in Datastore {OTHER_DATASTORE}."
    assert_error(post(demo_server, path(SAMPLE, OTHER_DATASTORE)), 404, "ResourceNotFoundException", message)


def test_a_foreign_token_is_reported_before_an_unknown_image_set(demo_server: Server) -> None:
    assert_error(post(demo_server, path(UNKNOWN) + "?nextToken=x"), 400, "ValidationException", "Invalid nextToken.")


# The front end.

UNKNOWN_OPERATIONS = [
    *((method, path()) for method in ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "post", "TRACE", "BREW")),
    ("POST", "/"),
    ("GET", "/"),
    ("HEAD", "/"),
    ("OPTIONS", "*"),
    ("CONNECT", "127.0.0.1:80"),
    ("POST", "/favicon.ico"),
    ("POST", "/static/x"),
    ("POST", path().replace("imageSet/", "imageset/")),
    ("POST", path().replace("/list", "/LIST")),
    ("POST", path() + "/more"),
    ("POST", path() + "//"),
    ("POST", path().replace("imageSet/", "image%53et/")),
    ("POST", path().replace("imageSet/", "imageSet//")),
    ("POST", path().replace("/imageSet/", "%2FimageSet/")),
    ("POST", path("a/b")),
    ("POST", "/%0A"),
    ("POST", "/%00"),
    ("POST", "/../" + "x" * 20),
    ("POST", "/_emulatorx"),
]


@pytest.mark.parametrize(("method", "target"), UNKNOWN_OPERATIONS)
def test_an_unknown_operation(demo_server: Server, method: str, target: str) -> None:
    reply = exchange(demo_server, request(method, target))
    if method == "HEAD":
        assert (reply.status, reply.headers["x-amzn-errortype"]) == (404, "UnknownOperationException")
        return
    path = "/" + target.partition("?")[0].lstrip("/")
    message = f"Unable to determine the operation of {method} {path}."
    assert_error(reply, 404, "UnknownOperationException", message)
    assert not {"location", "allow"} & set(reply.headers)


NOT_INTEGERS = [
    *(
        "true",
        "1.001",
        "5.0",
        "1e1",
        "2ABC",
        "0x42",
        "NaN",
        "%205",
        "+5",
        "%2B5",
        "5_0",
        "%D9%A5",
        "",
        "5%0A",
        "--5",
        "-",
    ),
    *("9223372000000000000", "2147483648", "-2147483649", "5" * 5000),
]


@pytest.mark.parametrize("value", NOT_INTEGERS, ids=[value[:20] for value in NOT_INTEGERS])
def test_max_results_that_is_no_integer(demo_server: Server, value: str) -> None:
    shown = unquote(value.replace("+", " "))
    message = f"Value '{shown}' at 'maxResults' can not be converted to an Integer"
    assert_error(post(demo_server, f"{path()}?maxResults={value}"), 400, "SerializationException", message)


def test_max_results_without_a_value(demo_server: Server) -> None:
    message = "Value '' at 'maxResults' can not be converted to an Integer"
    assert_error(post(demo_server, f"{path()}?maxResults"), 400, "SerializationException", message)


def test_the_first_of_a_parameter_given_twice_wins(demo_server: Server) -> None:
    reply = post(demo_server, f"{path()}?maxResults=2&maxResults=99&maxResults=x")
    assert len(reply.json["imageSetPropertiesList"]) == 2


def test_unknown_parameters_are_ignored(demo_server: Server) -> None:
    reply = post(demo_server, f"{path()}?datastoreId=x&a=b&&=&maxresults=1&%6DaxResults=3&%")
    assert len(reply.json["imageSetPropertiesList"]) == 3


@pytest.mark.parametrize(
    "target",
    [
        path() + "/",
        path() + "/?",
        "/" + path(),
        "http://example.org" + path(),
        "HTTP://user@runtime-example.org:81" + path() + "?x=http://y/z",
        path().replace("123", "%31%32%33"),
    ],
)
def test_targets_that_mean_the_operation(demo_server: Server, target: str) -> None:
    assert len(post(demo_server, target).json["imageSetPropertiesList"]) == 4


@pytest.mark.parametrize(
    "host",
    [
        "",
        "runtime-x..y",
        "a" * 300,
        "[",
        "[::1]:x",
        "a b",
        "é",
        "x:999999",
        "127.0.0.1",
        "medical-imaging.amazonaws.com",
    ],
)
def test_any_host_is_served(demo_server: Server, host: str) -> None:
    reply = exchange(demo_server, f"POST {path()} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert reply.status == 200


@pytest.mark.parametrize("body", [b"{}", b"\xff\x00", b"<x/>", b"[" * 100_000, b"x" * MAX_BODY])
@pytest.mark.parametrize("content_type", ["application/json", "text/xml", "", "/;=;"])
def test_any_body_and_content_type_is_ignored(demo_server: Server, body: bytes, content_type: str) -> None:
    assert post(demo_server, path(), f"Content-Type: {content_type}", body=body).status == 200


TOO_LARGE = f"Request body is larger than {MAX_BODY} bytes."


def test_a_body_over_the_limit(demo_server: Server) -> None:
    reply = post(demo_server, path(), body=b"x" * (MAX_BODY + 1))
    assert_error(reply, 413, "RequestEntityTooLargeException", TOO_LARGE)
    assert reply.is_closed


def test_a_body_over_the_limit_is_refused_before_it_is_sent(demo_server: Server) -> None:
    with Client(demo_server) as client:
        client.send(request("POST", path()).replace(b"Length: 0", b"Length: 999999999"))
        assert_error(client.receive(), 413, "RequestEntityTooLargeException", TOO_LARGE)


def test_a_chunked_body_over_the_limit(demo_server: Server) -> None:
    head = request("POST", path(), "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    reply = exchange(demo_server, head + chunk * 17)
    assert_error(reply, 413, "RequestEntityTooLargeException", TOO_LARGE)
    assert reply.is_closed


JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"  # of HttpURLConnection
ACCEPTABLE = [
    JAVA,
    "*/*",
    "application/*",
    "application/json",
    "text/html, */*;q=0.1",
    "",
    "APPLICATION/JSON",
    "application/json;q=0.5",
]
NOT_ACCEPTABLE = [
    "application/hal+json",
    "text/html",
    "application/json;q=0",
    "*/*; q=0.000",
    "nonsense",
    "text/*, image/png",
]


@pytest.mark.parametrize("accept", ACCEPTABLE)
def test_accept_that_includes_json(demo_server: Server, accept: str) -> None:
    assert post(demo_server, path(), f"Accept: {accept}").status == 200


@pytest.mark.parametrize("accept", NOT_ACCEPTABLE)
def test_accept_that_excludes_json(demo_server: Server, accept: str) -> None:
    message = "The service answers in application/json, which the Accept header excludes."
    assert_error(post(demo_server, path(), f"Accept: {accept}"), 406, "NotAcceptableException", message)


@pytest.mark.parametrize("authorization", ["", "garbage", "AWS4-HMAC-SHA256 Credential=", "Basic eDp5", "é" * 100])
def test_any_credential_or_none_is_accepted(demo_server: Server, authorization: str) -> None:
    assert post(demo_server, path(), f"Authorization: {authorization}").status == 200


LINE = f"POST {path()} HTTP/1.1\r\nHost: x\r\n".encode()

UNREADABLE = {
    "not HTTP": (400, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"),
    "no version": (400, b"GET /\r\n\r\n"),
    "two spaces": (400, b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a control character in the target": (400, b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a target outside ASCII": (400, "POST /é HTTP/1.1\r\nHost: x\r\n\r\n".encode()),
    "no host": (400, b"POST / HTTP/1.1\r\n\r\n"),
    "two hosts": (400, b"POST / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
    "a header without a colon": (400, LINE + b"nonsense\r\n\r\n"),
    "a header name with a space": (400, LINE + b"Content-Length : 0\r\n\r\n"),
    "a NUL in a header": (400, LINE + b"X: a\x00b\r\n\r\n"),
    "a length below zero": (400, LINE + b"Content-Length: -5\r\n\r\n"),
    "a length that is no number": (400, LINE + b"Content-Length: abc\r\n\r\n"),
    "a length with a sign": (400, LINE + b"Content-Length: +5\r\n\r\n"),
    "an enormous length": (400, LINE + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"),
    "two lengths": (400, LINE + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345"),
    "two lengths in one": (400, LINE + b"Content-Length: 5, 6\r\n\r\n12345"),
    "length and chunks": (400, LINE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "an unknown coding": (400, LINE + b"Transfer-Encoding: gzip\r\n\r\n"),
    "a bad chunk": (400, LINE + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    "a long request line": (414, b"POST /" + b"a" * (MAX_HEAD + 70_000)),
    "a request line over the limit by a byte": (
        414,
        b"GET /" + b"a" * (MAX_HEAD - 15) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    "large headers": (431, LINE + b"X: " + b"a" * (MAX_HEAD + 70_000)),
    "headers over the limit by a byte": (431, LINE + b"X: " + b"a" * (MAX_HEAD - len(LINE) - 6) + b"\r\n\r\n"),
    "many headers": (431, LINE + b"X: a\r\n" * 20_000),
    "HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/3": (505, LINE.replace(b"HTTP/1.1", b"HTTP/3.0") + b"\r\n"),
    "HTTP/0.9 by name": (505, b"GET / HTTP/0.9\r\n\r\n"),
}


@pytest.mark.parametrize("row", [row for row, (_, data) in UNREADABLE.items() if data.startswith(LINE)])
def test_a_head_request_that_cannot_be_read(demo_server: Server, row: str) -> None:
    status, data = UNREADABLE[row]
    reply = exchange(demo_server, data.replace(b"POST", b"HEAD", 1))
    assert (reply.status, reply.headers["x-amzn-errortype"]) == (status, "BadRequestException")


@pytest.mark.parametrize("row", UNREADABLE)
def test_a_request_that_cannot_be_read(demo_server: Server, row: str) -> None:
    status, data = UNREADABLE[row]
    reply = exchange(demo_server, data)
    assert_error(reply, status, "BadRequestException")
    assert reply.is_closed


def test_headers_at_the_limit(demo_server: Server) -> None:
    filled = LINE + b"X: " + b"a" * (MAX_HEAD - len(LINE) - 7) + b"\r\n\r\n"
    assert (len(filled), exchange(demo_server, filled).status) == (MAX_HEAD, 200)


def test_messages_survive_any_character(demo_server: Server) -> None:
    value = "\"\\\x7f'<é日"
    reply = post(demo_server, path(quote(value)))
    message = f"1 validation error detected: Value '{value}' at 'imageSetId' failed to satisfy constraint: {PATTERN}"
    assert_error(reply, 400, "ValidationException", message)


# The other operations: all rows of the front end that ListImageSetVersions, without a body, does not have.

ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}"
UPDATE = operation_path("updateImageSetMetadata") + "?latestVersion=4"
ROLE = "arn:aws:iam::000000000000:role/importer"


class Row(NamedTuple):
    """A valid request of an operation. Without a ``body``, none is modelled."""

    name: str
    method: str
    target: str
    body: Any = None


ROWS = [
    Row("CreateDatastore", "POST", "/datastore", {"clientToken": "a"}),
    Row("GetDatastore", "GET", f"/datastore/{DATASTORE}"),
    Row("ListDatastores", "GET", "/datastore"),
    Row("DeleteDatastore", "DELETE", f"/datastore/{DATASTORE}"),
    Row(
        "StartDICOMImportJob",
        "POST",
        f"/startDICOMImportJob/datastore/{DATASTORE}",
        {"dataAccessRoleArn": ROLE, "clientToken": "a", "inputS3Uri": "s3://bucket/", "outputS3Uri": "s3://bucket/"},
    ),
    Row("GetDICOMImportJob", "GET", f"/getDICOMImportJob/datastore/{DATASTORE}/job/{UNKNOWN}"),
    Row("ListDICOMImportJobs", "GET", f"/listDICOMImportJobs/datastore/{DATASTORE}"),
    Row("SearchImageSets", "POST", f"/datastore/{DATASTORE}/searchImageSets", {}),
    Row("GetImageSet", "POST", operation_path("getImageSet")),
    Row("GetImageSetMetadata", "POST", operation_path("getImageSetMetadata")),
    Row("GetImageFrame", "POST", operation_path("getImageFrame"), {"imageFrameId": UNKNOWN}),
    Row("ListImageSetVersions", "POST", path()),
    Row("UpdateImageSetMetadata", "POST", UPDATE, {"revertToVersionId": "1"}),
    Row("CopyImageSet", "POST", operation_path("copyImageSet"), {"sourceImageSet": {"latestVersionId": "4"}}),
    Row("DeleteImageSet", "POST", operation_path("deleteImageSet")),
    Row("TagResource", "POST", f"/tags/{ARN}", {"tags": {"a": "b"}}),
    Row("UntagResource", "DELETE", f"/tags/{ARN}?tagKeys=a"),
    Row("ListTagsForResource", "GET", f"/tags/{ARN}"),
]
MISSING = {
    "GetImageFrame": (404, "ResourceNotFoundException", f"ImageFrame {UNKNOWN} of ImageSet {SAMPLE} was not found."),
    "GetDICOMImportJob": (404, "ResourceNotFoundException", f"Job {UNKNOWN} was not found in Datastore {DATASTORE}."),
    "DeleteDatastore": (409, "ConflictException", f"Datastore {DATASTORE} is not empty."),
}
"""The answers of operations that the demo does not suit."""

BLOBS = {"GetImageSetMetadata", "GetImageFrame"}
WITH_BODY = [row for row in ROWS if row.body is not None]


def ask(server: Server, row: Row, *headers: str, body: bytes | None = None) -> Reply:
    content = (b"" if row.body is None else json.dumps(row.body).encode()) if body is None else body
    return exchange(server, request(row.method, row.target, *headers, body=content))


def assert_reached(reply: Reply, row: Row) -> None:
    """Check that a request is valid: the operation is carried out, or finds nothing of that id."""
    if row.name in MISSING:
        assert_error(reply, *MISSING[row.name])
    else:
        assert reply.status == (204 if row.name in ("TagResource", "UntagResource") else 200), reply.body


def by_name(row: Row) -> str:
    return row.name


def test_the_rows_are_all_operations() -> None:
    assert {row.name for row in ROWS} == set(OPERATIONS_BY_NAME)
    assert all(operation.handler for operation in OPERATIONS_BY_NAME.values())


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_a_valid_request_reaches_its_operation(server: Server, row: Row) -> None:
    assert_reached(ask(server, row), row)


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=UTF-8", "APPLICATION/JSON", ""]
)
@pytest.mark.parametrize("row", WITH_BODY, ids=by_name)
def test_a_modelled_body_is_json(server: Server, row: Row, content_type: str) -> None:
    assert_reached(ask(server, row, f"Content-Type: {content_type}"), row)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-amz-json-1.1", "application/x-www-form-urlencoded", "json"]
)
@pytest.mark.parametrize("row", WITH_BODY, ids=by_name)
def test_another_content_type_of_a_modelled_body(demo_server: Server, row: Row, content_type: str) -> None:
    message = "The request body is JSON; its Content-Type must be application/json."
    reply = ask(demo_server, row, f"Content-Type: {content_type}")
    assert_error(reply, 415, "UnsupportedMediaTypeException", message)


@pytest.mark.parametrize(
    "body", [b"{}", b"nonsense", b'{"versionId": "1"}', b"\xff" * 1000], ids=lambda body: str(body[:9])
)
@pytest.mark.parametrize("row", [row for row in ROWS if row.body is None], ids=by_name)
def test_a_body_that_is_not_modelled_is_ignored(server: Server, row: Row, body: bytes) -> None:
    assert_reached(ask(server, row, "Content-Type: text/plain", body=body), row)


@pytest.mark.parametrize(
    "body", [b"nonsense", b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000], ids=lambda body: str(body[:9])
)
@pytest.mark.parametrize("row", WITH_BODY, ids=by_name)
def test_a_modelled_body_that_is_not_json(demo_server: Server, row: Row, body: bytes) -> None:
    assert_error(
        ask(demo_server, row, JSON, body=body), 400, "SerializationException", "The request body is not valid JSON."
    )


@pytest.mark.parametrize("body", [b"[]", b"1", b"true"])
@pytest.mark.parametrize("row", WITH_BODY, ids=by_name)
def test_a_modelled_body_that_is_no_structure(demo_server: Server, row: Row, body: bytes) -> None:
    place = {
        "SearchImageSets": "searchCriteria",
        "GetImageFrame": "imageFrameInformation",
        "UpdateImageSetMetadata": "updateImageSetMetadataUpdates",
        "CopyImageSet": "copyImageSetInformation",
    }.get(row.name, "the request body")
    message = f"Value at '{place}' can not be converted to a structure"
    assert_error(ask(demo_server, row, JSON, body=body), 400, "SerializationException", message)


@pytest.mark.parametrize("row", WITH_BODY, ids=by_name)
def test_an_unknown_member_is_ignored_at_any_depth(server: Server, row: Row) -> None:
    def with_unknown(value: Any) -> Any:
        if not isinstance(value, dict) or "a" in value:  # tags are a map
            return value
        return {name: with_unknown(each) for name, each in value.items()} | {"unknown": {"a": [1, None]}}

    assert_reached(ask(server, row, JSON, body=json.dumps(with_unknown(row.body)).encode()), row)


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("CreateDatastore", {"datastoreName": None, "tags": None, "kmsKeyArn": None}),
        ("StartDICOMImportJob", {"jobName": None, "importConfiguration": None}),
        ("SearchImageSets", {"filters": None, "sort": None}),
        ("UpdateImageSetMetadata", {"DICOMUpdates": None}),
        ("CopyImageSet", {"destinationImageSet": None}),
    ],
)
def test_null_for_an_optional_member_is_as_absent(server: Server, name: str, members: dict[str, None]) -> None:
    (row,) = (row for row in ROWS if row.name == name)
    assert_reached(ask(server, row, JSON, body=json.dumps(row.body | members).encode()), row)


def test_null_for_a_required_member_is_a_violation(demo_server: Server) -> None:
    message = (
        "1 validation error detected: Value null at 'imageFrameInformation.imageFrameId' failed to satisfy "
        "constraint: Member must not be null"
    )
    for body in (b'{"imageFrameId": null}', b"{}"):
        reply = post(demo_server, operation_path("getImageFrame"), JSON, body=body)
        assert_error(reply, 400, "ValidationException", message)


@pytest.mark.parametrize("body", [b"", b"null"])
def test_a_required_payload_that_is_not_there_is_a_violation(demo_server: Server, body: bytes) -> None:
    message = (
        "1 validation error detected: Value null at 'updateImageSetMetadataUpdates' failed to satisfy constraint: "
        "Member must not be null"
    )
    assert_error(post(demo_server, UPDATE, JSON, body=body), 400, "ValidationException", message)


@pytest.mark.parametrize("body", [b"", b"{}", b"null"])
def test_search_criteria_are_optional(demo_server: Server, body: bytes) -> None:
    reply = post(demo_server, f"/datastore/{DATASTORE}/searchImageSets?maxResults=50", JSON, body=body)
    assert (reply.status, len(json.loads(reply.body)["imageSetsMetadataSummaries"])) == (200, 18)


def test_a_summary_of_a_search_on_the_wire(demo_server: Server) -> None:
    """Unset members are null, the version is an integer, and the members stand in the order of their names."""
    created = {"operator": "BETWEEN", "values": [{"createdAt": 1680027126.436}, {"createdAt": 1680027126.436}]}
    criteria = json.dumps({"filters": [created], "sort": {"sortField": "updatedAt", "sortOrder": "DESC"}}).encode()
    reply = post(demo_server, f"/datastore/{DATASTORE}/searchImageSets?maxResults=1", JSON, body=criteria)
    token = json.loads(reply.body)["nextToken"]
    assert reply.body.decode() == (
        '{"imageSetsMetadataSummaries":[{"DICOMTags":{"DICOMAccessionNumber":null,'
        '"DICOMNumberOfStudyRelatedInstances":1,"DICOMNumberOfStudyRelatedSeries":1,"DICOMPatientBirthDate":null,'
        '"DICOMPatientId":"0000000000000000","DICOMPatientName":null,"DICOMPatientSex":null,"DICOMSeriesBodyPart":null,'
        '"DICOMSeriesInstanceUID":"2.25.39752617322223551112528028765338945892","DICOMSeriesModality":"OT",'
        '"DICOMSeriesNumber":1,"DICOMStudyDate":null,"DICOMStudyDescription":null,"DICOMStudyId":null,'
        '"DICOMStudyInstanceUID":"2.25.211833500341819418071429371577924032536","DICOMStudyTime":null},'
        '"createdAt":1680027126.436,"imageSetId":"00000000000000000000000000000137","isPrimary":null,'
        '"lastAccessedAt":null,"storageTier":"FREQUENT_ACCESS","updatedAt":1680268196.497,"version":137}],'
        f'"nextToken":"{token}","sort":{{"sortField":"updatedAt","sortOrder":"DESC"}}}}'
    )


@pytest.mark.parametrize(
    ("target", "body", "message"),
    [
        (
            UPDATE,
            {"revertToVersionId": 1},
            "at 'updateImageSetMetadataUpdates.revertToVersionId' can not be converted to a String",
        ),
        (
            UPDATE,
            {"DICOMUpdates": []},
            "at 'updateImageSetMetadataUpdates.DICOMUpdates' can not be converted to a structure",
        ),
        (
            UPDATE,
            {"DICOMUpdates": {"updatableAttributes": "not base64!"}},
            "at 'updateImageSetMetadataUpdates.DICOMUpdates.updatableAttributes' can not be converted to a Blob",
        ),
        (
            f"/datastore/{DATASTORE}/searchImageSets",
            {"filters": [{"operator": "EQUAL", "values": [{"isPrimary": 1}]}]},
            "at 'searchCriteria.filters.1.member.values.1.member.isPrimary' can not be converted to a Boolean",
        ),
        (
            f"/datastore/{DATASTORE}/searchImageSets",
            {"filters": {}},
            "at 'searchCriteria.filters' can not be converted to a List",
        ),
        ("/datastore", {"clientToken": "a", "tags": {"a": 1}}, "at 'tags.a' can not be converted to a String"),
        ("/datastore", {"clientToken": "a", "tags": []}, "at 'tags' can not be converted to a Map"),
    ],
)
def test_json_of_the_wrong_type(demo_server: Server, target: str, body: Any, message: str) -> None:
    reply = post(demo_server, target, JSON, body=json.dumps(body).encode())
    assert_error(reply, 400, "SerializationException", f"Value {message}")


@pytest.mark.parametrize("value", ["TRUE", "True", "1", "yes", ""])
@pytest.mark.parametrize(
    ("target", "name"),
    [
        (UPDATE, "force"),
        (UPDATE, "includeStudyImageSets"),
        (operation_path("copyImageSet") + "?", "promoteToPrimary"),
    ],
    ids=["force", "includeStudyImageSets", "promoteToPrimary"],
)
def test_a_boolean_that_is_neither_true_nor_false(demo_server: Server, target: str, name: str, value: str) -> None:
    message = f"Value '{value}' at '{name}' can not be converted to a Boolean"
    reply = post(demo_server, f"{target}&{name}={value}", JSON, body=b"{}")
    assert_error(reply, 400, "SerializationException", message)


@pytest.mark.parametrize("value", ["true", "false"])
def test_a_boolean_in_the_query(server: Server, value: str) -> None:
    assert post(server, f"{UPDATE}&force={value}", JSON, body=b'{"revertToVersionId": "1"}').status == 200


@pytest.mark.parametrize("row", WITH_BODY, ids=by_name)
def test_a_modelled_body_over_the_limit(demo_server: Server, row: Row) -> None:
    reply = ask(demo_server, row, JSON, body=b"x" * (MAX_BODY + 1))
    assert_error(reply, 413, "RequestEntityTooLargeException", TOO_LARGE)


@pytest.mark.parametrize("accept", NOT_ACCEPTABLE)
@pytest.mark.parametrize("row", [row for row in ROWS if row.name not in BLOBS], ids=by_name)
def test_accept_that_excludes_json_whatever_the_operation(demo_server: Server, row: Row, accept: str) -> None:
    message = "The service answers in application/json, which the Accept header excludes."
    assert_error(ask(demo_server, row, f"Accept: {accept}"), 406, "NotAcceptableException", message)


@pytest.mark.parametrize("accept", ["image/jph", "application/json", *ACCEPTABLE, *NOT_ACCEPTABLE])
@pytest.mark.parametrize("row", [row for row in ROWS if row.name in BLOBS], ids=by_name)
def test_a_blob_takes_any_accept(demo_server: Server, row: Row, accept: str) -> None:
    assert_reached(ask(demo_server, row, f"Accept: {accept}"), row)


def test_the_front_end_checks_size_then_accept_then_content_type_then_json_then_constraints(
    demo_server: Server,
) -> None:
    target = UPDATE.replace(SAMPLE, "UPPER") + "&force=x"
    mistakes = {"Content-Type: text/plain": JSON, "Accept: text/html": "Accept: */*"}
    wrong, right = [*mistakes], [*mistakes.values()]
    large = b"x" * (MAX_BODY + 1)
    codes = [
        post(demo_server, target.replace("/update", "/Update"), *wrong, body=large),
        post(demo_server, target, *wrong, body=large),
        post(demo_server, target, *wrong, body=b"x"),
        post(demo_server, target, wrong[0], right[1], body=b"x"),
        post(demo_server, target, *right, body=b"x"),
        post(demo_server, target, *right, body=b"{}"),
        post(demo_server, target.replace("force=x", "force=true"), *right, body=b"{}"),
    ]
    assert [reply.headers["x-amzn-errortype"] for reply in codes] == [
        "UnknownOperationException",
        "RequestEntityTooLargeException",
        "NotAcceptableException",
        "UnsupportedMediaTypeException",
        "SerializationException",
        "SerializationException",
        "ValidationException",
    ]


# Paths of the other operations.

EMPTY_ID = f"1 validation error detected: Value '' at 'datastoreId' failed to satisfy constraint: {PATTERN}"


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/datastore/"), ("DELETE", "/datastore/"), ("GET", "/listDICOMImportJobs/datastore/")],
)
def test_an_empty_data_store_id_is_not_the_list_of_data_stores(demo_server: Server, method: str, target: str) -> None:
    assert_error(exchange(demo_server, request(method, target)), 400, "ValidationException", EMPTY_ID)


@pytest.mark.parametrize("target", ["/datastore", "/datastore/"])
def test_create_datastore_takes_a_trailing_slash(demo_server: Server, target: str) -> None:
    reply = post(demo_server, target, JSON, body=b'{"clientToken": "a"}')
    assert (reply.status, json.loads(reply.body)["datastoreStatus"]) == (200, "CREATING")


@pytest.mark.parametrize(
    "arn",
    [ARN, quote(ARN, safe=""), quote(ARN, safe="/"), quote(ARN, safe=":"), quote(f"{ARN}/imageset/{SAMPLE}", safe="")],
)
@pytest.mark.parametrize("row", ROWS[-3:], ids=by_name)
def test_the_arn_of_tags_is_encoded_or_raw(demo_server: Server, row: Row, arn: str) -> None:
    assert_reached(ask(demo_server, row._replace(target=row.target.replace(ARN, arn))), row)


def test_an_arn_that_is_none(demo_server: Server) -> None:
    reply = exchange(demo_server, request("GET", "/tags/arn%3Aaws%3As3"))
    assert_error(
        reply,
        400,
        "ValidationException",
        "1 validation error detected: Value 'arn:aws:s3' at 'resourceArn' failed to satisfy constraint: Member must "
        "satisfy regular expression pattern: arn:aws((-us-gov)|(-iso)|(-iso-b)|(-cn))?:medical-imaging:[a-z0-9-]+:"
        "[0-9]{12}:datastore/[0-9a-z]{32}(/imageset/[0-9a-z]{32})?",
    )


# Statuses other than 200.


@pytest.mark.parametrize("row", [ROWS[-3], ROWS[-2]], ids=by_name)
def test_success_without_content(server: Server, emulator: Emulator, row: Row) -> None:
    emulator.faults.add(Fault.respond({}, operation=row.name))
    reply = ask(server, row)
    assert (reply.status, reply.body) == (204, b"")
    assert not {"content-length", "content-type", "transfer-encoding"} & set(reply.headers)
    assert uuid.UUID(reply.headers["x-amzn-requestid"])


def test_a_quota_that_is_exceeded(server: Server, emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("ServiceQuotaExceededException", operation="UpdateImageSetMetadata"))
    reply = post(server, UPDATE, JSON, body=b'{"revertToVersionId": "1"}')
    assert_error(reply, 402, "ServiceQuotaExceededException", "A service quota is exceeded.")


def test_a_limit_of_the_emulator_is_a_quota_too() -> None:
    with Emulator.from_seed(DEMO, max_versions=1, transition_reads=0).serve() as server:
        assert post(server, UPDATE, JSON, body=b'{"revertToVersionId": "1"}').status == 200
        target = UPDATE.replace("latestVersion=4", "latestVersion=5")
        reply = post(server, target, JSON, body=b'{"revertToVersionId": "1"}')
    message = "The emulator's limit is exceeded: 2 versions, but max_versions is 1."
    assert_error(reply, 402, "ServiceQuotaExceededException", message)


# GetImageSet, GetImageSetMetadata and UpdateImageSetMetadata.


def test_get_image_set_answers_with_all_its_members(server: Server) -> None:
    reply = post(server, operation_path("getImageSet") + "?version=2", JSON, body=b'{"versionId": "1"}')
    assert reply.headers["content-type"] == "application/json"
    assert reply.json == {
        "datastoreId": DATASTORE,
        "imageSetId": SAMPLE,
        "versionId": "2",
        "imageSetState": "ACTIVE",
        "imageSetWorkflowStatus": "COPY_FAILED",
        "createdAt": 1680027126.436,
        "updatedAt": 1680027455.944,
        "deletedAt": None,
        "message": COPY_FAILED,
        "imageSetArn": f"{ARN}/imageset/{SAMPLE}",
        "overrides": None,
        "isPrimary": None,
        "lastAccessedAt": None,
        "storageTier": "FREQUENT_ACCESS",
    }


def test_get_image_set_shows_the_update_of_version_1_and_the_list_does_not(demo_server: Server) -> None:
    first = post(demo_server, operation_path("getImageSet") + "?version=1").json
    assert first["updatedAt"] == first["createdAt"] == 1680027126.436
    assert post(demo_server, path()).json["imageSetPropertiesList"][-1]["updatedAt"] is None


@pytest.mark.parametrize("name", ["getImageSet", "getImageSetMetadata"])
def test_an_unknown_version(demo_server: Server, name: str) -> None:
    for version in ("5", "0", "01", "9" * 18):
        message = f"Version {version} of ImageSet {SAMPLE} was not found."
        reply = post(demo_server, f"{operation_path(name)}?version={version}")
        assert_error(reply, 404, "ResourceNotFoundException", message)


@pytest.mark.parametrize("name", ["getImageSet", "getImageSetMetadata", "listImageSetVersions"])
@pytest.mark.parametrize(
    ("image_set_id", "datastore_id", "message"),
    [
        (UNKNOWN, DATASTORE, f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."),
        (SAMPLE, UNKNOWN, f"Datastore {UNKNOWN} was not found."),
    ],
)
def test_an_unknown_resource_whatever_the_operation(
    demo_server: Server, name: str, image_set_id: str, datastore_id: str, message: str
) -> None:
    target = path(image_set_id, datastore_id).replace("listImageSetVersions", name)
    assert_error(post(demo_server, target), 404, "ResourceNotFoundException", message)


def test_a_version_that_is_no_number(demo_server: Server) -> None:
    for value in ("x", "", "-1", "%D9%A5", "1%0A"):
        message = (
            f"1 validation error detected: Value '{unquote(value)}' at 'versionId' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: \d+"
        )
        reply = post(demo_server, f"{operation_path('getImageSet')}?version={value}")
        assert_error(reply, 400, "ValidationException", message)


@pytest.mark.parametrize("encoding", ["identity", "gzip", "br", ""])
def test_metadata_is_gzip_whatever_encoding_is_asked_for(demo_server: Server, encoding: str) -> None:
    reply = post(demo_server, operation_path("getImageSetMetadata"), f"Accept-Encoding: {encoding}")
    assert reply.status == 200
    assert (reply.headers["content-type"], reply.headers["content-encoding"]) == ("application/json", "gzip")
    document = json.loads(gzip.decompress(reply.body))
    assert [document[name] for name in ("SchemaVersion", "DatastoreID", "ImageSetID")] == ["1.1", DATASTORE, SAMPLE]


def test_a_json_answer_is_never_compressed(demo_server: Server) -> None:
    reply = post(demo_server, path(), "Accept-Encoding: gzip, br")
    assert "content-encoding" not in reply.headers
    assert reply.json["nextToken"] is None


def test_the_answer_to_an_update(server: Server, emulator: Emulator) -> None:
    emulator.clock.freeze(1700000000.123)
    reply = post(server, UPDATE, JSON, body=b'{"revertToVersionId": "1"}')
    assert reply.json == {
        "datastoreId": DATASTORE,
        "imageSetId": SAMPLE,
        "latestVersionId": "5",
        "imageSetState": "LOCKED",
        "imageSetWorkflowStatus": "UPDATING",
        "createdAt": 1680027126.436,
        "updatedAt": 1700000000.123,
        "message": None,
    }


@pytest.mark.parametrize(
    ("query", "body", "status", "code", "message"),
    [
        (
            "",
            {"revertToVersionId": "1"},
            400,
            "ValidationException",
            "1 validation error detected: Value null at 'latestVersionId' failed to satisfy constraint: Member must "
            "not be null",
        ),
        (
            "?latestVersion=x",
            {"revertToVersionId": "x"},
            400,
            "ValidationException",
            r"2 validation errors detected: Value 'x' at 'latestVersionId' failed to satisfy constraint: Member must "
            r"satisfy regular expression pattern: \d+; Value 'x' at 'updateImageSetMetadataUpdates.revertToVersionId' "
            r"failed to satisfy constraint: Member must satisfy regular expression pattern: \d+",
        ),
        (
            "?latestVersion=3",
            {"revertToVersionId": "1"},
            404,
            "ResourceNotFoundException",
            "Requested version(s) of ImageSet(s) is not the latest.",
        ),
        (
            "?latestVersion=4",
            {"revertToVersionId": "9"},
            404,
            "ResourceNotFoundException",
            f"Version 9 of ImageSet {SAMPLE} was not found.",
        ),
        (
            "?latestVersion=4&includeStudyImageSets=true",
            {"revertToVersionId": "1"},
            400,
            "ValidationException",
            "includeStudyImageSets cannot be combined with revertToVersionId.",
        ),
    ],
)
def test_an_update_that_is_refused(
    demo_server: Server, query: str, body: Any, status: int, code: str, message: str
) -> None:
    target = operation_path("updateImageSetMetadata") + query
    assert_error(post(demo_server, target, JSON, body=json.dumps(body).encode()), status, code, message)


@pytest.mark.parametrize("body", [{}, {"revertToVersionId": "1", "DICOMUpdates": {}}], ids=["none", "both"])
def test_an_update_has_exactly_one_member_of_its_union(demo_server: Server, body: Any) -> None:
    reply = post(demo_server, UPDATE, JSON, body=json.dumps(body).encode())
    assert_error(reply, 400, "ValidationException")
    assert reply.json["message"].endswith("Member must have exactly one of [DICOMUpdates, revertToVersionId]")


def test_a_locked_image_set_refuses_a_write_and_its_metadata(server: Server, emulator: Emulator) -> None:
    emulator.image_set(DATASTORE, SAMPLE).append(image_set_state="LOCKED", image_set_workflow_status="UPDATING")
    target = UPDATE.replace("latestVersion=4", "latestVersion=5")
    reply = post(server, target, JSON, body=b'{"revertToVersionId": "1"}')
    assert_error(reply, 409, "ConflictException", f"ImageSet {SAMPLE} is LOCKED.")
    message = "Requested ImageSet metadata is not consistent yet. Please retry after a few seconds."
    assert_error(post(server, operation_path("getImageSetMetadata")), 409, "ConflictException", message)
    assert post(server, operation_path("getImageSetMetadata") + "?version=4").status == 200
    assert post(server, operation_path("getImageSet")).json["imageSetState"] == "LOCKED"


@pytest.mark.parametrize(
    ("name", "body"),
    [("getImageSetMetadata", None), ("updateImageSetMetadata?latestVersion=1", {"revertToVersionId": "1"})],
)
def test_a_deleted_image_set_is_shown_but_not_read_or_written(demo_server: Server, name: str, body: Any) -> None:
    deleted = "deleted".ljust(32, "0")
    assert post(demo_server, operation_path("getImageSet", deleted)).json["imageSetState"] == "DELETED"
    content = b"" if body is None else json.dumps(body).encode()
    message = f"ImageSet {deleted} was not found in Datastore {DATASTORE}."
    reply = post(demo_server, operation_path(name, deleted), JSON, body=content)
    assert_error(reply, 404, "ResourceNotFoundException", message)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            ROWS[0]._replace(body={}),
            "Value null at 'clientToken' failed to satisfy constraint: Member must not be null",
        ),
        (
            ROWS[2]._replace(target="/datastore?datastoreStatus=GONE"),
            "Value 'GONE' at 'datastoreStatus' failed to satisfy constraint: Member must satisfy enum value set: "
            "[CREATING, CREATE_FAILED, ACTIVE, DELETING, DELETED]",
        ),
        (
            ROWS[7]._replace(body={"filters": [{"operator": "LIKE", "values": [{"DICOMPatientId": "secret"}]}]}),
            "Value at 'searchCriteria.filters.1.member.operator' failed to satisfy constraint: Member must satisfy "
            "enum value set: [EQUAL, BETWEEN]",
        ),
        (
            ROWS[15]._replace(body={"tags": {"a b": "c"}}),
            "Value '{a b=c}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must "
            "have length less than or equal to 128, Member must have length greater than or equal to 1, Member must "
            "satisfy regular expression pattern: (?!aws:)[a-zA-Z+-=._:/]+]",
        ),
        (
            ROWS[16]._replace(target=f"/tags/{ARN}?tagKeys=a&tagKeys=%20"),
            "Value ' ' at 'tagKeys.2.member' failed to satisfy constraint: Member must satisfy regular expression "
            "pattern: (?!aws:)[a-zA-Z+-=._:/]+",
        ),
        (
            ROWS[16]._replace(target=f"/tags/{ARN}"),
            "Value null at 'tagKeys' failed to satisfy constraint: Member must not be null",
        ),
    ],
    ids=["token", "enum", "sensitive", "map", "list", "missing"],
)
def test_an_operation_that_is_not_emulated_is_validated_all_the_same(
    demo_server: Server, row: Row, message: str
) -> None:
    reply = ask(demo_server, row, JSON)
    assert_error(reply, 400, "ValidationException", f"1 validation error detected: {message}")


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_every_operation_can_be_throttled(server: Server, emulator: Emulator, row: Row) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", operation=row.name))
    assert_error(ask(server, row), 429, "ThrottlingException", "Rate exceeded")
