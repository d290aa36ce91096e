"""The threads of a server: nobody waits for a request that is long or waits itself, and none is served twice."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.messages import Wait
from healthimaging_emulator.server import workers
from healthimaging_emulator.server.connection import Connection, Service, Timeouts
from healthimaging_emulator.server.gateway import build_base_environ
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.server.workers import MOST_FOLLOWERS, Workers
from healthimaging_emulator.transports.targets import EXCHANGE_KEY
from tests.demo import MANY, ONE, path
from tests.raw import HANG_SECONDS, Client, exchange, request, until

from .apps import Broken, Gate, echo, refuse_to_start

PATIENT = Timeouts(patience=3600)
"""Timeouts of a server on which nobody takes the lead from a thread that serves."""


@pytest.fixture
def emulator() -> Emulator:
    return Emulator.from_seed()


@pytest.fixture
def count_workers() -> Callable[[], int]:
    """Return how many threads have begun to serve in this test and have not ended."""
    before = {*threading.enumerate()}
    return lambda: sum(each.name == "healthimaging-worker" for each in {*threading.enumerate()} - before)


@pytest.mark.parametrize(
    "fault",
    [
        Fault.latency(3600, image_set_id=ONE),
        Fault.connection("stall", seconds=3600, image_set_id=ONE),
        Fault.latency(3600, when="after", image_set_id=ONE),
    ],
    ids=["latency", "stall", "latency after"],
)
def test_a_request_that_waits_keeps_nobody_waiting(emulator: Emulator, fault: Fault) -> None:
    (added,) = emulator.faults.add(fault)
    with Server(emulator.app, timeouts=PATIENT) as server, Client(server) as client:
        client.send(request("POST", path(ONE)))
        until(lambda: emulator.faults[str(added.id)].fired)
        assert exchange(server, request("POST", path(MANY))).status == 200


def test_a_client_that_pauses_in_its_request_keeps_nobody_waiting_and_no_thread(
    count_workers: Callable[[], int],
) -> None:
    with Server(echo, timeouts=PATIENT) as server, Client(server) as client:
        for piece in (b"POST / HT", b"TP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{", b"}"):
            assert exchange(server, request("POST", "/other")).status == 200
            client.send(piece)
        assert client.receive().body == b"POST / 2 {}"
        assert count_workers() == 1


def test_a_client_that_does_not_read_keeps_nobody_waiting_before_it_may_continue(emulator: Emulator) -> None:
    ended = threading.Event()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            theirs.send(b"x" * 4096)  # until nothing more can be sent to the client
    theirs.setblocking(True)
    service = Service(
        app=emulator.app,
        environ=build_base_environ("127.0.0.1", 80),
        settings=emulator.settings,
        timeouts=Timeouts(send=0.1),
        tls=None,
        workers=Workers(3600),
    )
    Connection(service, theirs, on_close=lambda _: ended.set()).start()
    ours.sendall(request("POST", path(), "Expect: 100-continue", body=b"{}")[:-2])
    assert ended.wait(HANG_SECONDS)
    ours.close()
    service.workers.stop(HANG_SECONDS)


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_request_that_takes_long_is_passed_by(rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "QUIET_TICKS", 1)  # so that the watch sleeps between the rounds
    gates = {f"/{number}": Gate() for number in range(rounds)}

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        gate = gates.get(environ["PATH_INFO"])
        return gate(environ, start_response) if gate else echo(environ, start_response)

    with Server(app, timeouts=Timeouts(patience=0.001)) as server:
        for target, gate in gates.items():
            with Client(server) as client:
                client.send(request("GET", target))
                assert gate.entered.wait(HANG_SECONDS)
                for _ in range(100):
                    assert exchange(server, request("GET", "/other")).status == 200
                gate.open.set()
                assert client.receive().body == b"hello"
                client.send(request("GET", "/again"))  # the connection goes on, in the hands of the leader
                assert client.receive().status == 200


def test_the_requests_of_a_connection_are_answered_one_after_the_other() -> None:
    first, asked = Broken(None, waits=True, path="/first"), list[str]()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        asked.append(environ["PATH_INFO"])
        return first(environ, start_response)

    with Server(app, timeouts=Timeouts(patience=0.001)) as server, Client(server) as client:
        client.send(request("GET", "/first"))
        assert first.entered.wait(HANG_SECONDS)
        client.send(request("GET", "/second"))
        assert exchange(server, request("GET", "/other")).status == 200
        first.end.set()
        assert [client.receive().status, client.receive().status] == [200, 200]
    assert asked == ["/first", "/other", "/second"]


def test_threads_are_kept_for_some_requests_that_wait_and_the_others_end(count_workers: Callable[[], int]) -> None:
    waiting = Broken(None, waits=True, path="/waits")
    with Server(waiting, timeouts=PATIENT) as server, ExitStack() as stack:
        clients = [stack.enter_context(Client(server)) for _ in range(3 * MOST_FOLLOWERS)]
        for client in clients:
            client.send(request("GET", "/waits"))
        until(lambda: count_workers() == len(clients) + 1)
        waiting.end.set()
        assert [client.receive().status for client in clients] == [200] * len(clients)
        until(lambda: count_workers() == MOST_FOLLOWERS + 1)
        assert exchange(server, request("GET", "/other")).status == 200
    until(lambda: count_workers() == 0)


@pytest.mark.usefixtures("restless_threads")
@pytest.mark.parametrize("patience", [1e-5, 3600])
def test_nothing_is_lost_while_the_lead_changes_all_the_time(patience: float) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if int(environ["PATH_INFO"][1:]) % 3 == 0:
            environ[EXCHANGE_KEY].wait(Wait(0.0001, threading.Event()))
        return echo(environ, start_response)

    def ask(number: int) -> list[bytes]:
        with Client(server) as client:
            bodies = []
            for each in range(number, number + 20):
                sent = request("POST", f"/{each}", body=b"12")
                client.send(sent[:-1] if each % 2 else sent)
                client.send(sent[-1:] if each % 2 else b"")
                bodies.append(client.receive().body)
            return bodies

    with Server(app, timeouts=Timeouts(patience=patience)) as server, ThreadPoolExecutor(32) as threads:
        for number, bodies in enumerate(threads.map(ask, range(100))):
            assert bodies == [f"POST /{each} 2 12".encode() for each in range(number, number + 20)]
        until(lambda: server.connection_count == 0)


def test_without_a_thread_to_hand_over_to_a_request_that_waits_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = Broken(None, waits=True, path="/waits")
    with Server(waiting, timeouts=PATIENT) as server, Client(server) as other:
        other.send(request("GET", "/first"))
        assert other.receive().status == 200
        with monkeypatch.context() as patch, Client(server) as client:
            patch.setattr(threading.Thread, "start", refuse_to_start)
            client.send(request("GET", "/waits"))
            assert client.is_closed()
        other.send(request("GET", "/second"))
        assert other.receive().status == 200
    assert [record.message for record in caplog.records] == ["a connection failed"]


def test_an_application_that_exits_ends_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/exit":
            raise SystemExit
        return echo(environ, start_response)

    with Server(app) as server, Client(server) as client:
        client.send(request("GET", "/exit"))
        assert client.is_closed()
        assert exchange(server, request("GET", "/")).status == 200
    assert [record.message for record in caplog.records] == ["a connection failed"]
