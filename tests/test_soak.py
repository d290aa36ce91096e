"""Load and time: briefly in every run, and as long as ``make soak`` says (``SOAK`` is in seconds)."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from healthimaging_emulator import Remote
from healthimaging_emulator.faults.fault import BodyEffect, PageEffect
from tests.cli.conftest import Address, serving
from tests.demo import DATASTORE, FIFTY_ONE, MANY, path
from tests.raw import HANG_SECONDS, JSON, Client, request, until

SECONDS = float(os.environ.get("SOAK", "3"))
CONNECTIONS = 64
WARM, REQUESTS = 10_000, 100_000 if SECONDS >= 60 else 30_000
"""Memory after the first so many requests, which fill the journal and the heaps of threads, and after all of them."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it reads /proc, which Linux has")


class Served:
    """A server in a process of its own, as the system sees it."""

    def __init__(self, process: subprocess.Popen[str], banner: list[str]) -> None:
        self.process = process
        self.address: Any = Address(banner)
        self.remote = Remote(f"http://127.0.0.1:{self.address.port}")
        self._proc = Path(f"/proc/{process.pid}")
        assert self.ask() == 200
        until(lambda: self.open[0] == IDLE_THREADS)
        self._before = self.open

    @property
    def open(self) -> tuple[int, int]:
        """How many threads and descriptors it has."""
        return self._number("Threads"), len(os.listdir(self._proc / "fd"))

    def settle(self) -> None:
        """Wait until it has as many of both as after its first request."""
        until(lambda: self.open == self._before)

    @property
    def kilobytes(self) -> int:
        return self._number("VmRSS")

    def _number(self, name: str) -> int:
        lines = (self._proc / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    def ask(self, target: str = path()) -> int:
        with Client(self.address) as client:
            client.send(request("POST", target))
            return client.receive().status


@pytest.fixture
def served() -> Iterator[Served]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(10_000, hard), hard))
    with serving("--log-level", "error") as (process, banner):
        yield Served(process, banner)
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0
        assert process.stderr
        assert process.stderr.read() == ""
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


IDLE_THREADS = 3
"""One waits for signals, one for connections, and one for lines to log."""

BROKEN = ("reset", "close", "stall")
STATUSES = {"throttle": 429, "fail": 500, "rate": 429}
RULES: list[dict[str, Any]] = [
    {"id": "late", "delay": {"seconds": 0.001, "jitter": 0.001}},
    {"id": "throttle", "error": {"code": "ThrottlingException", "retryAfter": 1}},
    {"id": "fail", "error": {"code": "InternalServerException"}},
    {"id": "rate", "rate": {"perSecond": 1, "burst": 1}},
    *({"id": effect, "page": effect} for effect in get_args(PageEffect)),
    *({"id": effect, "body": effect} for effect in get_args(BodyEffect)),
    *({"id": effect, "connection": effect} for effect in ("reset", "close", "cut")),
    {"id": "stall", "connection": "stall", "seconds": 0.01},
]


class Lister(threading.Thread):
    """A client that lists for as long as it may, checks every page, and counts what it was made to meet."""

    def __init__(self, served: Served, number: int, *, count: int | None = None) -> None:
        super().__init__()
        self._address = served.address
        self._client = Client(self._address)
        self._random = random.Random(number)
        self._end = time.monotonic() + SECONDS
        self._count = count
        self.sent = 0
        self.met: Counter[str] = Counter()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while time.monotonic() < self._end if self._count is None else self.sent < self._count:
                self.list_all(self._random.choice([MANY, FIFTY_ONE]), self._random.randint(5, 50))
        except BaseException as error:
            self.error = error
        finally:
            self._client.__exit__()

    def list_all(self, image_set: str, size: int) -> None:
        token, below = "", None
        while True:
            target = f"{path(image_set)}?maxResults={size}" + (f"&nextToken={token}" if token else "")
            page = self.page(target)
            if page is None:
                return
            numbers = [int(entry["versionId"]) for entry in page["imageSetPropertiesList"]]
            assert numbers == list(range(numbers[0], numbers[0] - len(numbers), -1))
            assert below is None or numbers[0] == below - 1
            token, below = page.get("nextToken", ""), numbers[-1]
            assert (len(numbers) == size and below > 1) if token else below == 1
            if not token:
                return

    def page(self, target: str) -> Any:
        """Ask for a page; of one that a rule has bent or refused, return None."""
        self.sent += 1
        try:
            self._client.send(request("POST", target, f"amz-sdk-invocation-id: {uuid.uuid4()}"))
            reply = self._client.receive()
        except (OSError, IndexError):
            self._reconnect()
            self.met["broken"] += 1
            return None
        ids = [id for id in reply.headers.get("x-emulator-fault", "").split(",") if id]
        self.met.update(ids)
        if "cut" in ids:
            assert len(reply.body) == int(reply.headers["content-length"]) // 2
            self._reconnect()
        bent = [id for id in ids if id != "late"]
        assert reply.status == STATUSES.get(bent[0] if bent else "", 200)
        return None if bent else msgspec.json.decode(reply.body)

    def _reconnect(self) -> None:
        self._client.__exit__()
        self._client = Client(self._address)


