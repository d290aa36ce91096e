"""Bytes on the socket: a corpus, and what becomes of it when it is cut, mixed and spoilt."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from healthimaging_emulator import Emulator
from healthimaging_emulator.server.listener import Server, Timeouts
from healthimaging_emulator.server.workers import MOST_FOLLOWERS
from tests.conftest import DEMO
from tests.demo import MANY, path
from tests.raw import HANG_SECONDS, JSON, count_descriptors, exchange, request, until

from .contract import ANSWERS, BAD_HTTP, check

# Of 70,000 bytes that fail, Hypothesis would rather warn than tell.
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")

CHUNKED = request("POST", path(), "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
CORPUS = [
    request("POST", path(MANY)),
    request("POST", path() + "?maxResults=1&nextToken=x", body=b"{}"),
    request("HEAD", path()),
    request("GET", "http://emulator.test" + path()),
    request("OPTIONS", "*"),
    request("POST", path(), "Expect: 100-continue", body=b"12345"),
    request("POST", path(), "Connection: close", "Connection: keep-alive"),
    CHUNKED + b"3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n",
    CHUNKED + b"ffffffffffffffff\r\n",
    CHUNKED + b"3;name=value\r\nabc\r\n0\r\n\r\n",
    request("POST", path()).replace(b"HTTP/1.1", b"HTTP/1.0"),
    request("POST", path(), "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "Connection: Upgrade"),
    request("FROB", path(), body=b"{}"),
    request("CONNECT", "x:443") + b"\x16\x03\x01",
    CHUNKED.replace(b"\r\n\r\n", b"\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n") + b"3\r\nabc\r\n0\r\n\r\n",
    b"DESCRIBE rtsp://x/ RTSP/1.0\r\n\r\n",
    request("GET", "/_emulator/health"),
    request("POST", "/_emulator/reset", JSON, body=b"{}"),
    request("PUT", "/_emulator/clock", JSON, body=b'{"run": true}'),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    b"GET /\r\n\r\n",
    b"\r\n" * 50 + request("POST", path()),
    b"POST / HTTP/1.1\nHost: x\n\n",
    b"POST / HTTP/1.1\r\nHost: x\r\n folded: y\r\nA : b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"\x00" * 200,
    b"A" * 70_000,
]


@pytest.fixture(scope="module")
def served() -> Iterator[Server]:
    with Server(Emulator.from_seed(DEMO).app, timeouts=Timeouts(linger=0.01)) as server:
        yield server


@st.composite
def spoilt(draw: st.DrawFn) -> list[bytes]:
    """Draw requests of the corpus, one behind the other, spoilt in places, in pieces as they are sent."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(CORPUS), min_size=1, max_size=3))))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 20)))
        data[start:end] = draw(st.one_of(st.binary(max_size=5), st.sampled_from([b"\r\n", b"\n", b" ", b":", b"\x00"])))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
    return [bytes(data[start:end]) for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def received(server: Server, pieces: list[bytes]) -> bytes:
    """Send pieces, say that there are no more, and read to the end; a connection that stays open fails by its time."""
    data = b""
    with socket.create_connection((server.host, server.port), HANG_SECONDS) as client:
        try:
            for piece in pieces:
                client.sendall(piece)
            client.shutdown(socket.SHUT_WR)
            while part := client.recv(64 * 1024):
                data += part
        except TimeoutError:
            raise
        except OSError:
            pass  # it was refused before all was sent
    return data


def check_all(data: bytes) -> None:
    """Fail for anything in what was received that is not an answer of the contract, or not whole."""
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        assert end
        line, *lines = head.decode("latin-1").split("\r\n")
        found = re.fullmatch(r"HTTP/1\.1 (\d{3}) [\w -]+", line)
        assert found, line
        headers = dict(each.split(": ", 1) for each in lines)
        assert len(headers) == len(lines)
        if found[1] == "100":
            data = rest
            continue
        is_head = not rest or rest.startswith(b"HTTP/1.1 ")
        length = 0 if is_head else int(headers.get("Content-Length", 0))
        body, data = rest[:length], rest[length:]
        assert len(body) == length
        if "x-amzn-RequestId" in headers:
            check(int(found[1]), headers, body, is_head=is_head, answers={*ANSWERS, *BAD_HTTP})
        else:
            assert int(found[1]) in (200, 204, 400, 403, 404)  # of the control API


@given(spoilt())
@example([b"".join(CORPUS[:7])])
def test_no_bytes_break_it(served: Server, pieces: list[bytes]) -> None:
    check_all(received(served, pieces))


@pytest.mark.parametrize("data", CORPUS, ids=range(len(CORPUS)))
def test_the_corpus_byte_by_byte_and_cut_anywhere(served: Server, data: bytes) -> None:
    data = data[:2000]
    check_all(received(served, [data[index : index + 1] for index in range(len(data))]))
    for end in range(0, len(data), 7):
        check_all(received(served, [data[:end]]))


def test_nothing_is_left_of_them(served: Server) -> None:
    """The test before this one, once more in short: then connections and descriptors are as they were.

    So are threads, but for those that a server keeps.
    """
    until(lambda: not served.connection_count)
    threads = threading.active_count()
    descriptors = count_descriptors()
    for data in CORPUS:
        received(served, [data, data])
    until(lambda: not served.connection_count)
    until(lambda: threading.active_count() <= threads + MOST_FOLLOWERS)
    assert exchange(served, request("POST", path())).status == 200
    until(lambda: not served.connection_count)
    until(lambda: count_descriptors() <= descriptors)
