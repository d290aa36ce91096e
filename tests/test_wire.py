"""The contract, row by row, over a raw socket: what the service answers to what was sent."""

from __future__ import annotations

import json
import uuid
from urllib.parse import quote

import pytest

from healthimaging_emulator import Limits
from healthimaging_emulator.server.listener import Server

from .demo import DATASTORE, FIFTY_ONE, MANY, OTHER_DATASTORE, SAMPLE, UNKNOWN, path
from .raw import Client, Reply, exchange, request

MAX_HEAD, MAX_BODY = Limits().head, Limits().body


def post(server: Server, target: str, *headers: str, body: bytes = b"") -> Reply:
    return exchange(server, request("POST", target, *headers, body=body))


def assert_error(reply: Reply, status: int, code: str, message: str | None = None) -> None:
    assert (reply.status, reply.headers["x-amzn-errortype"]) == (status, code)
    assert reply.headers["content-type"] == "application/json"
    assert uuid.UUID(reply.headers["x-amzn-requestid"])
    assert list(reply.json) == ["message"]
    assert reply.json["message"] == message if message else reply.json["message"]


# Success.


def test_the_sample_that_aws_publishes(demo_server: Server) -> None:
    reply = post(demo_server, path())
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert uuid.UUID(reply.headers["x-amzn-requestid"])
    assert "x-amzn-errortype" not in reply.headers
    shared = {"imageSetId": SAMPLE, "imageSetState": "ACTIVE", "createdAt": 1680027126.436}
    message = "INVALID_REQUEST:  Series of SourceImageSet and DestinationImageSet don't match."
    assert reply.json == {
        "imageSetPropertiesList": [
            shared | {"versionId": "4", "ImageSetWorkflowStatus": "UPDATED", "updatedAt": 1680029436.304},
            shared | {"versionId": "3", "ImageSetWorkflowStatus": "UPDATED", "updatedAt": 1680029163.325},
            shared
            | {
                "versionId": "2",
                "ImageSetWorkflowStatus": "COPY_FAILED",
                "updatedAt": 1680027455.944,
                "message": message,
            },
            shared | {"versionId": "1", "ImageSetWorkflowStatus": "COPIED"},
        ]
    }


def test_every_request_has_an_id_of_its_own(demo_server: Server) -> None:
    assert len({post(demo_server, path()).headers["x-amzn-requestid"] for _ in range(5)}) == 5


def test_timestamps_are_numbers_of_at_most_three_decimals(demo_server: Server) -> None:
    text = post(demo_server, path(MANY)).body.decode()
    numbers = [each.split(":")[1] for each in text.replace("}", ",").split(",") if 'edAt"' in each]
    assert len(numbers) == 100
    assert all(len(number.partition(".")[2]) <= 3 and float(number) > 0 for number in numbers)


def test_null_is_never_written(demo_server: Server) -> None:
    for image_set in (SAMPLE, MANY, FIFTY_ONE, "deleted".ljust(32, "0")):
        assert b"null" not in post(demo_server, path(image_set)).body


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


def test_the_token_is_absent_on_the_last_page(demo_server: Server) -> None:
    first = post(demo_server, path(FIFTY_ONE)).json
    assert len(first["imageSetPropertiesList"]) == 50
    last = post(demo_server, f"{path(FIFTY_ONE)}?nextToken={first['nextToken']}").json
    assert [entry["versionId"] for entry in last["imageSetPropertiesList"]] == ["1"]
    assert "nextToken" not in last


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
        assert_error(reply, 400, "ValidationException")
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
    assert_error(post(demo_server, path(SAMPLE, OTHER_DATASTORE)), 404, "ResourceNotFoundException")


def test_an_unknown_image_set_is_reported_before_a_foreign_token(demo_server: Server) -> None:
    assert_error(post(demo_server, path(UNKNOWN) + "?nextToken=x"), 404, "ResourceNotFoundException")


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
    ("POST", "/_emulator"),
]


@pytest.mark.parametrize(("method", "target"), UNKNOWN_OPERATIONS)
def test_an_unknown_operation(demo_server: Server, method: str, target: str) -> None:
    reply = exchange(demo_server, request(method, target))
    if method == "HEAD":
        assert (reply.status, reply.headers["x-amzn-errortype"]) == (404, "UnknownOperationException")
        return
    assert_error(reply, 404, "UnknownOperationException")
    assert method in reply.json["message"]
    assert target in reply.json["message"]
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
    assert_error(post(demo_server, f"{path()}?maxResults={value}"), 400, "SerializationException")


def test_max_results_without_a_value(demo_server: Server) -> None:
    assert_error(post(demo_server, f"{path()}?maxResults"), 400, "SerializationException")


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


def test_a_body_over_the_limit(demo_server: Server) -> None:
    reply = post(demo_server, path(), body=b"x" * (MAX_BODY + 1))
    assert_error(reply, 413, "RequestEntityTooLargeException")
    assert reply.is_closed


def test_a_body_over_the_limit_is_refused_before_it_is_sent(demo_server: Server) -> None:
    with Client(demo_server) as client:
        client.send(request("POST", path()).replace(b"Length: 0", b"Length: 999999999"))
        assert_error(client.receive(), 413, "RequestEntityTooLargeException")


def test_a_chunked_body_over_the_limit(demo_server: Server) -> None:
    head = request("POST", path(), "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    reply = exchange(demo_server, head + chunk * 17)
    assert_error(reply, 413, "RequestEntityTooLargeException")
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
    assert_error(post(demo_server, path(), f"Accept: {accept}"), 406, "NotAcceptableException")


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
    assert f"Value '{value}' at 'imageSetId'" in json.loads(reply.body)["message"]
