"""HTTP/1.1 without sockets: requests, limits and refusals, however the bytes are split."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healthimaging_emulator.messages import Response
from healthimaging_emulator.server.http1 import Body, Head, Refused, RequestReader, Signal, write_head

MAX_HEAD = 200
MAX_BODY = 20
MAX_CONTROL_BODY = 40
LINE = b"POST /a%2Fb?c=d HTTP/1.1\r\nHost: x\r\n"
CHUNKED = LINE + b"Transfer-Encoding: chunked\r\n\r\n"
TLS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


def max_body(target: str) -> int:
    return MAX_CONTROL_BODY if target == "/control" else MAX_BODY


def make_reader(max_head: int = MAX_HEAD) -> RequestReader:
    return RequestReader(max_head, max_body)


def read(pieces: list[bytes], *, is_ended: bool = True, max_head: int = MAX_HEAD) -> list[Any]:
    """Return the events of all requests in the pieces, without those that tell only how the bytes were split."""
    reader, waiting = make_reader(max_head), [*pieces, *([b""] if is_ended else [])]
    events: list[Any] = []
    while True:
        event = reader.next_event()
        if event is Signal.NEED_DATA:
            if not waiting:
                return events
            reader.receive(waiting.pop(0))
        elif event is not Signal.SEND_CONTINUE:
            events.append(event)
        if event is Signal.CLOSED or isinstance(event, Refused):
            return events
        if isinstance(event, Body):
            if not event.is_complete:
                return events
            reader.start_next()


def head(target: str = "/a%2Fb?c=d", *headers: tuple[str, str], **changes: Any) -> Head:
    return Head("POST", target, "1.1", [("host", "x"), *headers], keeps_alive=True)._replace(**changes)


def filled(size: int, before: bytes = LINE, after: bytes = b"\r\n\r\n") -> bytes:
    """Return a head of ``size`` bytes."""
    before += b"X: "
    return before + b"a" * (size - len(before) - len(after)) + after


LENGTH_5 = ("content-length", "5")
IN_CHUNKS = ("transfer-encoding", "chunked")
UPGRADE = (("connection", "Upgrade"), ("upgrade", "x"))
EMPTY = Body(b"", 0)

READABLE = {
    "no body": (LINE + b"\r\n", [head(), EMPTY]),
    "a length of 0": (LINE + b"Content-Length: 0\r\n\r\n", [head("/a%2Fb?c=d", ("content-length", "0")), EMPTY]),
    "a length of 00": (LINE + b"Content-Length: 00\r\n\r\n", [head("/a%2Fb?c=d", ("content-length", "00")), EMPTY]),
    "a body": (LINE + b"Content-Length: 5\r\n\r\n12345", [head("/a%2Fb?c=d", LENGTH_5), Body(b"12345", 5)]),
    "a length with zeros in front": (
        LINE + b"Content-Length: 00000000000000000005\r\n\r\n12345",
        [head("/a%2Fb?c=d", ("content-length", "00000000000000000005")), Body(b"12345", 5)],
    ),
    "chunks": (
        CHUNKED + b"3\r\nabc\r\n00a;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
        [head("/a%2Fb?c=d", IN_CHUNKS), Body(b"abc0123456789", 13)],
    ),
    "a chunk extension in quotes": (
        CHUNKED + b'3;x="a;\\"b";y\r\nabc\r\n0;z\r\n\r\n',
        [head("/a%2Fb?c=d", IN_CHUNKS), Body(b"abc", 3)],
    ),
    "trailers with names of headers": (
        CHUNKED + b"1\r\na\r\n0\r\nHost: y\r\nConnection: close\r\n\r\n" + LINE + b"\r\n",
        [head("/a%2Fb?c=d", IN_CHUNKS), Body(b"a", 1), head(), EMPTY],
    ),
    "line feeds in chunks": (
        CHUNKED + b"5\r\n\n\na\r\n\r\n1\r\n\n\r\n0\r\n\r\n",
        [head("/a%2Fb?c=d", IN_CHUNKS), Body(b"\n\na\r\n\n", 6)],
    ),
    "the coding in any case": (
        LINE + b"Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        [head("/a%2Fb?c=d", ("transfer-encoding", "Chunked")), Body(b"a", 1)],
    ),
    "no chunks": (CHUNKED + b"0\r\n\r\n", [head("/a%2Fb?c=d", IN_CHUNKS), EMPTY]),
    "one after the other": (
        LINE + b"Content-Length: 5\r\n\r\n12345" + CHUNKED + b"1\r\na\r\n0\r\n\r\n" + LINE + b"\r\n",
        [head("/a%2Fb?c=d", LENGTH_5), Body(b"12345", 5), head("/a%2Fb?c=d", IN_CHUNKS), Body(b"a", 1), head(), EMPTY],
    ),
    "more at once than a head may have": ((LINE + b"\r\n") * 20, [head(), EMPTY] * 20),
    "absolute form": (b"POST http://y/z HTTP/1.1\r\nHost: x\r\n\r\n", [head("http://y/z"), EMPTY]),
    "asterisk form": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", [head("*", method="OPTIONS"), EMPTY]),
    "any target": (b'POST a"#<>[\\]^`{|}~ HTTP/1.1\r\nHost: x\r\n\r\n', [head('a"#<>[\\]^`{|}~'), EMPTY]),
    "an unknown method": (LINE.replace(b"POST", b"Fr*b!") + b"\r\n", [head(method="Fr*b!"), EMPTY]),
    "an unknown method with a body": (
        LINE.replace(b"POST", b"FROB") + b"Content-Length: 5\r\n\r\n12345" + LINE + b"\r\n",
        [head("/a%2Fb?c=d", LENGTH_5, method="FROB"), Body(b"12345", 5), head(), EMPTY],
    ),
    "a HEAD with a body": (
        LINE.replace(b"POST", b"HEAD") + b"Content-Length: 5\r\n\r\n12345",
        [head("/a%2Fb?c=d", LENGTH_5, method="HEAD"), Body(b"12345", 5)],
    ),
    "header names in any case, values in Latin-1": (
        LINE + b"X-Name: \xe9 y\r\n\r\n",
        [head("/a%2Fb?c=d", ("x-name", "é y")), EMPTY],
    ),
    "spaces around a value": (
        LINE + b"X: \t a \t b \t \r\nY:\r\n\r\n",
        [head("/a%2Fb?c=d", ("x", "a \t b"), ("y", "")), EMPTY],
    ),
    "a header twice": (LINE + b"X: a\r\nX: b\r\n\r\n", [head("/a%2Fb?c=d", ("x", "a"), ("x", "b")), EMPTY]),
    "Connection: close": (
        LINE + b"Connection: keep-alive\r\nConnection: x, Close\r\n\r\n",
        [head("/a%2Fb?c=d", ("connection", "keep-alive"), ("connection", "x, Close"), keeps_alive=False), EMPTY],
    ),
    "HTTP/1.0": (
        LINE.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\n\r\n",
        [head("/a%2Fb?c=d", ("connection", "keep-alive"), version="1.0", keeps_alive=False), EMPTY],
    ),
    "HTTP/1.0 without a host": (
        b"POST / HTTP/1.0\r\n\r\n",
        [Head("POST", "/", "1.0", [], keeps_alive=False), EMPTY],
    ),
    "CONNECT": (
        b"CONNECT y:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        [head("y:443", method="CONNECT", keeps_alive=False), EMPTY],
    ),
    "an upgrade that is not taken": (
        LINE + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + LINE + b"\r\n",
        [head("/a%2Fb?c=d", ("connection", "Upgrade"), ("upgrade", "h2c")), EMPTY, head(), EMPTY],
    ),
    "an upgrade with a body": (
        LINE + b"Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\n\r\n12345" + LINE + b"\r\n",
        [head("/a%2Fb?c=d", *UPGRADE, LENGTH_5), Body(b"12345", 5), head(), EMPTY],
    ),
    "an upgrade with chunks": (
        CHUNKED[:-2] + b"Connection: Upgrade\r\nUpgrade: x\r\n\r\n1\r\na\r\n0\r\n\r\n" + LINE + b"\r\n",
        [head("/a%2Fb?c=d", IN_CHUNKS, *UPGRADE), Body(b"a", 1), head(), EMPTY],
    ),
    "CONNECT with a body": (
        b"CONNECT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345",
        [head("/x", LENGTH_5, method="CONNECT", keeps_alive=False), Body(b"12345", 5)],
    ),
    "a body at the limit": (
        LINE + b"Content-Length: 20\r\n\r\n" + b"a" * 20,
        [head("/a%2Fb?c=d", ("content-length", "20")), Body(b"a" * 20, 20)],
    ),
    "a chunked body at the limit": (
        CHUNKED + b"a\r\n0123456789\r\n" * 2 + b"0\r\n\r\n",
        [head("/a%2Fb?c=d", IN_CHUNKS), Body(b"0123456789" * 2, 20)],
    ),
    "a body whose target has another limit": (
        b"POST /control HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n" + b"a" * 40,
        [head("/control", ("content-length", "40")), Body(b"a" * 40, 40)],
    ),
    "a head at the limit": (filled(MAX_HEAD), [head("/a%2Fb?c=d", ("x", "a" * 158)), EMPTY]),
    "chunk framing at the limit": (
        CHUNKED + b"1;" + b"x" * 96 + b"\r\na\r\n1;" + b"x" * 97 + b"\r\na\r\n0\r\n\r\n",
        [head("/a%2Fb?c=d", IN_CHUNKS), Body(b"aa", 2)],
    ),
    "a trailer at the limit": (
        CHUNKED + b"1\r\na\r\n0\r\nX: " + b"a" * (MAX_HEAD - 10) + b"\r\n\r\n",
        [head("/a%2Fb?c=d", IN_CHUNKS), Body(b"a", 1)],
    ),
    "many small chunks": (
        CHUNKED.replace(b"/a%2Fb?c=d", b"/control") + b"1\r\na\r\n" * MAX_CONTROL_BODY + b"0\r\n\r\n",
        [head("/control", IN_CHUNKS), Body(b"a" * 40, 40)],
    ),
}

TOO_LARGE = {
    "a length over the limit": (LINE + b"Content-Length: 21\r\n\r\n", Body(b"", 21)),
    "an expectation over the limit": (LINE + b"Expect: 100-continue\r\nContent-Length: 21\r\n\r\n", Body(b"", 21)),
    "chunks over the limit": (CHUNKED + b"a\r\n0123456789\r\n" * 2 + b"1\r\na\r\n0\r\n\r\n", Body(b"", 21)),
    "a chunk over the limit and longer than it says": (CHUNKED + b"15\r\n" + b"a" * 25, Body(b"", 21)),
    "a chunk over the limit": (CHUNKED + b"ffffffff\r\n" + b"a" * 50, Body(b"", 21)),
}

TOO_LONG = "request line and headers are too long"
LONG_CHUNKS = "chunk extensions and trailers are too long"
ENDED = "the connection ended in the middle of the request"
BAD_LINE = "illegal request line"
BAD_NAME = "Invalid header token"
BAD_VALUE = "Invalid header value char"
BAD_LENGTH = "Invalid character in Content-Length"
BAD_CODING = "the only supported Transfer-Encoding is chunked"
BAD_SIZE = "Invalid character in chunk size"
OTHER_VERSION = "this server speaks HTTP/1.1"

REFUSED = {
    "a word": (b"nonsense\r\n\r\n", 400, BAD_LINE),
    "a blank line": (b"\r\n" + LINE + b"\r\n", 400, BAD_LINE),
    "half of a blank line": (b"\r", 400, BAD_LINE),
    "a space": (b" " + LINE + b"\r\n", 400, BAD_LINE),
    "NUL": (b"\x00", 400, BAD_LINE),
    "TLS": (TLS, 400, "this port speaks plain HTTP, not TLS: use an http:// URL"),
    "no version": (b"GET /\r\n\r\n", 400, BAD_LINE),
    "two spaces": (LINE.replace(b" /", b"  /") + b"\r\n", 400, BAD_LINE),
    "a tab": (LINE.replace(b" /", b"\t/") + b"\r\n", 400, BAD_LINE),
    "a space behind the version": (LINE.replace(b"1.1", b"1.1 ") + b"\r\n", 400, BAD_LINE),
    "a method that is no token": (LINE.replace(b"POST", b"PO(ST") + b"\r\n", 400, BAD_LINE),
    "a target beyond ASCII": (LINE.replace(b"a%", b"\xe9%") + b"\r\n", 400, BAD_LINE),
    "a target with NUL": (LINE.replace(b"a%", b"\x00%") + b"\r\n", 400, BAD_LINE),
    "RTSP": (b"DESCRIBE rtsp://x/ RTSP/1.0\r\n\r\n", 400, BAD_LINE),
    "http in lower case": (LINE.replace(b"HTTP", b"http") + b"\r\n", 400, BAD_LINE),
    "a version of two digits": (LINE.replace(b"1.1", b"1.10") + b"\r\n", 400, BAD_LINE),
    "HTTP/0.9": (b"GET / HTTP/0.9\r\n\r\n", 505, OTHER_VERSION),
    "HTTP/1.2": (LINE.replace(b"1.1", b"1.2") + b"\r\n", 505, OTHER_VERSION),
    "HTTP/2.0": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, OTHER_VERSION),
    "bare line feeds": (LINE.replace(b"\r", b"") + b"\n", 400, BAD_LINE),
    "a bare line feed": (LINE + b"X: a\nY: b\r\n\r\n", 400, "Missing expected CR after header value"),
    "a bare line feed at the end": (LINE + b"\n", 400, "Invalid header field char"),
    "a bare carriage return": (LINE + b"X: a\rY: b\r\n\r\n", 400, "Missing expected LF after header value"),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400, "the Host header is missing"),
    "two hosts": (LINE + b"Host: y\r\n\r\n", 400, "there is more than one Host header"),
    "two hosts in HTTP/1.0": (
        LINE.replace(b"1.1", b"1.0") + b"Host: x\r\n\r\n",
        400,
        "there is more than one Host header",
    ),
    "two authorizations": (
        LINE + b"Authorization: a\r\nX: y\r\nauthorization:\r\n\r\n",
        400,
        "there is more than one Authorization header",
    ),
    "a name with a space": (LINE + b"A : b\r\n\r\n", 400, BAD_NAME),
    "a name with NUL": (LINE + b"A\x00: b\r\n\r\n", 400, BAD_NAME),
    "a name beyond ASCII": (LINE + b"\xe9: b\r\n\r\n", 400, BAD_NAME),
    "no name": (LINE + b": b\r\n\r\n", 400, BAD_NAME),
    "a value with NUL": (LINE + b"A: b\x00\r\n\r\n", 400, BAD_VALUE),
    "a value with a control character": (LINE + b"A: \x01b\r\n\r\n", 400, BAD_VALUE),
    "a value with DEL": (LINE + b"A: \x7f\r\n\r\n", 400, BAD_VALUE),
    "a header without a colon": (LINE + b"A\r\n\r\n", 400, BAD_NAME),
    "a folded header": (LINE + b"X: a\r\n b\r\n\r\n", 400, "Unexpected whitespace after header value"),
    "a folded first header": (b"GET / HTTP/1.1\r\n A: b\r\n\r\n", 400, "Unexpected space after start line"),
    "a length that is no number": (LINE + b"Content-Length: abc\r\n\r\n", 400, BAD_LENGTH),
    "a negative length": (LINE + b"Content-Length: -5\r\n\r\n", 400, BAD_LENGTH),
    "a length with a sign": (LINE + b"Content-Length: +5\r\n\r\n", 400, BAD_LENGTH),
    "a length with an underscore": (LINE + b"Content-Length: 1_0\r\n\r\n", 400, BAD_LENGTH),
    "no length": (LINE + b"Content-Length:\r\n\r\n", 400, "Empty Content-Length"),
    "a length of 40 digits": (
        LINE + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
        400,
        "Content-Length overflow",
    ),
    "a length of 40 zeros": (
        LINE + b"Content-Length: " + b"0" * 40 + b"\r\n\r\n",
        400,
        "the Content-Length is too long",
    ),
    "two lengths": (LINE + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, "Duplicate Content-Length"),
    "the same length twice": (
        LINE + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345",
        400,
        "Duplicate Content-Length",
    ),
    "two lengths in one": (LINE + b"Content-Length: 5, 5\r\n\r\n12345", 400, BAD_LENGTH),
    "length and chunks": (
        LINE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "Transfer-Encoding can't be present with Content-Length",
    ),
    "chunks and length": (
        CHUNKED[:-2] + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
        400,
        "Content-Length can't be present with Transfer-Encoding",
    ),
    "another coding": (LINE + b"Transfer-Encoding: gzip\r\n\r\n", 400, "Request has invalid `Transfer-Encoding`"),
    "another coding in front": (LINE + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, BAD_CODING),
    "another coding in a header of its own": (
        LINE + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        BAD_CODING,
    ),
    "two codings": (
        LINE + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n",
        400,
        "Invalid `Transfer-Encoding` header value",
    ),
    "a chunk without a size": (CHUNKED + b"xyz\r\n", 400, BAD_SIZE),
    "a chunk with a negative size": (CHUNKED + b"-3\r\nabc\r\n", 400, BAD_SIZE),
    "a chunk with a size in C": (CHUNKED + b"0x3\r\nabc\r\n", 400, BAD_SIZE),
    "a chunk size of 17 digits": (CHUNKED + b"f" * 17 + b"\r\n", 400, "Chunk size overflow"),
    "a chunk behind a bare line feed": (CHUNKED + b"3\nabc\r\n", 400, "Missing expected CR after chunk size"),
    "a chunk longer than it says": (CHUNKED + b"3\r\nabcd\r\n", 400, "Expected LF after chunk data"),
    "a bad extension": (CHUNKED + b"3;a\x01\r\nabc\r\n", 400, "Invalid character in chunk extensions name"),
    "a bad trailer": (CHUNKED + b"0\r\nA : b\r\n\r\n", 400, BAD_NAME),
    "a length as a trailer": (
        CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
        400,
        "Content-Length can't be present with Transfer-Encoding",
    ),
    "an end in the head": (LINE, 400, ENDED),
    "an end in the body": (LINE + b"Content-Length: 5\r\n\r\n123", 400, ENDED),
    "an end in a chunk": (CHUNKED + b"3\r\na", 400, ENDED),
    "an end between chunks": (CHUNKED + b"1\r\na\r\n", 400, ENDED),
    "an end in a chunk's header": (CHUNKED + b"1;x", 400, ENDED),
    "a line over the limit": (b"GET /" + b"a" * (MAX_HEAD - 15) + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, TOO_LONG),
    "a line without an end": (b"A" * 5 * MAX_HEAD, 414, TOO_LONG),
    "a line at the limit, and a header": (
        b"GET /" + b"a" * (MAX_HEAD - 16) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        431,
        TOO_LONG,
    ),
    "a head over the limit": (filled(MAX_HEAD + 1), 431, TOO_LONG),
    "headers up to the limit without an end": (filled(MAX_HEAD, after=b""), 431, TOO_LONG),
    "headers without an end": (LINE + b"X: a\r\n" * MAX_HEAD, 431, TOO_LONG),
    "a long extension": (CHUNKED + b"1;" + b"x" * MAX_HEAD + b"\r\na\r\n0\r\n\r\n", 431, LONG_CHUNKS),
    "chunk framing over the limit": (
        CHUNKED + b"1;" + b"x" * 96 + b"\r\na\r\n1;" + b"x" * 98 + b"\r\na\r\n0\r\n\r\n",
        431,
        LONG_CHUNKS,
    ),
    "slightly padded chunk sizes": (
        CHUNKED.replace(b"/a%2Fb?c=d", b"/control") + b"000001\r\na\r\n" * MAX_CONTROL_BODY + b"0\r\n\r\n",
        431,
        LONG_CHUNKS,
    ),
    "padded chunk sizes": (CHUNKED + b"0000000000000000001\r\na\r\n" * 12 + b"0\r\n\r\n", 431, LONG_CHUNKS),
    "a long trailer": (CHUNKED + b"0\r\nX: " + b"a" * MAX_HEAD + b"\r\n\r\n", 431, LONG_CHUNKS),
    "a trailer over the limit": (
        CHUNKED + b"1\r\na\r\n0\r\nX: " + b"a" * (MAX_HEAD - 9) + b"\r\n\r\n",
        431,
        LONG_CHUNKS,
    ),
    "a trailer without an end": (CHUNKED + b"0\r\n" + b"X: a\r\n" * MAX_HEAD, 431, LONG_CHUNKS),
}

ALL = {
    **{name: data for name, (data, _) in READABLE.items()},
    **{name: data for name, (data, _) in TOO_LARGE.items()},
    **{name: data for name, (data, *_) in REFUSED.items()},
}


@pytest.mark.parametrize("name", READABLE)
def test_a_request_is_read(name: str) -> None:
    data, events = READABLE[name]
    assert read([data]) == [*events, Signal.CLOSED]


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_body_over_the_limit_tells_its_size_only(name: str) -> None:
    data, body = TOO_LARGE[name]
    assert read([data])[1:] == [body]
    assert not body.is_complete


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_is_refused(name: str) -> None:
    data, status, message = REFUSED[name]
    assert read([data])[-1] == Refused(status, message)


@pytest.mark.parametrize("name", ALL)
def test_events_do_not_depend_on_how_the_bytes_are_split(name: str) -> None:
    data, whole = ALL[name], read([ALL[name]])
    for cut in range(1, len(data)):
        assert read([data[:cut], data[cut:]]) == whole, cut
    assert read([data[index : index + 1] for index in range(len(data))]) == whole


@given(st.data())
@settings(max_examples=300, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
def test_events_of_spoilt_requests_do_not_depend_on_how_they_are_split(data: st.DataObject) -> None:
    sent = bytearray(b"".join(data.draw(st.lists(st.sampled_from(sorted(ALL.values())), min_size=1, max_size=3))))
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.integers(0, len(sent)))
        sent[start : start + data.draw(st.integers(0, 9))] = data.draw(
            st.one_of(st.binary(max_size=5), st.sampled_from([b"\r\n", b"\n", b" ", b":", b";", b"0"]))
        )
    cuts = sorted(data.draw(st.lists(st.integers(1, len(sent) or 1), max_size=8, unique=True)))
    pieces = [bytes(sent[a:b]) for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    assert read([piece for piece in pieces if piece]) == read([bytes(sent)] if sent else [])


@pytest.mark.parametrize(
    "repeated",
    [b"X: a\r\n", b"1;" + b"x" * 50 + b"\r\na\r\n", b"00001\r\na\r\n", b"1\r\na\r\n", b"a"],
    ids=["headers", "extensions", "padding", "chunks", "garbage"],
)
@pytest.mark.parametrize("start", [LINE, CHUNKED, CHUNKED + b"0\r\n"], ids=["head", "body", "trailer"])
def test_bytes_without_end_come_to_an_end(start: bytes, repeated: bytes) -> None:
    reader = make_reader()
    reader.receive(start)
    for _ in range(1_000):
        event = reader.next_event()
        if isinstance(event, Refused) or (isinstance(event, Body) and not event.is_complete):
            return
        reader.receive(repeated)
    pytest.fail("it goes on")


@pytest.mark.parametrize("data", [LINE, LINE + b"Content-Length: 5\r\n\r\n1", CHUNKED + b"3\r\na", b"P"])
def test_half_a_request_needs_more(data: bytes) -> None:
    assert not any(isinstance(event, Refused | Body) for event in read([data], is_ended=False))


def test_nothing_at_all_is_a_connection_that_closed() -> None:
    assert read([]) == [Signal.CLOSED]


def test_it_tells_whether_a_request_has_begun() -> None:
    reader = make_reader()
    assert not reader.has_begun
    reader.receive(LINE + b"\r\n" + b"P")
    assert reader.has_begun
    assert [type(reader.next_event()), reader.next_event()] == [Head, EMPTY]
    reader.start_next()
    assert reader.has_begun
    assert reader.next_event() is Signal.NEED_DATA
    assert reader.has_begun


class TestContinue:
    def expect(self, *headers: bytes, data: bytes = b"", line: bytes = LINE) -> list[Any]:
        reader = make_reader()
        reader.receive(line + b"\r\n".join([b"Expect: 100-Continue", *headers, b"", b""]) + data)
        assert isinstance(reader.next_event(), Head)
        return [reader.next_event(), reader.next_event()]

    def test_comes_once_and_before_the_body(self) -> None:
        wanted = [Signal.SEND_CONTINUE, Signal.NEED_DATA]
        assert self.expect(b"Content-Length: 5") == wanted
        assert self.expect(b"Transfer-Encoding: chunked") == wanted

    def test_comes_not_once_the_body_is_on_its_way(self) -> None:
        assert self.expect(b"Content-Length: 5", data=b"1") == [Signal.NEED_DATA, Signal.NEED_DATA]

    def test_comes_not_without_a_body(self) -> None:
        assert self.expect(b"Content-Length: 0") == [EMPTY, EMPTY]

    def test_comes_not_for_a_body_over_the_limit(self) -> None:
        assert self.expect(b"Content-Length: 21")[0] == Body(b"", 21)

    def test_comes_not_in_http_1_0(self) -> None:
        assert self.expect(b"Content-Length: 5", line=LINE.replace(b"1.1", b"1.0"))[0] is Signal.NEED_DATA


DATE = "Mon, 01 Jan 2024 00:00:00 GMT"


@pytest.mark.parametrize(
    ("response", "closes", "written"),
    [
        (Response(200, {"A": "b"}, b"xyz"), False, ["200 OK", "A: b", f"Date: {DATE}", "Content-Length: 3"]),
        (Response(200, {"content-length": "9"}), False, ["200 OK", "content-length: 9", f"Date: {DATE}"]),
        (Response(204, {}), False, ["204 No Content", f"Date: {DATE}"]),
        (Response(304, {}), False, ["304 Not Modified", f"Date: {DATE}"]),
        (Response(404, {}), True, ["404 Not Found", f"Date: {DATE}", "Content-Length: 0", "Connection: close"]),
        (Response(299, {"X": "é"}), False, ["299 ", "X: é", f"Date: {DATE}", "Content-Length: 0"]),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_a_head_is_written(response: Response, closes: bool, written: list[str]) -> None:
    assert write_head(response, date=DATE, closes=closes).decode("latin-1").split("\r\n") == [
        f"HTTP/1.1 {written[0]}",
        *written[1:],
        "",
        "",
    ]
