"""Turns: first come first served, and nobody waits for a request that is long or waits itself."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.server.connection import Connection, Service, Timeouts
from healthimaging_emulator.server.gateway import build_base_environ
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.server.turns import Turns
from tests.demo import MANY, ONE, path
from tests.raw import HANG_SECONDS, Client, exchange, request, until


def test_turns_come_in_the_order_of_the_waiting() -> None:
    turns, order = Turns(HANG_SECONDS), list[int]()
    first = turns.take()

    def wait(number: int) -> None:
        turn = turns.take()
        order.append(number)
        turns.end(turn)

    threads = []
    for number in range(20):
        threads.append(threading.Thread(target=wait, args=[number]))
        threads[-1].start()
        until(lambda: turns.waiting == len(threads))
    turns.end(first)
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert order == list(range(20))


def test_a_thread_that_has_waited_too_long_takes_the_turn() -> None:
    turns = Turns(0.001)
    long = turns.take()
    taken = turns.take()
    turns.end(long)  # which is none any more
    waiting = threading.Thread(target=lambda: turns.end(turns.take()))
    waiting.start()
    turns.end(taken)
    waiting.join(HANG_SECONDS)
    assert (turns.waiting, waiting.is_alive()) == (0, False)


@pytest.mark.usefixtures("restless_threads")
def test_impatient_threads_take_turns_from_each_other() -> None:
    turns = Turns(1e-4)

    def take(_: int) -> None:
        turn = turns.take()
        sum(range(1000))  # so that others wait
        turns.end(turn)

    with ThreadPoolExecutor(32) as threads:
        assert len(list(threads.map(take, range(5000)))) == 5000
    assert turns.waiting == 0


@pytest.fixture
def emulator() -> Emulator:
    return Emulator.from_seed()


@pytest.mark.usefixtures("restless_threads")
def test_every_turn_is_ended(emulator: Emulator) -> None:
    with Server(emulator.app, timeouts=Timeouts(turn=HANG_SECONDS)) as server, ThreadPoolExecutor(16) as threads:
        replies = list(threads.map(lambda _: exchange(server, request("POST", path())), range(200)))
    assert [reply.status for reply in replies] == [200] * 200


@pytest.mark.parametrize(
    "fault",
    [
        Fault.latency(3600, image_set_id=ONE),
        Fault.connection("stall", seconds=3600, image_set_id=ONE),
        Fault.latency(3600, when="after", image_set_id=ONE),
    ],
    ids=["latency", "stall", "latency after"],
)
def test_a_request_that_waits_has_no_turn(emulator: Emulator, fault: Fault) -> None:
    (added,) = emulator.faults.add(fault)
    with Server(emulator.app, timeouts=Timeouts(turn=3600)) as server, Client(server) as client:
        client.send(request("POST", path(ONE)))
        until(lambda: emulator.faults[str(added.id)].fired)
        assert exchange(server, request("POST", path(MANY))).status == 200


def test_a_client_that_pauses_in_its_request_has_no_turn(emulator: Emulator) -> None:
    with Server(emulator.app, timeouts=Timeouts(turn=3600)) as server, Client(server) as client:
        client.send(request("POST", path(), body=b"{}")[:-1])
        assert exchange(server, request("POST", path())).status == 200
        client.send(b"}")
        assert client.receive().status == 200


def test_a_client_that_does_not_read_keeps_no_turn_before_it_may_continue(emulator: Emulator) -> None:
    ended = threading.Event()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            theirs.send(b"x" * 4096)  # until nothing more can be sent to the client
    theirs.setblocking(True)
    timeouts = Timeouts(send=0.1, turn=HANG_SECONDS)
    turns = Turns(timeouts.turn)
    environ = build_base_environ("127.0.0.1", 80)
    service = Service(
        app=emulator.app, environ=environ, settings=emulator.settings, timeouts=timeouts, tls=None, turns=turns
    )
    Connection(service, theirs, on_close=lambda _: ended.set()).start()
    ours.sendall(request("POST", path(), "Expect: 100-continue", body=b"{}")[:-1])
    assert ended.wait(HANG_SECONDS)
    ours.close()
    turns.end(turns.take())
