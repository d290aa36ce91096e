"""The server under load for some time: briefly in every run, and for ``SOAK`` seconds in ``make soak``."""

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

from healthimaging_emulator import RemoteAccount
from healthimaging_emulator.faults.corrupt import CorruptKind
from healthimaging_emulator.faults.pagination import PaginationKind
from healthimaging_emulator.server.workers import MOST_FOLLOWERS
from tests.cli.conftest import Address, serving
from tests.demo import DATASTORE, FIFTY_ONE, MANY, path
from tests.raw import HANG_SECONDS, JSON, Client, request, until

SECONDS = float(os.environ.get("SOAK", "3"))
CONNECTIONS = 64
WARM, REQUESTS = (40_000, 200_000) if SECONDS >= 60 else (10_000, 30_000)
"""Requests after which memory is measured: the first ones fill the journal and the heaps of threads."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it reads /proc, which Linux has")


class Served:
    """A server in a process of its own, as the system sees it."""

    def __init__(self, process: subprocess.Popen[str], banner: list[str]) -> None:
        self.process = process
        self.address: Any = Address(banner)
        self.account = RemoteAccount(f"http://127.0.0.1:{self.address.port}")
        self._proc = Path(f"/proc/{process.pid}")
        until(lambda: self.open[0] == IDLE_THREADS)
        self._before = self.open
        assert self.ask() == 200

    @property
    def open(self) -> tuple[int, int]:
        """The numbers of its threads and descriptors."""
        return self._number("Threads"), len(os.listdir(self._proc / "fd"))

    def settle(self) -> None:
        """Wait until it has as many of both as before its first request, but for the threads that it keeps."""
        threads, descriptors = self._before
        until(lambda: self.open[0] <= threads + MOST_FOLLOWERS and self.open[1] == descriptors)

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
    with serving("--log-level", "error", **UNCOVERED) as (process, banner):
        yield Served(process, banner)
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0
        assert process.stderr
        assert process.stderr.read() == ""
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


UNCOVERED = {"COVERAGE_PROCESS_CONFIG": "", "COVERAGE_PROCESS_START": ""}
"""Keep coverage out of the server: its own memory grows with the requests."""

IDLE_THREADS = 5
"""One waits for signals, one for connections, one for requests, one for lines to log, and one watches."""

BROKEN = ("reset", "close", "stall")
STATUSES = {"throttle": 429, "fail": 500, "rate": 429, "lost": 503}
FAULTS: list[dict[str, Any]] = [
    {"id": "late", "latency": {"seconds": 0.001, "jitter": 0.001}},
    {"id": "throttle", "error": {"code": "ThrottlingException", "retryAfter": 1}},
    {"id": "fail", "error": {"code": "InternalServerException"}},
    {"id": "rate", "rateLimit": {"perSecond": 1, "burst": 1}},
    {"id": "lost", "error": {"code": "Lost", "status": 503}, "when": "after"},
    *({"id": kind, "pagination": kind} for kind in get_args(PaginationKind)),
    *({"id": kind, "corrupt": kind} for kind in get_args(CorruptKind)),
    *({"id": kind, "connection": kind} for kind in ("reset", "close", "cut")),
    {"id": "stall", "connection": {"kind": "stall", "seconds": 0.01}},
    {
        "id": "stub",
        "match": {"operation": "ListImageSetVersions"},
        "respond": {"imageSetPropertiesList": [{"imageSetId": MANY, "versionId": "1", "imageSetState": "ACTIVE"}]},
    },
]


class Lister(threading.Thread):
    """A client that lists for some time or some requests, checks every page, and counts the faults that it meets."""

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
        token, below = None, None
        while True:
            target = f"{path(image_set)}?maxResults={size}" + (f"&nextToken={token}" if token else "")
            page = self.page(target)
            if page is None:
                return
            numbers = [int(entry["versionId"]) for entry in page["imageSetPropertiesList"]]
            assert numbers == list(range(numbers[0], numbers[0] - len(numbers), -1))
            assert below is None or numbers[0] == below - 1
            token, below = page["nextToken"], numbers[-1]
            assert (len(numbers) == size and below > 1) if token else below == 1
            if not token:
                return

    def page(self, target: str) -> Any:
        """Ask for a page; return None if a fault has changed it."""
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
        effects = [id for id in ids if id != "late"]
        assert reply.status == STATUSES.get(effects[0] if effects else "", 200)
        return None if effects else msgspec.json.decode(reply.body)

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
    served.account.reset()
    served.account.faults.add(*(fault | {"probability": 0.01, "seed": index} for index, fault in enumerate(FAULTS)))
    listers = [Lister(served, number) for number in range(CONNECTIONS)]
    stop = threading.Event()

    def write() -> None:
        image_set = served.account.image_set(DATASTORE, FIFTY_ONE)
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
    fired = {fault.id: fault.fired for fault in served.account.faults}
    # Each fault that fired was met by one client.
    assert sum(fired.pop(id) for id in BROKEN) == met.pop("broken", 0)
    assert fired.pop("late") >= met.pop("late", 0)  # a broken connection does not say it
    assert {id: count for id, count in fired.items() if count} == met
    calls = served.account.calls
    assert len(calls) + calls.dropped == sum(lister.sent for lister in listers)
    served.settle()


def test_memory_stays_where_it_is(served: Served) -> None:
    served.account.faults.add(*(fault | {"probability": 0.01} for fault in FAULTS))
    run([Lister(served, number, count=WARM // 16) for number in range(16)])
    warm = served.kilobytes
    run([Lister(served, number, count=(REQUESTS - WARM) // 16) for number in range(16)])
    assert served.kilobytes < warm * 1.05


def test_a_thousand_idle_connections(served: Served) -> None:
    with ExitStack() as closing:
        for _ in range(1_000):
            closing.enter_context(socket.create_connection((served.address.host, served.address.port), HANG_SECONDS))
        until(lambda: served.open[1] > 1_000)
        assert served.open[0] <= IDLE_THREADS + MOST_FOLLOWERS
        assert [served.ask() for _ in range(20)] == [200] * 20
    served.settle()


def fill(served: Served) -> None:
    """Put a seed whose export is larger than all buffers together."""
    long = {"imageSetId": MANY, "generate": {"versions": 100_000}}
    served.account.put_seed({"datastores": [{"datastoreId": DATASTORE, "imageSets": [long]}]})


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
