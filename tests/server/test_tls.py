"""TLS: who is trusted, who is silent, and what a broken connection looks like."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from healthimaging_emulator import ControlError, Emulator, Fault, Limits, Remote
from healthimaging_emulator.server import listener as server_module
from healthimaging_emulator.server import tls
from healthimaging_emulator.server.listener import Server
from tests.demo import MANY, path
from tests.raw import HANG_SECONDS, Client, request, until


class Encrypted(Client):
    """A client that trusts one authority."""

    def __init__(self, server: Server, authority: bytes, name: str = "localhost") -> None:
        context = ssl.create_default_context(cadata=authority.decode())
        plain = socket.create_connection((server.host, server.port), HANG_SECONDS)
        self.socket = context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=False)
        self._file = self.socket.makefile("rb")


@pytest.fixture(scope="module")
def made() -> tuple[ssl.SSLContext, bytes]:
    return tls.self_signed(["emulator", "10.0.0.7"])


@pytest.fixture
def server(emulator: Emulator, made: tuple[ssl.SSLContext, bytes]) -> Iterator[Server]:
    with emulator.serve(tls=made[0]) as server:
        yield server


@pytest.fixture
def authority(made: tuple[ssl.SSLContext, bytes]) -> bytes:
    return made[1]


@pytest.mark.parametrize(
    "name", ["localhost", "127.0.0.1", "::1", "runtime-localhost", "emulator", "runtime-emulator", "10.0.0.7"]
)
def test_the_names_of_the_certificate(server: Server, authority: bytes, name: str) -> None:
    with Encrypted(server, authority, name) as client:
        for _ in range(2):
            client.send(request("POST", path(MANY)))
            assert len(client.receive().json["imageSetPropertiesList"]) == 50


def test_another_name(server: Server, authority: bytes) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        Encrypted(server, authority, "elsewhere")


def test_a_certificate_of_ones_own(emulator: Emulator, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)
    with emulator.serve(tls=tls.loaded(tmp_path / "cert.pem", tmp_path / "key.pem")) as server:
        assert server.url == f"https://127.0.0.1:{server.port}"
        with Encrypted(server, authority.cert_pem.bytes()) as client:
            client.send(request("POST", path()))
            assert client.receive().status == 200


def test_the_control_api(server: Server, authority: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_bytes(authority)
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        _ = Remote(server.url).calls
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(OSError, match=r"there is no .*none.pem, which AWS_CA_BUNDLE names"):
        _ = Remote(server.url).calls
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    assert len(Remote(server.url).calls) == 0


def test_a_client_that_asks_to_close_is_told_the_end(server: Server, authority: bytes) -> None:
    with Encrypted(server, authority) as client:
        client.send(request("POST", path(), "Connection: close"))
        assert client.receive().is_closed  # an end that is not announced would raise


def test_a_request_that_cannot_be_read(server: Server, authority: bytes) -> None:
    with Encrypted(server, authority) as client:
        client.send(b"nonsense\r\n\r\n")
        reply = client.receive()
        assert (reply.status, reply.is_closed) == (400, True)


@pytest.mark.parametrize("effect", ["close", "reset", "cut"])
def test_broken_connections(server: Server, emulator: Emulator, authority: bytes, effect: str) -> None:
    emulator.faults.add(Fault.connection(effect))  # type: ignore[arg-type]
    with Encrypted(server, authority) as client:
        client.send(request("POST", path()))
        received = b""
        try:
            while data := client.socket.recv(10_000):
                received += data
            end = "an end"
        except (ConnectionResetError, ssl.SSLEOFError):  # which of them, goes by the version of Python
            end = "a reset"
    assert end == ("a reset" if effect == "reset" else "an end")
    if effect == "cut":
        head, _, body = received.partition(b"\r\n\r\n")
        (promised,) = re.findall(rb"Content-Length: (\d+)", head)
        assert len(body) == int(promised) // 2
    else:
        assert received == b""


def test_who_does_not_speak_tls_holds_up_nobody(server: Server, authority: bytes) -> None:
    with Client(server) as silent, Client(server) as plain, Encrypted(server, authority) as client:
        plain.send(request("POST", path()))
        assert plain.is_closed()
        client.send(request("POST", path()))
        assert client.receive().status == 200
        server.stop()  # does not wait for the handshake
        assert silent.is_closed()


def test_a_handshake_has_the_time_of_a_request(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUEST_SECONDS", 0.05)
    with Client(server) as silent, Client(server) as half:
        half.send(b"\x16\x03\x01")
        assert silent.is_closed()
        assert half.is_closed()


def test_who_is_refused_has_no_longer_for_a_handshake(
    emulator: Emulator, made: tuple[ssl.SSLContext, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "LINGER_SECONDS", 0.05)
    monkeypatch.setattr(server_module, "REQUEST_SECONDS", 3600)
    with Server(emulator.app, tls=made[0], limits=Limits(connections=1)) as server, Client(server):
        until(lambda: len(server._connections) == 1)
        with Client(server) as refused:
            assert refused.is_closed()


def test_a_large_answer_that_is_read_late(server: Server, authority: bytes) -> None:
    with Encrypted(server, authority) as client:
        for _ in range(200):
            client.send(request("POST", path(MANY)))
        assert {client.receive().status for _ in range(200)} == {200}


def test_a_refusal_reaches_who_still_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, authority = tls.self_signed(host for host in ("10.0.0.7",))
    (tmp_path / "ca.pem").write_bytes(authority)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with Emulator.from_seed({}, limits=Limits(control_body=1000)).serve(tls=context) as server:
        with pytest.raises(ControlError, match="a body has at most 1000 bytes"):
            Remote(server.url).ask("PUT", "seed", {"x": "x" * 5_000_000})
        Encrypted(server, authority, "10.0.0.7").__exit__()


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nonsense")
    for cert, key in (("none.pem", "none.pem"), ("cert.pem", "cert.pem")):
        with pytest.raises(OSError, match=r"No such file|PEM|pem"):
            tls.loaded(tmp_path / cert, tmp_path / key)
