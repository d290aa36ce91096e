"""The socket: kept connections, silent clients, limits, stopping, the log."""

from __future__ import annotations

import logging
import re
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

import boto3
import pytest
import time_machine
from freezegun import freeze_time

from healthimaging_emulator import Emulator
from healthimaging_emulator.messages import Wait
from healthimaging_emulator.server.connection import Connection, ServedExchange, Service
from healthimaging_emulator.server.listener import Server, Timeouts
from healthimaging_emulator.server.workers import Workers
from healthimaging_emulator.settings import Settings
from healthimaging_emulator.transports import environment
from tests.demo import DATASTORE, MANY, path
from tests.raw import HANG_SECONDS, Client, exchange, request, until

from .apps import Broken, Gate, Large, echo

SHORT = Timeouts(request=0.05)
PLAIN_HTTP = "this port speaks plain HTTP, not TLS: use an http:// URL"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(echo) as server:
        yield server


def boto3_client(server: Server, **options: Any) -> Any:
    return boto3.client(
        "medical-imaging",
        endpoint_url=environment.make_endpoint(server.url),
        region_name="us-east-1",
        aws_access_key_id="emulator",
        aws_secret_access_key="emulator",
        **options,
    )


def promise(size: int, target: str = "/a", *headers: str) -> bytes:
    """Return the head of a request with a body."""
    return request("POST", target, *headers).replace(b"Length: 0", f"Length: {size}".encode())


def sent(client: Client, data: bytes) -> bool:
    try:
        client.send(data)
    except OSError:
        return False
    return True


# Requests on one connection.


def test_many_calls_of_one_boto3_client_use_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*arguments: Any, **options: Any) -> Connection:
        connections.append(Connection(*arguments, **options))
        return connections[-1]

    def app(_: object, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b'{"imageSetPropertiesList": []}']

    connections: list[Connection] = []
    monkeypatch.setattr("healthimaging_emulator.server.listener.Connection", connect)

    with Server(app) as server:
        client = boto3_client(server)
        for _ in range(20):
            client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY)
    assert len(connections) == 1


def test_requests_sent_at_once_are_answered_in_order(server: Server) -> None:
    with Client(server) as client:
        client.send(b"".join(request("POST", f"/{n}", body=b"x" * n) for n in range(5)))
        assert [client.receive().body for _ in range(5)] == [f"POST /{n} {n} ".encode() + b"x" * n for n in range(5)]


