"""The WSGI application: what it reads from any server, which paths are Flask's, and how it can be mounted."""

from __future__ import annotations

import io
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.validate import validator

import boto3
import pytest
from botocore.config import Config
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import create_environ

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.messages import Request
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.transports.environment import make_endpoint
from healthimaging_emulator.transports.targets import origin_form
from healthimaging_emulator.transports.wsgi import read_request
from tests.demo import DATASTORE, MANY, SAMPLE, path
from tests.raw import HANG_SECONDS, Client, exchange, request

from .clients import IDS, newest

# A WSGI environment becomes a request.


def read(environ: dict[str, Any], max_body: int = 100) -> Request:
    return read_request({"REQUEST_METHOD": "POST", "PATH_INFO": "/", "wsgi.input": io.BytesIO()} | environ, max_body)


@pytest.mark.parametrize(
    ("environ", "path", "query"),
    [
        ({"RAW_URI": "/a%2Fb?c=%20", "QUERY_STRING": "c=%20"}, "/a%2Fb", "c=%20"),
        ({"REQUEST_URI": "/a%2Fb"}, "/a%2Fb", ""),
        ({"RAW_URI": "/raw", "REQUEST_URI": "/request"}, "/raw", ""),
        ({"REQUEST_URI": "http://h/a?b?c", "QUERY_STRING": "b?c"}, "/a", "b?c"),
        ({"REQUEST_URI": "http://h"}, "/", ""),
        ({"REQUEST_URI": "http://h?a=b", "QUERY_STRING": "a=b"}, "/", "a=b"),
        ({"REQUEST_URI": "//a//b"}, "/a//b", ""),
        ({"REQUEST_URI": "*"}, "/*", ""),
        ({"PATH_INFO": "/a b/\xc3\xa9%", "QUERY_STRING": "x=1"}, "/a%20b/%C3%A9%25", "x=1"),
        ({"PATH_INFO": "/a"}, "/a", ""),
        ({"PATH_INFO": ""}, "/", ""),
        ({"PATH_INFO": "//a//b"}, "/a//b", ""),
        ({"RAW_URI": "/a", "QUERY_STRING": "b"}, "/a", "b"),  # Flask's test client
        ({"asgi.scope": {"raw_path": b"/a%2Fb"}, "PATH_INFO": "/a/b", "QUERY_STRING": "c"}, "/a%2Fb", "c"),  # a2wsgi
        ({"asgi.scope": {"raw_path": None}, "PATH_INFO": "/a b"}, "/a%20b", ""),
        ({"asgi.scope": {}, "PATH_INFO": "/a"}, "/a", ""),
    ],
)
def test_path_and_query_are_as_the_client_sent_them(environ: dict[str, Any], path: str, query: str) -> None:
    found = read(environ)
    assert (found.path, found.query) == (path, query)


@pytest.mark.parametrize(
    ("prefix", "raw", "path"),
    [
        ("/aws", "/aws/datastore", "/datastore"),
        ("/aws", "/aws/a%2Fb/aws/c", "/a%2Fb/aws/c"),
        ("/aws", "/%61ws/datastore", "/datastore"),
        ("/aws", "/%61%77%73/datastore", "/datastore"),
        ("/aws", "/aws", "/"),
        ("/aws", "/aws/", "/"),
        ("/aws", "/aws?x=/aws", "/"),
        ("/aws", "http://host/aws/datastore", "/datastore"),
        ("/a/b", "/a%2Fb/datastore", "/datastore"),
        ("/a b", "/a%20b/datastore", "/datastore"),
        ("/\xc3\xa9", "/%C3%A9/datastore", "/datastore"),
        ("/\xc3\xa9", "/%c3%a9/%C3%A9", "/%C3%A9"),
        ("/aws", "/elsewhere/datastore", "/elsewhere/datastore"),  # a server that has rewritten the path
        ("", "/aws/datastore", "/aws/datastore"),
    ],
)
def test_under_a_prefix_the_raw_path_loses_the_characters_that_decode_to_it(prefix: str, raw: str, path: str) -> None:
    assert read({"SCRIPT_NAME": prefix, "RAW_URI": raw}).path == path


