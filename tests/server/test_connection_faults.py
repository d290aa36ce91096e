"""Connection effects on the real socket, and what boto3 makes of them there."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.messages import Link
from healthimaging_emulator.server.listener import Server
from tests.demo import DATASTORE, MANY, path
from tests.raw import HANG_SECONDS, Client, exchange, request

from .test_server import boto3_client

IDS = {"datastoreId": DATASTORE, "imageSetId": MANY}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Keep boto3 from sleeping between its attempts."""
    noted: list[float] = []
    monkeypatch.setattr("time.sleep", noted.append)
    return noted


def listed(server: Server, **config: Any) -> list[int]:
    client = boto3_client(server, config=Config(retries={"mode": "standard"}, **config))
    pages = client.get_paginator("list_image_set_versions").paginate(**IDS)
    return [int(entry["versionId"]) for page in pages for entry in page.get("imageSetPropertiesList", [])]


def test_reset_sends_rst(emulator: Emulator, server: Server) -> None:
    emulator.faults.add(Fault.connection("reset"))
    with Client(server) as client:
        client.send(request("POST", path()))
        with pytest.raises(ConnectionResetError):
            client.socket.recv(1)


def test_close_sends_nothing(emulator: Emulator, server: Server) -> None:
    emulator.faults.add(Fault.connection("close"))
    with Client(server) as client:
        client.send(request("POST", path()))
        assert client.socket.recv(1) == b""


def test_cut_promises_the_whole_and_sends_half(emulator: Emulator, server: Server) -> None:
    whole = exchange(server, request("POST", path())).body
    emulator.faults.add(Fault.connection("cut", id="scissors"))
    with Client(server) as client:
        client.send(request("POST", path()))
        received = b"".join(iter(lambda: client.socket.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(whole)}".encode() in head
    assert b"x-emulator-fault: scissors" in head
    assert body == whole[: len(whole) // 2]


def test_stall_sends_nothing_and_closes(emulator: Emulator, server: Server) -> None:
    emulator.faults.add(Fault.connection("stall", seconds=0.05))
    with Client(server) as client:
        client.send(request("POST", path()))
        assert client.socket.recv(1) == b""


@pytest.mark.parametrize("effect", ["reset", "close"])
def test_boto3_tries_again_and_gives_up(emulator: Emulator, server: Server, pauses: list[float], effect: Any) -> None:
    emulator.faults.add(Fault.connection(effect, page=2, times=2))
    assert listed(server) == list(range(137, 0, -1))
    assert [(attempt.status, attempt.faults) for attempt in emulator.calls[1].attempts] == [
        (None, ["fault-1"]),
        (None, ["fault-1"]),
        (200, []),
    ]
    emulator.faults.add(Fault.connection(effect, page=2))
    with pytest.raises(ConnectionClosedError):
        listed(server)
    assert emulator.calls[-1].outcome == "NoAnswer"
    assert pauses


def test_boto3_waits_for_a_stall_as_long_as_it_was_told(
    emulator: Emulator, server: Server, pauses: list[float]
) -> None:
    emulator.faults.add(Fault.connection("stall", page=2, times=1))
    assert listed(server, read_timeout=0.2) == list(range(137, 0, -1))
    emulator.faults.add(Fault.connection("stall", page=2))
    with pytest.raises(ReadTimeoutError):
        listed(server, read_timeout=0.2)
    assert pauses


@pytest.mark.parametrize("rule", [Fault.connection("cut", page=2), Fault.body("truncate", page=2)])
def test_a_cut_page_is_lost_in_silence(emulator: Emulator, server: Server, rule: Any) -> None:
    """No error, no retry: the paginator ends with page 1. Newest boto3; wire and versions are in the README."""
    emulator.faults.add(rule)
    assert listed(server) == list(range(137, 87, -1))
    assert [len(call.attempts) for call in emulator.calls] == [1, 1]


@pytest.mark.parametrize("rule", [Fault.connection("stall", seconds=3600, id="slow"), Fault.delay(3600, id="slow")])
class TestAStallOrDelay:
    @pytest.fixture(autouse=True)
    def _holding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Say when a request begins to be held up."""
        self.is_held, wait = threading.Event(), Link.wait

        def tell(link: Link, end: threading.Event, seconds: float) -> None:
            self.is_held.set()
            wait(link, end, seconds)

        monkeypatch.setattr(Link, "wait", tell)

    def be_held_up(self, client: Client) -> None:
        client.send(request("POST", path()))
        assert self.is_held.wait(HANG_SECONDS)

    def test_holds_up_nobody_else(self, emulator: Emulator, server: Server, rule: Any) -> None:
        emulator.faults.add(rule)
        with Client(server) as client:
            self.be_held_up(client)
            emulator.faults.add(Fault.error("ConflictException"))
            other = request("POST", path(), "Authorization: AWS4-HMAC-SHA256 Credential=111111111111/x")
            assert exchange(server, other).status == 200
            emulator.faults.clear()

    def test_ends_when_its_rule_is_removed(self, emulator: Emulator, server: Server, rule: Any) -> None:
        emulator.faults.add(rule)
        with Client(server) as client:
            self.be_held_up(client)
            emulator.faults.remove("slow")
            assert client.socket.recv(4) == (b"" if rule.connection else b"HTTP")

    def test_ends_when_the_server_stops(self, emulator: Emulator, rule: Any) -> None:
        emulator.faults.add(rule)
        server = emulator.serve()
        with Client(server) as client:
            self.be_held_up(client)
            stopper = threading.Thread(target=server.stop)
            stopper.start()
            assert client.socket.recv(4) == (b"" if rule.connection else b"HTTP")
            stopper.join(HANG_SECONDS)
            assert not stopper.is_alive()

    def test_is_virtual_under_a_frozen_clock(self, emulator: Emulator, server: Server, rule: Any) -> None:
        emulator.clock.freeze()
        emulator.faults.add(rule)
        with Client(server) as client:
            client.send(request("POST", path()))
            assert client.socket.recv(4) == (b"" if rule.connection else b"HTTP")


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


def test_the_log_names_the_rule(emulator: Emulator, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "emulator.access")
    emulator.faults.add(Fault.connection("close", id="a", times=1), Fault.error("ThrottlingException", id="b"))
    for _ in range(2):
        with Client(server) as client:
            client.send(request("POST", path()))
            while client.socket.recv(65536) and len(caplog.messages) < 2:
                client.socket.shutdown(socket.SHUT_WR)
    words = [message.split() for message in caplog.messages]
    assert [[word[2], word[3], word[-1]] for word in words] == [
        ["-", "close", "a"],
        ["429", "ThrottlingException", "b"],
    ]