def run(listers: list[Lister]) -> None:
    for lister in listers:
        lister.start()
    for lister in listers:
        lister.join()
    for lister in listers:
        if lister.error:
            raise lister.error


def test_no_wrong_page_under_load_with_every_fault_and_a_writer(served: Served) -> None:
    served.remote.reset()
    served.remote.faults.add(*(rule | {"probability": 0.01, "seed": index} for index, rule in enumerate(RULES)))
    listers = [Lister(served, number) for number in range(CONNECTIONS)]
    stop = threading.Event()

    def write() -> None:
        image_set = served.remote.image_set(DATASTORE, FIFTY_ONE)
        for _ in range(100_000):
            if stop.is_set():
                break
            image_set.append(image_set_state="LOCKED")
            image_set.replace("7", image_set_state="ACTIVE")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        run(listers)
    finally:
        stop.set()
        writer.join()
    met: Counter[str] = Counter()
    for lister in listers:
        met += lister.met
    fired = {rule.id: rule.fired for rule in served.remote.faults}
    # Each fault that fired was met by one client, and by one only.
    assert sum(fired.pop(id) for id in BROKEN) == met.pop("broken", 0)
    assert fired.pop("late") >= met.pop("late", 0)  # which a broken connection does not tell
    assert {id: count for id, count in fired.items() if count} == met
    calls = served.remote.calls
    assert len(calls) + calls.dropped == sum(lister.sent for lister in listers)
    served.settle()


def test_memory_stays_where_it_is(served: Served) -> None:
    served.remote.faults.add(*(rule | {"probability": 0.01} for rule in RULES))
    run([Lister(served, number, count=WARM // 16) for number in range(16)])
    warm = served.kilobytes
    run([Lister(served, number, count=(REQUESTS - WARM) // 16) for number in range(16)])
    assert served.kilobytes < warm * 1.05


def test_a_thousand_idle_connections(served: Served) -> None:
    with ExitStack() as closing:
        for _ in range(1_000):
            closing.enter_context(socket.create_connection((served.address.host, served.address.port), HANG_SECONDS))
        until(lambda: min(served.open) > 1_000)
        assert [served.ask() for _ in range(20)] == [200] * 20
    served.settle()


def fill(served: Served) -> None:
    """Let the seed be one whose export is more than any buffer takes."""
    long = {"imageSetId": MANY, "generate": {"versions": 100_000}}
    served.remote.ask("PUT", "seed", {"datastores": [{"datastoreId": DATASTORE, "imageSets": [long]}]})


def test_clients_that_read_and_write_slowly_hold_up_nobody(served: Served) -> None:
    fill(served)
    with ExitStack() as closing:
        clients = [closing.enter_context(Client(served.address)) for _ in range(20)]
        for index, client in enumerate(clients):
            client.send(request("GET", "/_emulator/seed") if index < 5 else request("POST", path(MANY), JSON)[:-index])
        for index in range(5):
            assert clients[index].socket.recv(1)
        assert [served.ask(path(MANY)) for _ in range(100)] == [200] * 100
    served.settle()


KILLED = """
import socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
client.sendall(b"GET /_emulator/seed HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
client.recv(1)
print("reading", flush=True)
sys.stdin.read()
"""


def test_clients_that_are_killed_in_mid_answer_leave_nothing(served: Served) -> None:
    fill(served)
    for _ in range(5):
        command = [sys.executable, "-c", KILLED, str(served.address.port)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout
            assert client.stdout.readline() == "reading\n"
            client.kill()
    served.settle()
    assert served.ask(path(MANY)) == 200
