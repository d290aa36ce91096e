"""The threads of a server: nobody waits for a request that is long or waits itself, and none is served twice."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.messages import Wait
from healthimaging_emulator.monotonic import monotonic
from healthimaging_emulator.server import workers
from healthimaging_emulator.server.connection import Timeouts
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.server.workers import MOST_FOLLOWERS, Workers
from healthimaging_emulator.transports.targets import EXCHANGE_KEY
from tests.demo import MANY, ONE, path
from tests.raw import HANG_SECONDS, Client, count_descriptors, exchange, request, until

from .apps import Broken, Gate, Large, echo, refuse_to_start

PATIENT = Timeouts(patience=3600)
"""Timeouts of a server whose watch never takes the lead."""


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


def test_a_client_that_does_not_read_keeps_nobody_waiting() -> None:
    large = Large(50_000_000)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        return (large if environ["PATH_INFO"] == "/large" else echo)(environ, start_response)

    with Server(app, timeouts=PATIENT) as server, Client(server) as client:
        client.send(request("GET", "/large"))
        assert client.socket.recv(1)
        assert exchange(server, request("GET", "/other")).status == 200


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_request_that_takes_long_is_passed_by(rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "QUIET_PERIODS", 1)  # so that the watch sleeps between the rounds
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


@pytest.mark.parametrize("ends_with", [b"", b"GET /6"])
def test_requests_that_come_at_once_are_answered_in_their_order(ends_with: bytes) -> None:
    first = Broken(None, waits=True, path="/2")
    first.end.set()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        first(environ, lambda *_: None)
        return echo(environ, start_response)

    with Server(app, timeouts=PATIENT) as server, Client(server) as client:
        client.send(b"".join(request("GET", f"/{number}") for number in range(1, 6)) + ends_with)
        assert [client.receive().body for _ in range(5)] == [f"GET /{number} 0 ".encode() for number in range(1, 6)]
        client.send(request("GET", "/6")[len(ends_with) :])
        assert client.receive().body == b"GET /6 0 "


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


# The threads alone.


class Stub:
    """A connection that counts how often it is served; bytes that come stay unread."""

    def __init__(self, serve: Callable[[Stub], bool], *, deadline: float | None = None) -> None:
        self._serve = serve
        self.deadline = deadline
        self.has_more = False
        self.served = 0
        self.closed = threading.Event()
        self.ours, self._theirs = socket.socketpair()

    def fileno(self) -> int:
        return self._theirs.fileno()

    def serve(self) -> bool:
        self.served += 1
        return self._serve(self)

    def close(self) -> None:
        self.deadline = None
        self.ours.close()
        self._theirs.close()
        self.closed.set()


@pytest.fixture
def threads() -> Iterator[Workers]:
    workers = Workers(3600)
    yield workers
    workers.stop(HANG_SECONDS)


def end(_: Stub) -> bool:
    return False


def test_a_deadline_that_passes_while_a_thread_has_the_connection_is_nobody_elses(threads: Workers) -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def wait(_: Stub) -> bool:
        threads.hand_over()
        has_begun.set()
        return not may_end.wait(HANG_SECONDS)

    soon = monotonic() + 0.05
    busy, later = Stub(wait, deadline=soon), Stub(end, deadline=soon + 0.01)
    busy.ours.send(b"x")
    threads.add(busy)
    assert has_begun.wait(HANG_SECONDS)
    threads.add(later)
    assert later.closed.wait(HANG_SECONDS)  # so the deadline of the busy one has passed
    assert busy.served == 1
    may_end.set()
    assert busy.closed.wait(HANG_SECONDS)


def test_a_deadline_is_kept_while_others_come_and_go(threads: Workers) -> None:
    def put_off(stub: Stub) -> bool:
        stub.deadline = monotonic() + 3600
        return stub.served < 500

    slow, busy = Stub(end, deadline=monotonic() + 0.1), Stub(put_off)
    threads.add(slow)
    busy.ours.send(b"x")
    threads.add(busy)
    assert busy.closed.wait(HANG_SECONDS)
    assert slow.closed.wait(HANG_SECONDS)
    assert (busy.served, slow.served) == (500, 1)


def test_connections_that_always_have_more_keep_nobody_waiting(threads: Workers) -> None:
    def go_on(stub: Stub) -> bool:
        stub.has_more = not other.closed.is_set()
        return stub.has_more

    other, endless = Stub(end), [Stub(go_on) for _ in range(2)]
    for stub in (*endless, other):
        stub.ours.send(b"x")
        threads.add(stub)
        until(partial(getattr, stub, "served"))
    for stub in (other, *endless):
        assert stub.closed.wait(HANG_SECONDS)
    assert other.served == 1


def test_a_connection_that_the_system_does_not_watch_is_closed(
    threads: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, other = Stub(end), Stub(end)
    monkeypatch.setattr(refused, "fileno", lambda: 1_000_000)
    threads.add(refused)
    assert refused.closed.wait(HANG_SECONDS)
    other.ours.send(b"x")
    threads.add(other)
    assert other.closed.wait(HANG_SECONDS)
    assert refused.served == 0


def test_a_thread_that_fails_lets_another_one_lead(threads: Workers, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Stub) -> bool:
        raise AssertionError("a mistake of ours")

    failing, other = Stub(fail), Stub(end)
    for stub in (failing, other):
        stub.ours.send(b"x")
        threads.add(stub)
    assert other.closed.wait(HANG_SECONDS)
    assert [record.message for record in caplog.records] == ["a thread of the server failed"]
    failing.close()


@pytest.mark.usefixtures("restless_threads")
def test_a_stop_leaves_no_thread_and_no_descriptor(count_workers: Callable[[], int]) -> None:
    def hand_over(_: Stub) -> bool:
        made[-1].hand_over()
        return True

    made: list[Workers] = []
    before = count_descriptors()
    for _ in range(200):
        made.append(Workers(1e-5))
        stubs = [Stub(hand_over) for _ in range(3)]
        for stub in stubs:
            stub.ours.send(b"x")
            made[-1].add(stub)
        made[-1].stop(HANG_SECONDS)
        assert all(stub.closed.wait(HANG_SECONDS) for stub in stubs)
    until(lambda: count_workers() == 0)
    until(lambda: count_descriptors() <= before)
