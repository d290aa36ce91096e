"""TLS: certificates, silent clients, and how a broken connection looks."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from healthimaging_emulator.messages import ConnectionBreak
from healthimaging_emulator.server import tls
from healthimaging_emulator.server.listener import Server, Timeouts
from healthimaging_emulator.settings import Settings
from tests.raw import HANG_SECONDS, Client, request, until

from .apps import Broken, Large, echo, refuse_to_start

Made = tuple[ssl.SSLContext, bytes]


class Encrypted(Client):
    """A client that trusts one authority."""

    def __init__(self, server: Server, authority: bytes, name: str = "localhost") -> None:
        context = ssl.create_default_context(cadata=authority.decode())
        plain = socket.create_connection((server.host, server.port), HANG_SECONDS)
        self.socket = context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=False)
        self._file = self.socket.makefile("rb")


@pytest.fixture(scope="module")
def made() -> Made:
    return tls.make_self_signed(["emulator", "10.0.0.7"])


@pytest.fixture
def server(made: Made) -> Iterator[Server]:
    with Server(echo, tls=made[0]) as server:
        yield server


@pytest.fixture
def authority(made: Made) -> bytes:
    return made[1]


@pytest.mark.parametrize(
    "name", ["localhost", "127.0.0.1", "::1", "runtime-localhost", "emulator", "runtime-emulator", "10.0.0.7"]
)
def test_the_names_of_the_certificate(server: Server, authority: bytes, name: str) -> None:
    with Encrypted(server, authority, name) as client:
        for _ in range(2):
            client.send(request("POST", "/a", body=b"xyz"))
            assert client.receive().body == b"POST /a 3 xyz"


def test_another_name(server: Server, authority: bytes) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        Encrypted(server, authority, "elsewhere")


def test_a_certificate_of_ones_own(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)
    context = tls.load_certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    with Server(echo, tls=context) as server:
        assert server.url == f"https://127.0.0.1:{server.port}"
        with Encrypted(server, authority.cert_pem.bytes()) as client:
            client.send(request("POST", "/a"))
            assert client.receive().status == 200


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nonsense")
    for cert, key in (("none.pem", "none.pem"), ("cert.pem", "cert.pem")):
        with pytest.raises(OSError, match=r"No such file|PEM|pem"):
            tls.load_certificate(tmp_path / cert, tmp_path / key)


def test_an_application_is_told_the_scheme(made: Made) -> None:
    def app(environ: dict[str, str], start_response: object) -> list[bytes]:
        start_response("200 OK", [])  # type: ignore[operator]
        return [environ["wsgi.url_scheme"].encode()]

    with Server(app, tls=made[0]) as server, Encrypted(server, made[1]) as client:
        client.send(request("GET", "/"))
        assert client.receive().body == b"https"


def test_a_client_that_asks_to_close_is_told_the_end(server: Server, authority: bytes) -> None:
    with Encrypted(server, authority) as client:
        client.send(request("POST", "/a", "Connection: close"))
        assert client.receive().is_closed  # an end that is not announced would raise


def test_a_request_that_cannot_be_read(server: Server, authority: bytes) -> None:
    with Encrypted(server, authority) as client:
        client.send(b"nonsense\r\n\r\n")
        reply = client.receive()
        assert (reply.status, reply.is_closed) == (400, True)


@pytest.mark.parametrize("effect", ["close", "reset", "cut"])
def test_broken_connections(made: Made, effect: ConnectionBreak) -> None:
    received = b""
    with Server(Broken(effect), tls=made[0]) as server, Encrypted(server, made[1]) as client:
        client.send(request("GET", "/"))
        try:
            while data := client.socket.recv(10_000):
                received += data
            end = "an end"
        except (ConnectionResetError, ssl.SSLEOFError):  # which of them, goes by the version of Python
            end = "a reset"
    assert end == ("a reset" if effect == "reset" else "an end")
    assert received.partition(b"\r\n\r\n")[2] == (b"01234" if effect == "cut" else b"")
    assert bool(received) == (effect == "cut")


def test_who_does_not_speak_tls_holds_up_nobody(
    server: Server, authority: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "healthimaging_emulator")
    with Client(server) as silent, Client(server) as plain, Encrypted(server, authority) as client:
        plain.send(request("POST", "/a"))
        assert plain.receive().status == 400
        client.send(request("POST", "/a"))
        assert client.receive().status == 200
        server.stop()  # does not wait for the handshake
        assert silent.is_closed()
    assert any(message.startswith("a TLS handshake failed: ") for message in caplog.messages)


def test_a_thread_that_cannot_be_had_closes_the_connection(
    server: Server, authority: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse_to_start)
        with Client(server) as client:
            assert client.is_closed()
    with Encrypted(server, authority) as other:
        other.send(request("POST", "/a"))
        assert other.receive().status == 200
    assert "a connection was not accepted: no thread" in caplog.messages
    until(lambda: not server.connection_count)


def test_a_handshake_has_the_time_of_a_request(made: Made) -> None:
    server = Server(echo, tls=made[0], timeouts=Timeouts(request=0.05))
    with server, Client(server) as silent, Client(server) as half:
        half.send(b"\x16\x03\x01")
        assert silent.is_closed()
        assert half.is_closed()


def test_a_refused_connection_has_less_for_a_handshake(made: Made) -> None:
    settings, timeouts = Settings(max_connections=1), Timeouts(linger=0.05, request=3600)
    with Server(echo, tls=made[0], settings=settings, timeouts=timeouts) as server, Client(server):
        until(lambda: server.connection_count == 1)
        with Client(server) as refused:
            assert refused.is_closed()


def test_connections_over_the_limit_are_told_so(made: Made) -> None:
    settings, timeouts = Settings(max_connections=1), Timeouts(linger=HANG_SECONDS)
    with Server(echo, tls=made[0], settings=settings, timeouts=timeouts) as server, Client(server):
        until(lambda: server.connection_count == 1)
        with Encrypted(server, made[1]) as refused:
            refused.send(request("POST", "/a"))
            reply = refused.receive()
            assert (reply.status, reply.is_closed) == (503, True)


def test_large_answers_that_are_read_late(made: Made) -> None:
    with Server(Large(100_000), tls=made[0]) as server, Encrypted(server, made[1]) as client:
        for _ in range(200):
            client.send(request("POST", "/a"))
        assert {len(client.receive().body) for _ in range(200)} == {100_000}


def test_an_answer_that_is_not_read_is_dropped(made: Made) -> None:
    server = Server(Large(50_000_000), tls=made[0], timeouts=Timeouts(send=1))
    with server, Encrypted(server, made[1]) as client:
        client.send(request("GET", "/"))
        assert client.socket.recv(1)
        until(lambda: not server.connection_count)


def test_a_refusal_reaches_who_still_sends(made: Made) -> None:
    body = b"x" * 5_000_000
    with Server(echo, tls=made[0], settings=Settings(max_body=1000)) as server, Encrypted(server, made[1]) as client:
        with suppress(OSError):  # the answer came first, and with it the end
            client.send(request("PUT", "/a", body=body))
        reply = client.receive()
        assert (reply.status, reply.body) == (413, b"PUT /a 5000000 ")


def test_http_without_tls_is_told_what_the_port_speaks(server: Server) -> None:
    with socket.create_connection((server.host, server.port), timeout=30) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        while received := client.recv(1000):
            answer += received
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(b"\r\n\r\nthis port speaks TLS: use an https:// URL")