def test_under_a_prefix_the_raw_path_of_asgi_loses_it_too() -> None:
    scope = {"raw_path": b"/a%20b/c%2Fd"}
    assert read({"SCRIPT_NAME": "/a b", "PATH_INFO": "/c/d", "asgi.scope": scope}).path == "/c%2Fd"


def test_under_a_prefix_the_decoded_path_is_as_it_is() -> None:
    assert read({"SCRIPT_NAME": "/aws", "PATH_INFO": "/a b"}).path == "/a%20b"


@pytest.mark.parametrize(
    ("target", "origin"),
    [
        ("/a?b=http://c/d", "/a?b=http://c/d"),
        ("http://h/a", "/a"),
        ("HTTPS://user@h:81/a?b", "/a?b"),
        ("http://h", ""),
        ("//h/a", "//h/a"),
        ("h:80", "h:80"),
    ],
)
def test_the_absolute_form_of_a_target_loses_scheme_and_host(target: str, origin: str) -> None:
    assert origin_form(target) == origin


def test_headers_have_lower_case_names_and_the_two_without_a_prefix_are_among_them() -> None:
    found = read(
        {
            "HTTP_HOST": "runtime-x",
            "HTTP_AMZ_SDK_REQUEST": "attempt=1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": "0",
        }
    )
    assert found.headers == {
        "host": "runtime-x",
        "amz-sdk-request": "attempt=1",
        "content-type": "application/json",
        "content-length": "0",
    }
    assert read({"CONTENT_TYPE": "", "CONTENT_LENGTH": ""}).headers == {}