def test_a_body_is_read_to_its_end(server: Server) -> None:
    chunked = request("POST", "/a", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    with Client(server) as client:
        for _ in range(2):
            client.send(request("POST", "/a", body=b"GET / HTTP/1.1\r\n\r\n"))
            assert client.receive().body == b"POST /a 18 GET / HTTP/1.1\r\n\r\n"
            client.send(chunked + b"3\r\nabc\r\n0\r\n\r\n")
            assert client.receive().body == b"POST /a 3 abc"


def test_expect_is_answered_once(server: Server) -> None:
    with Client(server) as client:
        client.send(promise(2, "/a", "Expect: 100-continue"))
        assert client.receive().status == 100
        client.send(b"{")
        client.send(b"}")
        assert client.receive().body == b"POST /a 2 {}"
        client.send(request("GET", "/"))
        assert client.receive().status == 200


def test_an_expectation_is_not_met_for_a_body_over_the_limit(server: Server) -> None:
    with Client(server) as client:
        client.send(promise(99999999, "/a", "Expect: 100-continue"))
        reply = client.receive()
        assert (reply.status, reply.body, reply.is_closed) == (413, b"POST /a 99999999 ", True)


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_a_connection_closes_when_the_client_asks(server: Server, version: str) -> None:
    assert exchange(server, request("POST", "/a", "Connection: close").replace(b"HTTP/1.1", version.encode())).is_closed


def test_http_1_0_is_answered_and_closed(server: Server) -> None:
    assert exchange(server, b"GET / HTTP/1.0\r\n\r\n").is_closed


def test_a_client_that_has_nothing_more_to_send_gets_its_answer(server: Server) -> None:
    with Client(server) as client:
        client.send(request("POST", "/a"))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.receive().status == 200
        assert client.is_closed()


def test_head_has_no_body_and_keeps_the_connection(server: Server) -> None:
    with Client(server) as client:
        for _ in range(2):
            client.send(request("HEAD", "/a"))
            reply = client.receive(is_head=True)
            assert (reply.status, reply.headers["content-length"]) == (200, str(len("HEAD /a 0 ")))


def test_an_absolute_target_and_any_host_are_served(server: Server) -> None:
    for host in ("x", "a..b", "", "["):
        data = request("GET", "http://a..b/c").replace(b"runtime-127.0.0.1:4580", host.encode())
        assert exchange(server, data).body == b"GET http://a..b/c 0 "


@pytest.mark.parametrize("method", ["FROB", "propfind", "PRI", "DESCRIBE"])
def test_any_method_reaches_the_application(server: Server, method: str) -> None:
    assert exchange(server, request(method, "/a", body=b"{}")).body == f"{method} /a 2 {{}}".encode()


def test_a_connect_is_answered_and_closed(server: Server) -> None:
    reply = exchange(server, request("CONNECT", "x:443") + b"\x16\x03\x01")
    assert (reply.status, reply.body, reply.is_closed) == (200, b"CONNECT x:443 0 ", True)


def test_a_large_answer_arrives_whole() -> None:
    with Server(Large(20_000_000)) as server, Client(server) as client:
        client.send(request("GET", "/") * 2)
        assert [len(client.receive().body) for _ in range(2)] == [20_000_000] * 2


def test_an_application_that_gives_no_length_is_given_one() -> None:
    def app(_: object, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"a", b"bc"]

    with Server(app) as server, Client(server) as client:
        for _ in range(2):
            client.send(request("GET", "/"))
            assert client.receive().body == b"abc"


def test_an_application_that_raises_ends_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["RAW_URI"] == "/broken":
            raise RuntimeError("it broke")
        return echo(environ, start_response)

    with Server(app) as server:
        with Client(server) as client:
            client.send(request("GET", "/broken"))
            assert client.is_closed()
        assert exchange(server, request("GET", "/")).status == 200
    assert "it broke" in caplog.text


# Limits.


@pytest.mark.parametrize("target", ["/_emulator/seed", "http://x/_emulator/seed", "/%5Femulator/seed", "//_emulator/x"])
def test_the_control_api_has_a_limit_of_its_own(target: str) -> None:
    with Server(echo, settings=Settings(max_body=10, max_control_body=30)) as server:
        for size, status in ((30, 200), (31, 413)):
            assert exchange(server, request("PUT", target, body=b"x" * size)).status == status
        for size, status in ((10, 200), (11, 413)):
            assert exchange(server, request("PUT", "/a", body=b"x" * size)).status == status


def test_the_limit_of_a_head() -> None:
    with Server(echo, settings=Settings(max_head=1000)) as server:
        data = request("POST", "/a", "X: ")
        data = data.replace(b"X: ", b"X: " + b"a" * (1000 - len(data)))
        assert exchange(server, data).status == 200
        assert exchange(server, data.replace(b"X: ", b"X: a")).status == 431


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"nonsense\r\n\r\n", 400, "Bad request: illegal request line."),
        (b"A" * 200_000, 414, "Bad request: request line and headers are too long."),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 50_000, 431, "Bad request: request line and headers are too long."),
        (b"GET / HTTP/3.0\r\n\r\n", 505, "Bad request: this server speaks HTTP/1.1."),
        (
            b"\x16\x03\x01\x02\x00" + b"x" * 300,
            400,
            f"Bad request: {PLAIN_HTTP}.",
        ),
    ],
    ids=["400", "414", "431", "505", "TLS"],
)
def test_a_refusal_reaches_who_still_sends(server: Server, data: bytes, status: int, message: str) -> None:
    reply = exchange(server, data)
    assert (reply.status, reply.json, reply.is_closed) == (status, {"message": message}, True)
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-amzn-errortype"] == "BadRequestException"
    assert re.fullmatch("[0-9a-f-]{36}", reply.headers["x-amzn-requestid"])


@pytest.mark.parametrize("data", [b"nonsense\r\n\r\n", promise(10**9)], ids=["unreadable", "too large"])
def test_a_refused_client_is_not_reset_while_it_sends(data: bytes) -> None:
    with Server(echo, timeouts=Timeouts(linger=HANG_SECONDS)) as server, Client(server) as client:
        client.send(data)
        assert client.receive().status in (400, 413)
        for _ in range(10):
            client.send(b"x" * 10_000)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.socket.recv(1) == b""


