"""Connection effects on the real socket, and how boto3 takes them there."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.messages import ConnectionBreak
from healthimaging_emulator.server.connection import ServedExchange
from healthimaging_emulator.server.listener import Server, Timeouts
from tests.demo import DATASTORE, MANY, path
from tests.raw import HANG_SECONDS, Client, exchange, request

from .apps import Broken
from .test_server import boto3_client

IDS = {"datastoreId": DATASTORE, "imageSetId": MANY}


# The server alone: an application that says what is to happen.


def receive_all(client: Client) -> bytes:
    return b"".join(iter(lambda: client.socket.recv(65536), b""))


def test_reset_sends_rst() -> None:
    with Server(Broken("reset")) as server, Client(server) as client:
        client.send(request("GET", "/"))
        with pytest.raises(ConnectionResetError):
            client.socket.recv(1)


@pytest.mark.parametrize("effect", ["close", "stall", "timeout"])
def test_an_effect_without_an_answer_sends_nothing(effect: ConnectionBreak) -> None:
    with Server(Broken(effect)) as server, Client(server) as client:
        client.send(request("GET", "/"))
        assert receive_all(client) == b""


def test_cut_promises_the_whole_and_sends_half() -> None:
    with Server(Broken("cut")) as server, Client(server) as client:
        client.send(request("GET", "/"))
        head, _, body = receive_all(client).partition(b"\r\n\r\n")
    assert b"\r\nContent-Length: 10\r\n" in head + b"\r\n"
    assert b"\r\nx-emulator-fault: scissors\r\n" in head
    assert body == b"01234"


def test_only_the_connection_of_the_request_ends() -> None:
    with Server(Broken("close", path="/broken")) as server, Client(server) as kept, Client(server) as client:
        client.send(request("GET", "/broken"))
        assert client.is_closed()
        for _ in range(2):
            kept.send(request("GET", "/"))
            assert kept.receive().body == b"0123456789"


@pytest.mark.parametrize("effect", ["stall", None])
class TestAWait:
    """A stall, which ends without an answer, and a delay, which ends with one."""

    def expected(self, effect: ConnectionBreak | None) -> bytes:
        return b"" if effect else b"HTTP"

    def test_holds_up_nobody_else(self, effect: ConnectionBreak | None) -> None:
        app = Broken(effect, waits=True, path="/slow")
        with Server(app) as server, Client(server) as client:
            client.send(request("GET", "/slow"))
            assert app.entered.wait(HANG_SECONDS)
            assert exchange(server, request("GET", "/")).status == 200

    def test_ends_when_it_is_ended(self, effect: ConnectionBreak | None) -> None:
        app = Broken(effect, waits=True)
        with Server(app) as server, Client(server) as client:
            client.send(request("GET", "/"))
            assert app.entered.wait(HANG_SECONDS)
            app.end.set()
            assert client.socket.recv(4) == self.expected(effect)

    def test_ends_when_the_server_stops(self, effect: ConnectionBreak | None) -> None:
        app = Broken(effect, waits=True)
        server = Server(app, timeouts=Timeouts(stop=HANG_SECONDS))
        with Client(server) as client:
            client.send(request("GET", "/"))
            assert app.entered.wait(HANG_SECONDS)
            stopper = threading.Thread(target=server.stop)
            stopper.start()
            assert client.socket.recv(4) == self.expected(effect)
            stopper.join(HANG_SECONDS)
            assert not stopper.is_alive()


# With the emulator behind it.


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Keep boto3 from sleeping between its attempts."""
    noted: list[float] = []
    monkeypatch.setattr("time.sleep", noted.append)
    return noted


def list_versions(server: Server, **config: Any) -> list[int]:
    client = boto3_client(server, config=Config(retries={"mode": "standard"}, **config))
    pages = client.get_paginator("list_image_set_versions").paginate(**IDS)
    return [int(entry["versionId"]) for page in pages for entry in page.get("imageSetPropertiesList", [])]


@pytest.mark.parametrize("effect", ["reset", "close"])
def test_boto3_tries_again_and_gives_up(emulator: Emulator, server: Server, pauses: list[float], effect: Any) -> None:
    emulator.faults.add(Fault.connection(effect, page=2, times=2))
    assert list_versions(server) == list(range(137, 0, -1))
    assert [(attempt.status, attempt.faults) for attempt in emulator.calls[1].attempts] == [
        (None, ["fault-1"]),
        (None, ["fault-1"]),
        (200, []),
    ]
    emulator.faults.add(Fault.connection(effect, page=2))
    with pytest.raises(ConnectionClosedError):
        list_versions(server)
    assert emulator.calls[-1].outcome == "NoAnswer"
    assert pauses