class Stream(io.BytesIO):
    """A body that notes how many bytes the application asks for."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.asked: list[int | None] = []

    def read(self, size: int | None = -1, /) -> bytes:
        self.asked.append(size)
        return super().read(size)


def test_a_body_of_a_known_length_is_read_and_nothing_behind_it() -> None:
    stream = Stream(b"12345behind")
    found = read({"CONTENT_LENGTH": "5", "wsgi.input": stream})
    assert (found.body, found.size, stream.asked) == (b"12345", 5, [5])


def test_a_body_at_the_limit_is_read_and_one_beyond_it_is_not() -> None:
    stream = Stream(b"x" * 101)
    at = read({"CONTENT_LENGTH": "100", "wsgi.input": Stream(b"x" * 100)})
    beyond = read({"CONTENT_LENGTH": "101", "wsgi.input": stream})
    assert (len(at.body), at.size) == (100, 100)
    assert (beyond.body, beyond.size, stream.asked) == (b"", 101, [])


def test_a_chunked_body_is_read_where_the_server_ends_it() -> None:
    chunked: dict[str, Any] = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    found = read(chunked | {"wsgi.input": Stream(b"12345")})
    assert (found.body, found.size) == (b"12345", 5)
    stream = Stream(b"x" * 1000)
    beyond = read(chunked | {"wsgi.input": stream})
    assert (beyond.size, stream.asked) == (101, [101])


@pytest.mark.parametrize(
    "environ",
    [{"wsgi.input": io.BytesIO(b"12345")}, {"wsgi.input": Stream(b"12345"), "asgi.scope": {}}],
    ids=["hypercorn", "a2wsgi"],
)
def test_a_chunked_body_is_read_if_it_is_whole_or_ends_by_asgi(environ: dict[str, Any]) -> None:
    assert read(environ | {"HTTP_TRANSFER_ENCODING": "chunked"}).body == b"12345"


@pytest.mark.parametrize("length", [None, "", "-5", "abc", "+5", "5_0", "\u0665", "9" * 19])
def test_without_a_length_a_body_that_may_not_end_is_not_read(length: str | None) -> None:
    environ: dict[str, Any] = {} if length is None else {"CONTENT_LENGTH": length}
    stream = Stream(b"12345")
    found = read(environ | {"wsgi.input": stream})
    assert (found.body, found.size, stream.asked) == (b"", 0, [])


# Which paths are Flask's.


class Answer(NamedTuple):
    status: int
    kind: str
    headers: dict[str, str]
    body: bytes


def ask(server: Server, method: str, target: str) -> Answer:
    reply = exchange(server, request(method, target))
    is_service = "x-amzn-requestid" in reply.headers
    return Answer(reply.status, "service" if is_service else "control", reply.headers, reply.body)


@pytest.mark.parametrize(
    ("target", "status", "kind"),
    [
        ("/_emulator", 302, "control"),
        ("/_emulator/health", 200, "control"),
        ("/_emulator/health?", 200, "control"),
        ("/_emulator/nothing", 404, "control"),
        ("/_emulator//health", 404, "control"),
        ("/%5Femulator/health", 400, "control"),
        ("/_emulator%2Fhealth", 400, "control"),
        ("http://example.org/_emulator/health", 200, "control"),
        ("//_emulator/health", 200, "control"),
        ("/_emulatorx", 404, "service"),
        ("/_emulatorx/health", 404, "service"),
        ("/_emulato", 404, "service"),
        ("/_Emulator/health", 404, "service"),
        ("/x/_emulator/health", 404, "service"),
        ("/_emulator.", 404, "service"),
        ("/", 404, "service"),
        ("/health", 404, "service"),
        ("/datastore/_emulator", 400, "service"),
        ("/static/x", 404, "service"),
    ],
)
def test_only_paths_at_or_below_the_control_prefix_are_flasks(
    demo_server: Server, target: str, status: int, kind: str
) -> None:
    assert ask(demo_server, "GET", target)[:2] == (status, kind)


@pytest.mark.parametrize(
    ("target", "escape"),
    [
        ("/_emulator/accounts/%39", "%39"),
        ("/_emulator/%61ccounts/9", "%61"),
        ("/_emulator/accounts%2f9", "%2f"),
        ("/%5Femulator/accounts/9", "%5F"),
        *((f"/_emulator/%{ord(each):02X}", f"%{ord(each):02X}") for each in "-./09AOPZ_aopz~"),
    ],
)
def test_an_escape_that_no_client_needs_is_refused_by_the_control_api(
    demo_server: Server, target: str, escape: str
) -> None:
    answer = ask(demo_server, "PUT", target)
    assert (answer.status, answer.kind) == (400, "control")
    message = f"invalid path: expected no escape {escape}"
    assert json.loads(answer.body) == {"error": {"code": "BadRequest", "message": message}}
    assert "x-emulator-generation" in answer.headers


@pytest.mark.parametrize("escape", ["%20", "%2B", "%3A", "%40", "%5B", "%60", "%7B", "%7F", "%C3%A9", "%255F", "%"])
def test_other_escapes_are_taken_by_the_control_api(demo_server: Server, escape: str) -> None:
    assert ask(demo_server, "GET", f"/_emulator/faults/{escape}").status == 404


def test_the_query_may_have_any_escape(demo_server: Server) -> None:
    assert ask(demo_server, "GET", "/_emulator/calls?code=%61").status == 200


def test_flask_answers_in_json_without_a_page_of_its_own(demo_server: Server) -> None:
    answer = ask(demo_server, "GET", "/_emulator/nothing")
    assert answer.headers["content-type"] == "application/json"
    message = "there is no GET /_emulator/nothing: /_emulator/openapi.json describes what there is"
    assert json.loads(answer.body) == {"error": {"code": "NotFound", "message": message}}


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (path(), 404),
        (f"/datastore/{DATASTORE}", 404),
        ("/_emulator/health", 200),
        ("/_emulator/nothing", 404),
    ],
)
def test_head_is_answered_with_the_headers_alone(demo_server: Server, target: str, status: int) -> None:
    with Client(demo_server) as client:
        client.send(request("HEAD", target))
        head = client.receive(is_head=True)
        client.send(request("POST", path()))  # a body would be read as the beginning of this answer
        assert client.receive().status == 200
    assert head.status == status
    assert int(head.headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("method", "target"),
    [("HEAD", path()), ("HEAD", "/_emulator/health"), ("DELETE", "/_emulator/calls"), ("OPTIONS", "/"), ("GET", "/")],
)
def test_an_answer_without_a_body_has_one_empty_chunk(method: str, target: str) -> None:
    """Without any chunk, hypercorn sends 500."""
    app = Emulator.from_seed(cors_origins=["*"]).app
    environ = create_environ(
        target, method=method, headers={"Access-Control-Request-Method": "PUT", "Accept": "text/html"}
    )
    assert list(app.wsgi_app(environ, lambda *_: io.BytesIO().write)) == [b""]


def test_the_application_itself_sends_no_body_to_head(emulator: Emulator) -> None:
    """Some servers send the body that an application gives them, also to HEAD."""
    started: dict[str, str] = {}

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[[bytes], object]:
        started.update(headers, status=status)
        return io.BytesIO().write

    chunks = emulator.app({"REQUEST_METHOD": "HEAD", "PATH_INFO": path()}, start_response)
    assert b"".join(chunks) == b""
    assert (started["status"], started["x-amzn-ErrorType"]) == ("404 Not Found", "UnknownOperationException")
    assert int(started["Content-Length"]) > 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])
def test_other_methods_on_the_path_of_an_operation_are_unknown_operations(demo_server: Server, method: str) -> None:
    answer = ask(demo_server, method, path())
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (404, "UnknownOperationException")
    assert not {"allow", "location"} & set(answer.headers)


# Under a prefix of another application.


@contextmanager
def serve(app: Any) -> Iterator[Server]:
    with Server(app) as server:
        yield server


class ThreadingServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class SilentHandler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serve_with_wsgiref(app: Any) -> Iterator[Any]:
    """Serve with a server that hands over neither raw path nor exchange. It checks both sides of the interface."""
    with make_server(
        "127.0.0.1", 0, validator(app), server_class=ThreadingServer, handler_class=SilentHandler
    ) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


Serve = Callable[[Any], Any]
SERVERS = pytest.mark.parametrize("serve", [serve, serve_with_wsgiref])


def get_port(server: Any) -> int:
    return int(server.server_address[1] if isinstance(server, WSGIServer) else server.port)


def fetch(
    server: Any, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", get_port(server), timeout=HANG_SECONDS)
    try:
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def make_client(server: Any, prefix: str = "") -> Any:
    return boto3.client(
        "medical-imaging",
        "us-east-1",
        endpoint_url=make_endpoint(f"http://127.0.0.1:{get_port(server)}{prefix}"),
        aws_access_key_id="111111111111",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )


def mount(emulator: Emulator, prefix: str = "/aws") -> Any:
    main = Flask("main")
    main.add_url_rule("/", view_func=lambda: "main")
    return DispatcherMiddleware(main, {prefix: emulator.app})


@SERVERS
def test_under_a_prefix_service_and_control_api_both_work(emulator: Emulator, serve: Serve) -> None:
    with serve(mount(emulator)) as server:
        client = make_client(server, "/aws")
        assert newest(client) == "4"
        pages = client.get_paginator("list_image_set_versions").paginate(datastoreId=DATASTORE, imageSetId=MANY)
        assert [len(page["imageSetPropertiesList"]) for page in pages] == [50, 50, 37]
        client.close()
        headers = {"x-emulator-account": "111111111111"}
        status, _, body = fetch(server, "GET", "/aws/_emulator/calls", headers=headers)
        assert (status, len(json.loads(body)["calls"])) == (200, 4)
        fault = json.dumps([{"error": {"code": "ConflictException"}}]).encode()
        added = {"Content-Type": "application/json"} | headers
        assert fetch(server, "POST", "/aws/_emulator/faults", fault, added)[0] == 200
    assert len(emulator.account("111111111111").faults) == 1


@SERVERS
def test_beside_the_prefix_is_the_other_application(emulator: Emulator, serve: Serve) -> None:
    with serve(mount(emulator)) as server:
        assert fetch(server, "GET", "/")[2] == b"main"
        assert fetch(server, "GET", "/_emulator/health")[0] == 404
        assert fetch(server, "POST", path())[0] == 404
    assert emulator.calls == []


def test_under_a_prefix_labels_are_still_raw(emulator: Emulator) -> None:
    with serve(mount(emulator, "/a b")) as server:
        status, headers, body = fetch(server, "POST", "/a%20b" + path("a%2Fb"))
        assert (status, headers["x-amzn-errortype"]) == (400, "ValidationException")
        assert "Value 'a/b' at 'imageSetId'" in json.loads(body)["message"]
        assert fetch(server, "POST", "/%61%20b" + path())[0] == 200
        assert fetch(server, "GET", "/a%20b/_emulatorx")[1]["x-amzn-errortype"] == "UnknownOperationException"


# Under another server.


def test_another_server_serves_service_and_control_api(emulator: Emulator) -> None:
    with serve_with_wsgiref(emulator.app) as server:
        client = make_client(server)
        assert newest(client) == "4"
        metadata = client.get_image_set_metadata(**IDS)
        assert metadata["imageSetMetadataBlob"].read()[:2] == b"\x1f\x8b"
        client.close()
        assert fetch(server, "GET", "/_emulator/health")[0] == 200
        assert fetch(server, "POST", path(SAMPLE.upper()))[0] == 400
        assert fetch(server, "GET", "/_emulatorx")[1]["x-amzn-errortype"] == "UnknownOperationException"
        status, headers, body = fetch(server, "HEAD", path())
        assert (status, headers["x-amzn-errortype"], body) == (404, "UnknownOperationException", b"")
    assert len(emulator.account("111111111111").calls) == 2


def test_a_server_that_decodes_the_path_makes_an_encoded_slash_end_a_label(emulator: Emulator) -> None:
    with serve_with_wsgiref(emulator.app) as server:
        status, headers, _ = fetch(server, "POST", path("a%2Fb"))
        assert (status, headers["x-amzn-errortype"]) == (404, "UnknownOperationException")
        arn = f"arn%3Aaws%3Amedical-imaging%3Aus-east-1%3A000000000000%3Adatastore%2F{DATASTORE}"
        status, _, body = fetch(server, "GET", f"/tags/{arn}")  # an ARN may hold slashes
        assert (status, json.loads(body)) == (200, {"tags": {}})


def test_a_body_reaches_the_service_under_another_server(emulator: Emulator) -> None:
    target = path().replace("listImageSetVersions", "updateImageSetMetadata") + "?latestVersion=4"
    with serve_with_wsgiref(emulator.app) as server:
        headers = {"Content-Type": "application/json"}
        assert fetch(server, "POST", target, b'{"revertToVersionId": "1"}', headers)[0] == 200
        too_large = {"Content-Length": str(emulator.settings.max_body + 1)}  # refused before it is sent
        assert fetch(server, "POST", target, None, too_large)[0] == 413
    assert emulator.image_set(DATASTORE, SAMPLE).versions[0].version_id == "5"


def test_a_chunked_body_reaches_the_service(emulator: Emulator) -> None:
    target = path().replace("listImageSetVersions", "updateImageSetMetadata") + "?latestVersion=4"
    with emulator.serve() as server:
        connection = HTTPConnection(server.host, server.port, timeout=HANG_SECONDS)
        connection.request("POST", target, iter([b'{"revertTo', b'VersionId": "1"}']), encode_chunked=True)
        assert connection.getresponse().status == 200
        connection.close()
    assert emulator.image_set(DATASTORE, SAMPLE).versions[0].version_id == "5"


@pytest.mark.parametrize("fault", [Fault.connection("reset"), Fault.connection("cut")], ids=["reset", "cut"])
def test_a_server_that_cannot_break_a_connection_answers_with_an_error_and_the_log_says_why(
    emulator: Emulator, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    emulator.faults.add(fault)
    with serve_with_wsgiref(emulator.app) as server:
        status, headers, _ = fetch(server, "POST", path())
    assert (status, headers["x-amzn-errortype"]) == (500, "InternalServerException")
    (record,) = caplog.records
    assert record.exc_info
    assert str(record.exc_info[1]) == (
        "only the emulator's own server, or its in-process client, can break a connection"
    )


def test_latency_works_under_any_server(emulator: Emulator) -> None:
    emulator.faults.add(Fault.latency(0.01))
    with serve_with_wsgiref(emulator.app) as server:
        assert fetch(server, "POST", path())[0] == 200
    assert emulator.calls[0].attempts[0].delay == 0.01