def test_a_refusal_behind_a_request_is_answered_in_turn(server: Server) -> None:
    with Client(server) as client:
        client.send(request("GET", "/a") + b"nonsense\r\n\r\n")
        assert [client.receive().status for _ in range(2)] == [200, 400]
        assert client.is_closed()


def test_a_client_that_speaks_tls_is_named_in_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "healthimaging_emulator")
    exchange(server, b"\x16\x03\x01\x02\x00")
    (line,) = caplog.messages
    assert line.endswith(f" ms: {PLAIN_HTTP}")


def test_connections_over_the_limit_are_told_so() -> None:
    timeouts = Timeouts(linger=HANG_SECONDS, refused_connections=1)
    with Server(echo, settings=Settings(max_connections=2), timeouts=timeouts) as server:
        kept = [Client(server), Client(server)]
        for client in kept:
            client.send(request("POST", "/a"))
            assert client.receive().status == 200
        with Client(server) as refused, Client(server) as dropped:
            assert dropped.is_closed()  # so the other one has been accepted
            refused.send(request("POST", "/a"))
            reply = refused.receive()
            assert (reply.status, reply.headers["x-amzn-errortype"]) == (503, "ServiceUnavailableException")
            assert reply.json == {"message": "The limit of connections is reached: 2."}
            assert reply.is_closed
        kept.pop().__exit__()
        for client in kept:
            client.send(request("POST", "/a"))
            assert client.receive().status == 200
        until(lambda: server.connection_count == 1)
        assert exchange(server, request("POST", "/a")).status == 200
        kept.pop().__exit__()


def test_a_refused_connection_takes_no_place() -> None:
    with Server(echo, settings=Settings(max_connections=1), timeouts=Timeouts(linger=HANG_SECONDS)) as server:
        with Client(server) as kept:
            kept.send(request("POST", "/a"))
            assert kept.receive().status == 200
            silent = Client(server)
            until(lambda: server.connection_count == 2)
        until(lambda: server.connection_count == 1)
        assert exchange(server, request("POST", "/a")).status == 200
        silent.__exit__()
        until(lambda: not server.connection_count)


def test_places_of_refused_connections_are_given_back() -> None:
    timeouts = Timeouts(linger=HANG_SECONDS, refused_connections=1)
    with Server(echo, settings=Settings(max_connections=1), timeouts=timeouts) as server, Client(server):
        for _ in range(3):
            until(lambda: server.connection_count == 1)
            assert exchange(server, request("POST", "/a")).status == 503


def test_a_refused_connection_that_says_nothing_is_closed() -> None:
    timeouts = Timeouts(linger=0.05, request=3600)
    with Server(echo, settings=Settings(max_connections=1), timeouts=timeouts) as server, Client(server):
        until(lambda: server.connection_count == 1)
        with Client(server) as silent, Client(server) as half:
            half.send(b"POST / HT")
            assert silent.is_closed()
            assert half.is_closed()


# Deadlines.


