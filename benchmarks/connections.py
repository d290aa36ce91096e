"""Benchmarks of connections that do nothing: 10,000 that are idle, and 1,000 that stall at a time, all on loopback."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from healthimaging_emulator import Fault, RemoteAccount

from . import peers
from .load import allow_descriptors
from .measure import Row, Seconds, compare, interleave, pick, summarize

IDLE, STALLED = pick(10_000, 50), pick(1_000, 20)
SPARE = 1_000
"""Descriptors that a process needs besides those of its connections, and connections besides those that are held."""

STALL_SECONDS = 600.0
STALLING = peers.TARGET.replace(peers.MANY, "ea92b0d8838c72a3f25d00d13616f87e")


def serve(port: int) -> list[str]:
    return [*peers.emulator_command(port), "--max-connections", str(IDLE + SPARE)]


@contextmanager
def held(port: int, number: int, target: str, kind: str) -> Iterator[None]:
    """Hold connections, from a process of its own."""
    arguments = ["127.0.0.1", str(port), str(number), target, kind]
    command = [sys.executable, "-m", "benchmarks.hold", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=peers.ROOT) as holder:
        assert holder.stdin
        assert holder.stdout
        try:
            if holder.stdout.readline() != b"held\n":
                raise RuntimeError(f"{number:,} connections could not be held")
            yield
        finally:
            holder.stdin.close()


def idle() -> Iterator[Row]:
    """Hold 10,000 idle connections."""
    yield from _measure(f"{IDLE:,} idle connections", IDLE, peers.TARGET, "idle", lambda _: None)


def stalled() -> Iterator[Row]:
    """Stall 1,000 connections at a time."""
    yield from _measure(f"{STALLED:,} stalls at a time", STALLED, STALLING, "stalled", _wait_for_stalls)


def _wait_for_stalls(port: int) -> None:
    faults = RemoteAccount(f"http://127.0.0.1:{port}").faults
    deadline = time.monotonic() + peers.HANG_SECONDS
    while next(iter(faults)).fired < STALLED:
        if time.monotonic() > deadline:
            raise TimeoutError("not all connections stall")
        time.sleep(0.05)


def _measure(name: str, number: int, target: str, kind: str, wait: Callable[[int], None]) -> Iterator[Row]:
    limit = allow_descriptors()
    if limit < number + SPARE:
        yield Row(name, remark=f"they need {number + SPARE:,} descriptors, and this system allows {limit:,}")
        return
    with ExitStack() as stack:
        ports = {each: peers.free_port() for each in ("holding", "free")}
        servers = {each: stack.enter_context(peers.process(*serve(port))) for each, port in ports.items()}
        for each, server in servers.items():
            server.wait_for(ports[each])
            peers.load(ports[each], 4)
        stall = Fault.connection("stall", seconds=STALL_SECONDS, image_set_id="ea92b0d8838c72a3f25d00d13616f87e")
        RemoteAccount(f"http://127.0.0.1:{ports['holding']}").faults.add(stall)
        before = servers["holding"].resident
        stack.enter_context(held(ports["holding"], number, target, kind))
        wait(ports["holding"])
        kilobytes = (servers["holding"].resident - before) / number / 1024
        takes = {each: partial(_take_latency, port) for each, port in ports.items()}
        times = interleave(takes, rounds=9)
    yield summarize(f"memory of each of {name}", [kilobytes], most=64, unit="KB")
    yield compare(f"another client's request beside {name}, against one alone", times, "holding", "free", most=1.1)


def _take_latency(port: int) -> Seconds:
    return peers.load(port, 1).p50