def test_boto3_waits_for_a_stall_as_long_as_it_was_told(
    emulator: Emulator, server: Server, pauses: list[float]
) -> None:
    emulator.faults.add(Fault.connection("stall", page=2, times=1))
    assert list_versions(server, read_timeout=2) == list(range(137, 0, -1))
    emulator.faults.add(Fault.connection("stall", page=2))
    with pytest.raises(ReadTimeoutError):
        list_versions(server, read_timeout=0.2)
    assert pauses


@pytest.mark.parametrize("fault", [Fault.connection("cut", page=2), Fault.corrupt("truncate", page=2)])
def test_a_cut_page_is_lost_in_silence(emulator: Emulator, server: Server, fault: Any) -> None:
    """No error, no retry: the paginator ends with page 1. Newest boto3; wire and versions are in the README."""
    emulator.faults.add(fault)
    assert list_versions(server) == list(range(137, 87, -1))
    assert [len(call.attempts) for call in emulator.calls] == [1, 1]


def test_the_answer_is_cut_and_names_its_fault(emulator: Emulator, server: Server) -> None:
    whole = exchange(server, request("POST", path())).body
    emulator.faults.add(Fault.connection("cut", id="scissors"))
    with Client(server) as client:
        client.send(request("POST", path()))
        head, _, body = receive_all(client).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(whole)}".encode() in head
    assert b"x-emulator-fault: scissors" in head
    assert body == whole[: len(whole) // 2]


@pytest.mark.parametrize("fault", [Fault.connection("stall", seconds=3600, id="slow"), Fault.latency(3600, id="slow")])
class TestAStallOrLatency:
    @pytest.fixture(autouse=True)
    def _holding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Say when a request begins to be held up."""
        self.is_held, wait = threading.Event(), ServedExchange.wait

        def tell(exchange: ServedExchange, pause: Any) -> None:
            self.is_held.set()
            wait(exchange, pause)

        monkeypatch.setattr(ServedExchange, "wait", tell)

    def be_held_up(self, client: Client) -> None:
        client.send(request("POST", path()))
        assert self.is_held.wait(HANG_SECONDS)

    def test_holds_up_nobody_else(self, emulator: Emulator, server: Server, fault: Any) -> None:
        emulator.faults.add(fault)
        with Client(server) as client:
            self.be_held_up(client)
            emulator.faults.add(Fault.error("ConflictException"))
            other = request("POST", path(), "Authorization: AWS4-HMAC-SHA256 Credential=111111111111/x")
            assert exchange(server, other).status == 200
            emulator.faults.clear()

    def test_ends_when_its_fault_is_removed(self, emulator: Emulator, server: Server, fault: Any) -> None:
        emulator.faults.add(fault)
        with Client(server) as client:
            self.be_held_up(client)
            emulator.faults.remove("slow")
            assert client.socket.recv(4) == (b"" if fault.connection_effect else b"HTTP")

    def test_ends_when_the_server_stops(self, emulator: Emulator, fault: Any) -> None:
        emulator.faults.add(fault)
        server = Server(emulator.app, timeouts=Timeouts(stop=HANG_SECONDS))
        with Client(server) as client:
            self.be_held_up(client)
            stopper = threading.Thread(target=server.stop)
            stopper.start()
            assert client.socket.recv(4) == (b"" if fault.connection_effect else b"HTTP")
            stopper.join(HANG_SECONDS)
            assert not stopper.is_alive()

    def test_is_virtual_under_a_frozen_clock(self, emulator: Emulator, server: Server, fault: Any) -> None:
        emulator.clock.freeze()
        emulator.faults.add(fault)
        with Client(server) as client:
            client.send(request("POST", path()))
            assert client.socket.recv(4) == (b"" if fault.connection_effect else b"HTTP")


def test_counting_is_exact_under_32_connections(emulator: Emulator, server: Server) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", times=100))
    ready, statuses = threading.Barrier(32), []

    def work() -> None:
        with Client(server) as client:
            ready.wait()
            for _ in range(10):
                client.send(request("POST", path()))
                statuses.append(client.receive().status)

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert (statuses.count(429), statuses.count(200)) == (100, 220)
    assert len(emulator.calls) == 320


def test_the_log_names_the_fault(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "healthimaging_emulator.access")
    emulator.faults.add(Fault.connection("close", id="a", times=1), Fault.error("ThrottlingException", id="b"))
    with emulator.serve() as server:
        for _ in range(2):
            with Client(server) as client:
                client.send(request("POST", path(), "Connection: close"))
                receive_all(client)
    listed = "000000000000 ListImageSetVersions 1234..9012/ea92..f87e page 1"
    assert [re.sub(r"\d+\.\d", "0", message) for message in caplog.messages] == [
        f"{listed} - close 0 ms a",
        f"{listed} 429 ThrottlingException 0 ms b",
    ]
