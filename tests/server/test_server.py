"""The socket: kept connections, silent clients, stopping. Bytes on the wire are in ``test_wire``."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
from typing import Any

import boto3
import pytest

from healthimaging_emulator import Emulator, Remote
from healthimaging_emulator.server import listener as server_module
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.transports import environment
from tests.demo import DATASTORE, MANY, path
from tests.raw import HANG_SECONDS, JSON, Client, exchange, request, until


def boto3_client(server: Server, **options: Any) -> Any:
    return boto3.client(
        "medical-imaging",
        endpoint_url=environment.endpoint(server.url),
        region_name="us-east-1",
        aws_access_key_id="emulator",
        aws_secret_access_key="emulator",
        **options,
    )


class Gate:
    """An application whose answer waits until the test lets it go."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, _: dict[str, Any], start_response: Any) -> list[bytes]:
        self.entered.set()
        self.open.wait(HANG_SECONDS)
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"]


def test_many_calls_of_one_boto3_client_use_one_connection(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    accept = server._open

    def count(client: socket.socket) -> None:
        opened.append(client)
        accept(client)

    monkeypatch.setattr(server, "_open", count)
    client = boto3_client(server)
    for _ in range(20):
        assert (
            len(list(client.get_paginator("list_image_set_versions").paginate(datastoreId=DATASTORE, imageSetId=MANY)))
            == 3
        )
    assert len(opened) == 1


def test_requests_sent_at_once_are_answered_in_order(server: Server) -> None:
    with Client(server) as client:
        client.send(b"".join(request("POST", path() + f"?maxResults={size}") for size in (1, 2, 3, 4)))
        sizes = [len(client.receive().json["imageSetPropertiesList"]) for _ in range(4)]
    assert sizes == [1, 2, 3, 4]


def test_a_refused_request_leaves_the_connection_open(server: Server) -> None:
    with Client(server) as client:
        for target, status in ((path(), 200), (path("x"), 400), ("/", 404), (path(), 200)):
            client.send(request("POST", target))
            assert client.receive().status == status


def test_a_body_is_read_to_its_end(server: Server) -> None:
    with Client(server) as client:
        chunked = request("POST", path(), "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
        for sent in (request("POST", path(), body=b"GET / HTTP/1.1\r\n\r\n"), chunked + b"3\r\nabc\r\n0\r\n\r\n") * 2:
            client.send(sent)
            assert client.receive().status == 200


def test_expect_is_answered_once(server: Server) -> None:
    with Client(server) as client:
        client.send(request("POST", path(), "Expect: 100-continue").replace(b"Length: 0", b"Length: 2"))
        assert client.receive().status == 100
        client.send(b"{}")
        assert client.receive().status == 200
        client.send(request("GET", "/"))
        assert client.receive().status == 404


def test_an_expectation_is_not_met_for_a_body_over_the_limit(server: Server) -> None:
    with Client(server) as client:
        client.send(request("POST", path(), "Expect: 100-continue").replace(b"Length: 0", b"Length: 99999999"))
        assert client.receive().status == 413


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_a_connection_closes_when_the_client_asks(server: Server, version: str) -> None:
    sent = request("POST", path(), "Connection: close").replace(b"HTTP/1.1", version.encode())
    assert exchange(server, sent).is_closed


def test_a_client_that_has_nothing_more_to_send_gets_its_answer(server: Server) -> None:
    with Client(server) as client:
        client.send(request("POST", path()))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.receive().status == 200
        assert client.is_closed()


def test_head_has_no_body_and_keeps_the_connection(server: Server) -> None:
    with Client(server) as client:
        for target, status in (("/_emulator/health", 200), (path(), 404)) * 2:
            client.send(request("HEAD", target))
            assert client.receive(is_head=True).status == status


@pytest.mark.parametrize("target", ["/_emulator/health", "http://a..b/_emulator/health"])
@pytest.mark.parametrize("host", ["x", "a..b", "", "["])
def test_health(server: Server, target: str, host: str) -> None:
    reply = exchange(server, request("GET", target).replace(b"runtime-127.0.0.1:4580", host.encode()))
    assert (reply.status, reply.json) == (200, {"status": "ready"})


@pytest.mark.parametrize(
    "target", ["/_emulator/seed", "http://x/_emulator/seed", "/%5Femulator/seed", "//_emulator/seed"]
)
def test_a_seed_may_be_larger_than_a_request_of_the_service(server: Server, target: str) -> None:
    body = b'{"datastores": []' + b" " * 2_000_000 + b"}"
    assert exchange(server, request("PUT", target, JSON, body=body)).status == 204


def test_a_seed_over_the_limit_is_refused_before_it_is_sent(server: Server) -> None:
    with Client(server) as client:
        client.send(request("PUT", "/_emulator/seed", JSON).replace(b"Length: 0", b"Length: 99999999"))
        reply = client.receive()
        assert (reply.status, reply.json["error"]["message"]) == (400, "a body has at most 67108864 bytes")
        assert reply.is_closed


def test_silent_and_half_sent_connections_hold_up_nobody(server: Server) -> None:
    clients = [Client(server) for _ in range(200)]
    whole = request("POST", path(), body=b"{}")
    for index, client in enumerate(clients):
        client.send(whole[: index * len(whole) // len(clients)])
    assert len(boto3_client(server).list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY)) == 3
    for client in clients:
        client.__exit__()


def test_a_request_that_takes_too_long_is_dropped(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUEST_SECONDS", 0.05)
    with Client(server) as client, Client(server) as silent:
        client.send(b"POST / HTTP/1.1\r\nX: ")
        assert client.is_closed()
        silent.send(request("GET", "/"))
        assert silent.receive().status == 404


def test_a_request_that_trickles_in_has_no_more_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUEST_SECONDS", 0.05)
    with Client(server) as client:
        client.send(request("POST", path()).replace(b"Length: 0", b"Length: 1000000"))
        until(lambda: not sent(client, b"a"))
        assert client.is_closed()  # without an answer


def sent(client: Client, data: bytes) -> bool:
    try:
        client.send(data)
    except OSError:
        return False
    return True


def test_an_answer_that_is_not_read_is_dropped(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "SEND_SECONDS", 0.05)
    long = {"imageSetId": MANY, "generate": {"versions": 100_000}}
    Remote(server.url).ask("PUT", "seed", {"datastores": [{"datastoreId": DATASTORE, "imageSets": [long]}]})
    with Client(server) as client:
        client.send(request("GET", "/_emulator/seed"))
        assert client.socket.recv(1)
        until(lambda: not server._connections)


@pytest.mark.parametrize("sent", [b"", b"a"])
def test_a_body_that_takes_too_long_is_dropped(server: Server, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(server_module, "REQUEST_SECONDS", 0.05)
    with Client(server) as client:
        client.send(request("POST", path()).replace(b"Length: 0", b"Length: 5") + sent)
        assert client.is_closed()


def test_time_between_two_requests_is_not_counted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUEST_SECONDS", 0.05)
    with Client(server) as kept, Client(server) as slow:
        kept.send(request("GET", "/"))
        assert kept.receive().status == 404
        slow.send(b"G")
        assert slow.is_closed()  # so more than the limit has passed
        kept.send(request("GET", "/"))
        assert kept.receive().status == 404


def test_a_client_that_goes_away_leaves_nothing_behind(server: Server) -> None:
    for sent in (b"", b"POST", request("POST", path(), body=b"{}")[:-1], request("POST", path())):
        with Client(server) as client:
            client.send(sent)
    with server._changed:
        assert server._changed.wait_for(lambda: not server._connections, HANG_SECONDS)


# Starting and stopping.


def test_it_listens_where_it_says_and_stops_listening(emulator: Emulator) -> None:
    with emulator.serve() as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        socket.create_connection((server.host, server.port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port))
    with emulator.serve(port=server.port) as again:
        assert exchange(again, request("POST", path())).status == 200


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


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1"])
def test_it_listens_on_any_address(emulator: Emulator, host: str) -> None:
    if ":" in host and not has_ipv6():
        with pytest.raises(OSError, match=r"address|Address"):
            emulator.serve(host)
        return
    with emulator.serve(host) as server:
        response = boto3_client(server).list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY)
        assert len(response["imageSetPropertiesList"]) == 50


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_a_busy_port(server: Server, emulator: Emulator) -> None:
    with pytest.raises(OSError, match="in use"):
        emulator.serve(port=server.port)


def test_stopping_closes_idle_connections_and_leaves_no_thread(emulator: Emulator) -> None:
    before = set(threading.enumerate())
    with emulator.serve() as server:
        idle, begun, used = Client(server), Client(server), Client(server)
        begun.send(b"POST / HT")
        used.send(request("POST", path()))
        used.receive()
    for client in (idle, begun, used):
        assert client.is_closed()
        client.__exit__()
    for thread in set(threading.enumerate()) - before:
        thread.join(HANG_SECONDS)
        assert not thread.is_alive()


def test_stopping_finishes_an_answer_under_way() -> None:
    gate = Gate()
    server = Server(gate)
    with Client(server) as client, Client(server) as idle:
        gate.open.set()
        idle.send(request("POST", path()))  # so that it is accepted
        idle.receive()
        gate.open.clear()
        gate.entered.clear()
        client.send(request("POST", path()))
        gate.entered.wait(HANG_SECONDS)
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        assert idle.is_closed()  # so it is stopping
        gate.open.set()
        reply = client.receive()
        assert (reply.body, reply.is_closed) == (b"hello", True)
        stopper.join(HANG_SECONDS)
        assert not stopper.is_alive()


def test_stopping_waits_for_an_answer_no_longer_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "STOP_SECONDS", 0.05)
    gate = Gate()
    server = Server(gate)
    with Client(server) as client:
        client.send(request("POST", path()))
        gate.entered.wait(HANG_SECONDS)
        server.stop()
        assert client.is_closed()
    gate.open.set()


def test_stopping_where_a_forked_process_has_the_sockets_too() -> None:
    program = r"""
import os, signal, socket
from healthimaging_emulator import Emulator, Remote
server = Emulator.from_seed().serve()
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


def test_stopping_twice_is_no_error(server: Server) -> None:
    server.stop()
    server.stop()


def test_a_refused_accept_is_survived(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opens = [server._open]

    def refuse(client: socket.socket) -> None:
        monkeypatch.setattr(server, "_open", opens[0])
        client.close()
        raise OSError("too many open files")

    monkeypatch.setattr(server, "_open", refuse)
    with Client(server) as client:
        assert client.is_closed()
    assert exchange(server, request("POST", path())).status == 200
    assert "too many open files" in caplog.text


def test_a_thread_that_cannot_be_had_closes_the_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("no thread")))
        with Client(server) as client:
            assert client.is_closed()
    assert exchange(server, request("POST", path())).status == 200
    assert "no thread" in caplog.text


# The log, and what nobody foresaw.


def test_one_line_a_request(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "emulator.access")
    with Client(server) as client:
        for sent in (request("POST", path()), request("POST", path("x")), request("GET", "/a?b"), b"nonsense\r\n\r\n"):
            client.send(sent)
            client.receive()
        client.is_closed()
    lines = [message.rsplit(" ", 2)[0] for message in caplog.messages]
    assert lines == [
        f"POST {path()} 200 -",
        f"POST {path('x')} 400 ValidationException",
        "GET /a?b 404 UnknownOperationException",
        "- - 400 BadRequestException",
    ]
    assert all(float(message.split()[-2]) >= 0 and message.endswith(" ms") for message in caplog.messages)


def test_what_nobody_foresaw_is_a_500_in_the_wires_form(
    emulator: Emulator, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(emulator, "tokens", None)
    reply = exchange(server, request("POST", path(MANY)))
    assert (reply.status, reply.headers["x-amzn-errortype"]) == (500, "InternalServerException")
    assert reply.json == {"message": "An unexpected error occurred during processing of the request."}
    assert "AttributeError" in caplog.text


def test_an_application_that_gives_no_length_is_given_one() -> None:
    def app(_: object, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"a", b"bc"]

    with Server(app, "127.0.0.1", 0) as server, Client(server) as client:
        for _ in range(2):
            client.send(request("GET", "/"))
            assert client.receive().body == b"abc"


def test_a_default_timeout_of_the_process_closes_no_connection(emulator: Emulator) -> None:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(HANG_SECONDS)
    try:
        with emulator.serve() as server, Client(server) as client:
            for part in (request("POST", path())[:9], request("POST", path())[9:]):
                client.send(part)
            assert client.receive().status == 200
            client.send(request("POST", path()))
            assert client.receive().status == 200
            (connection,) = server._connections
            assert connection._client.gettimeout() is None  # as it waits for the next request
    finally:
        socket.setdefaulttimeout(before)
