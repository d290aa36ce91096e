"""The WSGI side of the server: environments made of requests, responses collected from applications."""

from __future__ import annotations

import logging
from typing import Any
from wsgiref.validate import validator

import pytest

from healthimaging_emulator.messages import Exchange, Response
from healthimaging_emulator.server.gateway import (
    build_base_environ,
    build_environ,
    call_application,
    is_control,
    split_target,
)
from healthimaging_emulator.server.http1 import Body, Head
from healthimaging_emulator.transports.targets import EXCHANGE_KEY

EMPTY = Body(b"", 0)


def build(*headers: tuple[str, str], target: str = "/a", body: Body = EMPTY, **base: Any) -> dict[str, Any]:
    head = Head("POST", target, "1.1", list(headers), keeps_alive=True)
    return build_environ(build_base_environ("127.0.0.1", 80, **base), head, body, Exchange())


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/a/b?c=d", "/a/b", "c=d"),
        ("/a%2Fb%C3%A9?c=%20?", "/a/b\xc3\xa9", "c=%20?"),
        ("//a//b/", "/a//b/", ""),
        ("http://x:80/a?b", "/a", "b"),
        ("HTTPS://x?b", "/", "b"),
        ("http://x", "/", ""),
        ("*", "/*", ""),
        ("a.b:443", "/a.b:443", ""),
        ("/http://x/a", "/http://x/a", ""),
    ],
)
def test_a_target_is_split(target: str, path: str, query: str) -> None:
    assert split_target(target) == (path, query)
    environ = build(target=target)
    assert (environ["PATH_INFO"], environ["QUERY_STRING"], environ["RAW_URI"]) == (path, query, target)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/_emulator", True),
        ("/_emulator/", True),
        ("/_emulator/seed?x", True),
        ("//_emulator/seed", True),
        ("/%5Femulator/seed", True),
        ("http://x/_emulator/seed", True),
        ("/_emulators", False),
        ("/a/_emulator/seed", False),
        ("/?/_emulator/seed", False),
    ],
)
def test_the_control_api_is_told_by_the_path(target: str, expected: bool) -> None:
    assert is_control(target) is expected


def test_headers_become_keys() -> None:
    environ = build(
        ("host", "x"), ("content-type", "a/b"), ("x-new", "1"), ("x-new", "2"), ("x_new", "3"), ("x-amz-date", "4")
    )
    assert {key: value for key, value in environ.items() if key.startswith(("HTTP_", "CONTENT_"))} == {
        "HTTP_HOST": "x",
        "HTTP_X_NEW": "1,2",
        "HTTP_X_AMZ_DATE": "4",
        "CONTENT_TYPE": "a/b",
        "CONTENT_LENGTH": "0",
    }


def test_a_chunked_body_has_a_length() -> None:
    environ = build(("transfer-encoding", "chunked"), body=Body(b"abc", 3))
    assert (environ["CONTENT_LENGTH"], environ["wsgi.input"].read()) == ("3", b"abc")
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_a_body_over_the_limit_has_its_length_only() -> None:
    environ = build(("content-length", "99"), body=Body(b"", 99))
    assert (environ["CONTENT_LENGTH"], environ["wsgi.input"].read()) == ("99", b"")


def test_an_environ_knows_its_exchange_and_shares_nothing() -> None:
    base, exchange = build_base_environ("x", 1), Exchange()
    before = dict(base)
    environ = build_environ(base, Head("GET", "/", "1.0", [("a", "b")], keeps_alive=False), EMPTY, exchange)
    assert environ[EXCHANGE_KEY] is exchange
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert base == before


def test_errors_of_an_application_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    print("it broke", file=build()["wsgi.errors"])
    assert caplog.record_tuples == [("healthimaging_emulator", logging.ERROR, "it broke")]


def test_it_is_wsgi() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("X", environ["wsgi.url_scheme"])])
        return [b"a", b"b"]

    environ = build(("host", "x"), ("accept", "*/*"), scheme="https")
    del environ["CONTENT_TYPE"]  # the validator wants none where others want it empty
    response = call_application(validator(app), environ)
    assert response == Response(200, {"Content-Type": "text/plain", "X": "https"}, b"ab")


def test_what_is_written_comes_before_what_is_returned() -> None:
    def app(_: object, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"a")
        return [b"b"]

    assert call_application(app, {}) == Response(200, {}, b"ab")


def test_the_last_start_counts_and_repeated_headers_are_joined() -> None:
    def app(_: object, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("A", "b")])
        start_response("404 Not Found", [("Vary", "a"), ("B", "c"), ("Vary", "b")], None)
        return []

    assert call_application(app, {}) == Response(404, {"Vary": "a, b", "B": "c"}, b"")


def test_an_iterable_is_closed_even_if_it_breaks() -> None:
    closed = []

    class Chunks:
        def __iter__(self) -> Any:
            raise RuntimeError("broken")

        def close(self) -> None:
            closed.append(self)

    with pytest.raises(RuntimeError, match="broken"):
        call_application(lambda *_: Chunks(), {})
    assert len(closed) == 1