def test_silent_and_half_sent_connections_hold_up_nobody(server: Server) -> None:
    clients = [Client(server) for _ in range(200)]
    whole = request("POST", "/a", body=b"{}")
    for index, client in enumerate(clients):
        client.send(whole[: index * len(whole) // len(clients)])
    assert exchange(server, whole).status == 200
    for client in clients:
        client.__exit__()


@pytest.mark.parametrize("data", [b"G", b"POST / HTTP/1.1\r\nX: ", promise(5), promise(5) + b"a"])
def test_a_request_that_takes_too_long_is_dropped(data: bytes) -> None:
    with Server(echo, timeouts=SHORT) as server, Client(server) as client:
        client.send(data)
        assert client.socket.recv(1) == b""


def test_a_request_behind_another_that_takes_too_long_is_dropped() -> None:
    with Server(echo, timeouts=SHORT) as server, Client(server) as client:
        client.send(request("GET", "/") + b"G")
        assert client.receive().status == 200
        assert client.is_closed()


def test_a_request_that_trickles_in_has_no_more_time() -> None:
    with Server(echo, timeouts=SHORT) as server, Client(server) as client:
        client.send(promise(1_000_000))
        until(lambda: not sent(client, b"a"))
        assert client.is_closed()  # without an answer


def test_a_request_whose_bytes_never_pause_ends() -> None:
    data = b"x" * 1_000_000
    settings = Settings(max_body=10**15)
    with Server(echo, timeouts=SHORT, settings=settings) as server, Client(server) as client:
        client.send(promise(10**15))
        until(lambda: not sent(client, data))
        assert client.is_closed()


def test_time_between_two_requests_is_not_counted() -> None:
    with Server(echo, timeouts=Timeouts(request=1)) as server, Client(server) as kept, Client(server) as slow:
        for part in (request("GET", "/")[:9], request("GET", "/")[9:]):  # in pieces, so that a timeout is set
            kept.send(part)
        assert kept.receive().status == 200
        slow.send(b"G")
        assert slow.is_closed()  # so more than the limit has passed
        kept.send(request("GET", "/"))
        assert kept.receive().status == 200


@pytest.mark.parametrize("frozen", [("head", "body", "next"), ("head",), ("body",)], ids="-".join)
def test_requests_are_answered_although_freezegun_stops_the_time(server: Server, frozen: tuple[str, ...]) -> None:
    def send(client: Client, part: str, data: bytes) -> None:
        with freeze_time("2024-01-01") if part in frozen else nullcontext():
            client.send(data)
            assert exchange(server, request("GET", "/other")).status == 200  # so the part is read

    whole = request("POST", "/a", body=b"{}")
    with Client(server) as client:
        send(client, "head", whole[:-2])
        send(client, "body", whole[-2:])
        send(client, "next", whole)
        assert [client.receive().body for _ in range(2)] == [b"POST /a 2 {}"] * 2


@pytest.mark.parametrize("name", ["socket.socket", "uuid.uuid4", "time.monotonic"])
def test_requests_are_answered_although_a_test_replaces_what_the_server_uses(
    emulator: Emulator, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("not in this test")

    with emulator.serve() as server, Client(server) as client:
        later = socket.socket()
        monkeypatch.setattr(name, refuse)
        later.connect((server.host, server.port))
        for each in (client.socket, later):
            each.sendall(request("POST", path()))
            assert each.recv(12) == b"HTTP/1.1 200"
        monkeypatch.undo()
        later.close()


def test_a_connection_is_closed_although_its_failure_cannot_be_logged(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        pytest.fail("no time in this test")

    with emulator.serve() as server:
        with Client(server) as client:
            monkeypatch.setattr("time.time", refuse)
            client.send(request("POST", path()))
            assert client.is_closed()
            monkeypatch.undo()
        assert exchange(server, request("POST", path())).status == 200


def test_an_answer_that_is_not_read_is_dropped() -> None:
    with Server(Large(50_000_000), timeouts=Timeouts(send=0.05)) as server, Client(server) as client:
        client.send(request("GET", "/"))
        assert client.socket.recv(1)
        until(lambda: not server.connection_count)


def test_a_refused_client_that_never_stops_sending_is_dropped() -> None:
    with Server(echo, timeouts=Timeouts(linger=0.05)) as server, Client(server) as client:
        client.send(promise(10**15))
        until(lambda: not sent(client, b"x" * 10_000))
        until(lambda: not server.connection_count)


def test_a_client_that_goes_away_leaves_nothing_behind(server: Server) -> None:
    for data in (b"", b"POST", request("POST", "/a", body=b"{}")[:-1], request("POST", "/a")):
        with Client(server) as client:
            client.send(data)
    until(lambda: not server.connection_count)


def test_a_default_timeout_of_the_process_closes_no_connection() -> None:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(0.05)
    try:
        with Server(echo) as server, Client(server) as kept, socket.create_server(("127.0.0.1", 0)) as other:
            kept.send(request("GET", "/"))
            assert kept.receive().status == 200
            for _ in range(3):  # so the default has passed
                with pytest.raises(TimeoutError):
                    other.accept()
            kept.send(request("GET", "/"))
            assert kept.receive().status == 200
    finally:
        socket.setdefaulttimeout(before)


# Starting and stopping.


def test_it_listens_where_it_says_and_stops_listening() -> None:
    with Server(echo) as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        socket.create_connection((server.host, server.port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port))
    with Server(echo, port=server.port) as again:
        assert exchange(again, request("POST", "/a")).status == 200


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:"),
        ("::", "http://[::1]:"),
        ("::1", "http://[::1]:"),
        ("10.0.0.1", "http://10.0.0.1:"),
    ],
)
def test_the_url_is_one_that_a_client_here_can_use(server: Server, host: str, url: str) -> None:
    server.host = host
    assert server.url == f"{url}{server.port}"


def test_the_environment_points_at_the_server_and_adds_what_it_is_given() -> None:
    with Server(echo, signing={"AWS_ACCESS_KEY_ID": "x"}) as server:
        assert server.environment["AWS_ENDPOINT_URL_MEDICAL_IMAGING"] == server.url
        assert server.environment["AWS_ACCESS_KEY_ID"] == "x"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1", "localhost"])
def test_it_listens_on_any_address(host: str) -> None:
    if ":" in host and not has_ipv6():
        with pytest.raises(OSError, match=r"address|Address"):
            Server(echo, host)
        return
    with Server(echo, host) as server:
        assert exchange(server, request("POST", "/a")).status == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_host_of_two_colons_is_both_families(address: str) -> None:
    if not (has_ipv6() and socket.has_dualstack_ipv6()):
        pytest.skip("this machine has no IPv6")
    with Server(echo, "::") as server, socket.create_connection((address, server.port), HANG_SECONDS) as client:
        client.sendall(request("GET", "/"))
        assert client.recv(12) == b"HTTP/1.1 200"


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_a_busy_port(server: Server) -> None:
    with pytest.raises(OSError, match="in use"):
        Server(echo, port=server.port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none(port: int) -> None:
    with pytest.raises(ValueError, match=f"^invalid port {port}: expected a number from 0 to 65535$"):
        Server(echo, port=port)


@pytest.mark.parametrize("host", ["é" * 64, "a" * 64 + ".x", "a..b"])
def test_a_host_that_is_none(host: str) -> None:
    with pytest.raises(UnicodeError, match=r"idna|label|Label"):
        Server(echo, host)


def test_stopping_closes_idle_connections_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with Server(echo) as server:
        idle, begun, used = Client(server), Client(server), Client(server)
        begun.send(b"POST / HT")
        used.send(request("POST", "/a"))
        used.receive()
    for client in (idle, begun, used):
        assert client.is_closed()
        client.__exit__()
    for thread in set(threading.enumerate()) - before:
        thread.join(HANG_SECONDS)
        assert not thread.is_alive()


def test_stopping_finishes_an_answer_under_way() -> None:
    gate = Gate()
    server = Server(gate, timeouts=Timeouts(stop=HANG_SECONDS))
    with Client(server) as client, Client(server) as idle:
        gate.open.set()
        idle.send(request("POST", "/a"))  # so that it is accepted
        idle.receive()
        gate.open.clear()
        gate.entered.clear()
        client.send(request("POST", "/a"))
        gate.entered.wait(HANG_SECONDS)
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        assert idle.is_closed()  # so it is stopping
        gate.open.set()
        reply = client.receive()
        assert reply.body == b"hello"
        assert client.is_closed()
        stopper.join(HANG_SECONDS)
        assert not stopper.is_alive()


def test_an_answer_after_the_stop_announces_the_end() -> None:
    app = Broken(None, waits=True)  # the stop ends the wait
    server = Server(app, timeouts=Timeouts(stop=HANG_SECONDS))
    with Client(server) as client:
        client.send(request("POST", "/a"))
        assert app.entered.wait(HANG_SECONDS)
        server.stop()
        reply = client.receive()
        assert (reply.status, reply.is_closed) == (200, True)


def test_stopping_waits_for_an_answer_no_longer_than_it_says() -> None:
    gate = Gate()
    server = Server(gate, timeouts=Timeouts(stop=0.05))
    with Client(server) as client:
        client.send(request("POST", "/a"))
        gate.entered.wait(HANG_SECONDS)
        server.stop()
        assert client.is_closed()
    gate.open.set()


def test_stopping_does_not_wait_for_who_lingers() -> None:
    server = Server(echo, timeouts=Timeouts(linger=HANG_SECONDS, stop=HANG_SECONDS))
    with Client(server) as client:
        client.send(promise(10**9))
        assert client.receive().status == 413
        server.stop()
        assert server.connection_count == 0


def test_stopping_while_requests_come_answers_each_whole_or_not_at_all() -> None:
    received: list[bytes] = []

    def ask_until_closed(server: Server) -> None:
        with Client(server) as client:
            while sent(client, request("GET", "/a")) and (data := receive_some(client)):
                received.append(data)

    for _ in range(20):
        with Server(echo) as server:
            threads = [threading.Thread(target=ask_until_closed, args=[server]) for _ in range(4)]
            for thread in threads:
                thread.start()
            until(lambda server=server: server.connection_count == 4)  # type: ignore[misc] # no type for a default
        for thread in threads:
            thread.join(HANG_SECONDS)
            assert not thread.is_alive()
    assert received
    assert all(data.endswith(b"GET /a 0 ") for data in received)


def receive_some(client: Client) -> bytes:
    try:
        return client.socket.recv(65536)
    except ConnectionResetError:
        return b""


def test_stopping_where_a_forked_process_has_the_sockets_too() -> None:
    program = r"""
import os, signal, socket
from healthimaging_emulator.server.listener import Server
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"x"]
server = Server(app)
client = socket.create_connection((server.host, server.port))
client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
client.recv(65536)
child = os.fork()
if child == 0:
    signal.pause()
client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
while client.recv(65536):
    pass
server.stop()
try:
    socket.create_connection((server.host, server.port))
except ConnectionRefusedError:
    print("stopped")
os.kill(child, signal.SIGKILL)
"""
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert finished.stdout == "stopped\n", finished.stderr


@pytest.mark.parametrize(
    "second", [0, 951_782_399, 1_709_164_800, *(1_767_225_600 + 31 * 86_400 * n for n in range(12))]
)
def test_the_date_is_that_of_http(server: Server, second: int) -> None:
    with time_machine.travel(second, tick=False), Client(server) as client:
        client.send(request("GET", "/"))
        assert client.receive().headers["date"] == formatdate(second, usegmt=True)


def test_stopping_twice_is_no_error(server: Server) -> None:
    server.stop()
    server.stop()


def test_no_answer_begins_once_a_connection_is_stopped() -> None:
    def app(*_: object) -> list[bytes]:
        pytest.fail("it was asked")

    closed = threading.Event()
    service = Service(app=app, environ={}, settings=Settings(), timeouts=Timeouts(), tls=None, workers=Workers(1))
    client, accepted = socket.socketpair()
    with client:
        client.sendall(request("GET", "/"))
        connection = Connection(service, accepted, on_close=lambda _: closed.set())
        connection.stop()
        connection.start()  # which finds the request
        assert closed.wait(HANG_SECONDS)
    service.workers.stop(HANG_SECONDS)


def test_a_wait_ends_with_the_stop() -> None:
    held, end = ServedExchange(), threading.Event()
    waiting = threading.Thread(target=held.wait, args=[Wait(3600, end)])
    waiting.start()
    held.stop()
    waiting.join(HANG_SECONDS)
    assert not waiting.is_alive()
    held.wait(Wait(3600, threading.Event()))  # and none begins after it


# Resources that run out.


def test_a_connection_waits_while_there_are_no_descriptors(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as client:
        client.settimeout(HANG_SECONDS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            client.connect((server.host, server.port))
            until(lambda: "a connection was not accepted: [Errno 24] Too many open files" in caplog.messages)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        client.sendall(request("GET", "/"))
        assert client.recv(12) == b"HTTP/1.1 200"


# The log.


def logged(caplog: pytest.LogCaptureFixture, server: Server, *requests: bytes) -> list[str]:
    """Send requests on one connection and return the lines of the log, their durations left out."""
    caplog.set_level(logging.DEBUG, "healthimaging_emulator.access")
    with Client(server) as client:
        for each in requests:
            client.send(each)
            while not client.socket.recv(65536).endswith(b" "):
                pass
        client.socket.shutdown(socket.SHUT_WR)
        client.is_closed()
    records = [record for record in caplog.records if record.name == "healthimaging_emulator.access"]
    assert all(0 <= float(re.findall(r" (\d+\.\d) ms", record.getMessage())[0]) < 60_000 for record in records)
    return [f"{record.levelname} " + re.sub(r" \d+\.\d ms", "", record.getMessage()) for record in records]


def test_a_request_is_logged_before_its_answer_is_sent(server: Server) -> None:
    class Waiting(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            logs.set()
            may_go_on.wait(HANG_SECONDS)

    logs, may_go_on = threading.Event(), threading.Event()
    handler, logger = Waiting(), logging.getLogger("healthimaging_emulator.access")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with Client(server) as client:
            client.send(request("GET", "/"))
            assert logs.wait(HANG_SECONDS)
            client.socket.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.socket.recv(1)
    finally:
        may_go_on.set()
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(handler)


def test_one_line_a_request(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    assert logged(caplog, server, request("POST", "/a"), request("GET", "/b?c"), request("PUT", "/d", body=b" ")) == [
        "INFO POST /a 200 -",
        "INFO GET /b?c 200 -",
        "INFO PUT /d 200 -",
    ]


def test_a_line_names_the_refusal(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "healthimaging_emulator.access")
    exchange(server, b"nonsense\r\n\r\n")
    lines = [each.getMessage() for each in caplog.records if each.name == "healthimaging_emulator.access"]
    assert [re.sub(r"\d+\.\d", "0", line) for line in lines] == [
        "- - 400 BadRequestException 0 ms: illegal request line"
    ]


def test_a_line_names_code_and_fault(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "healthimaging_emulator.access")
    with Server(Broken(None)) as server:
        exchange(server, request("GET", "/", "Connection: close"))
    assert [re.sub(r"\d+\.\d", "0", message) for message in caplog.messages] == [
        "GET / 200 SomeException 0 ms scissors"
    ]


def test_a_line_names_the_effect_where_there_is_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "healthimaging_emulator.access")
    with Server(Broken("close")) as server, Client(server) as client:
        client.send(request("GET", "/"))
        assert client.is_closed()
    assert [re.sub(r"\d+\.\d", "0", message) for message in caplog.messages] == ["GET / - close 0 ms scissors"]


@pytest.mark.parametrize("target", ["/_emulator/health", "http://x/_emulator/health?y", "/_emulator/calls?after=1"])
def test_reads_of_the_control_api_are_logged_at_debug(
    server: Server, caplog: pytest.LogCaptureFixture, target: str
) -> None:
    assert logged(caplog, server, request("GET", target), request("POST", target)) == [
        f"DEBUG GET {target} 200 -",
        f"INFO POST {target} 200 -",
    ]


def test_a_line_shows_the_ends_of_an_id(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "healthimaging_emulator.access")
    control = f"/_emulator/datastores/{DATASTORE}/imageSets/{MANY}"
    arn = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}/imageset/{MANY}"
    with emulator.serve() as server:
        for data in (
            request("POST", path(MANY), "Connection: close"),
            request("GET", f"/tags/{quote(arn, safe='')}", "Connection: close"),
            request("GET", f"{control}/none", "Connection: close"),
        ):
            exchange(server, data)
    assert [re.sub(r" \d+\.\d ms", "", message) for message in caplog.messages] == [
        "000000000000 ListImageSetVersions 1234..9012/0000..0137 page 1 200 -",
        "000000000000 ListTagsForResource datastore/1234..9012/imageset/0000..0137 200 -",
        "GET /_emulator/datastores/1234..9012/imageSets/0000..0137/none 404 -: there is no GET "
        f"{control}/none: /_emulator/openapi.json describes what there is",
    ]


def test_a_line_has_no_character_that_a_terminal_obeys(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "healthimaging_emulator.access")
    with emulator.serve() as server:
        exchange(server, request("POST", path("%1b%5b2J%0a"), "Connection: close"))
    (line,) = caplog.messages
    assert line.startswith("000000000000 ListImageSetVersions 1234..9012/?[2J? page 1 400 ValidationException ")


def test_a_line_shows_500_characters_of_a_target(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    assert logged(caplog, server, request("GET", "/" + "a" * 1000)) == ["INFO GET /" + "a" * 499 + " 200 -"]


# With the emulator behind it.


def test_a_refused_request_leaves_the_connection_open(emulator: Emulator) -> None:
    with emulator.serve() as server, Client(server) as client:
        for target, status in ((path(), 200), (path("x"), 400), ("/", 404), (path(), 200)):
            client.send(request("POST", target))
            assert client.receive().status == status


@pytest.mark.parametrize("target", ["/_emulator/health", "http://a..b/_emulator/health"])
@pytest.mark.parametrize("host", ["x", "a..b", "", "["])
def test_health(emulator: Emulator, target: str, host: str) -> None:
    with emulator.serve() as server:
        reply = exchange(server, request("GET", target).replace(b"runtime-127.0.0.1:4580", host.encode()))
        assert (reply.status, reply.json) == (200, {"status": "ready"})


def test_a_seed_over_the_limit_is_refused_before_it_is_sent(emulator: Emulator) -> None:
    with emulator.serve() as server, Client(server) as client:
        client.send(promise(99999999, "/_emulator/seed", "Content-Type: application/json"))
        reply = client.receive()
        assert reply.status == 400
        assert reply.is_closed
