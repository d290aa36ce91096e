"""Benchmarks of replicas behind a balancer of ``examples/scale``.

    python -m benchmarks.scale

prints them alone, in less than two minutes. The load and everything that it meets share this machine's cores, so
requests a second say little here; processor time of a request is the same on any number of cores, and adds up.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from healthimaging_emulator import Emulator, RemoteAccount
from tests.scale.balancers import BALANCERS, Address, Balancer, Replica, Software, replicas

from . import peers
from .measure import Row, judge, pick, run, summarize

ROUNDS = pick(9, 1)
CONNECTIONS = 16
ACCOUNTS = pick(1_000, 40)


@contextmanager
def balanced(software: Software, addresses: Sequence[Address]) -> Iterator[Balancer]:
    """Run a balancer before replicas."""
    with tempfile.TemporaryDirectory() as folder:
        balancer = Balancer(software, Path(folder))
        balancer.start(addresses)
        try:
            yield balancer
        finally:
            balancer.stop()


def used_seconds(pids: Sequence[int]) -> float:
    """Return the processor time that processes and their children have used so far."""
    ticks = 0
    for pid in pids:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (str(pid), *children):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(") ")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Spent(NamedTuple):
    """A burst of load: requests a second, and processor time of a request in the balancer and in the replicas."""

    rate: float
    balancer: float
    emulator: float


def processor_time() -> Iterator[Row]:
    """Measure three replicas behind each balancer."""
    if not Path("/proc").exists():
        yield Row("processor time of a request", remark="it reads /proc, which Linux has")
        return
    with ExitStack() as stack:
        started = stack.enter_context(replicas(3))
        addresses = [replica.address for replica in started]
        installed = [software for software in BALANCERS if software.program]
        running = {each.name: stack.enter_context(balanced(each, addresses)) for each in installed}
        bursts: dict[str, list[Spent]] = {name: [] for name in running}
        for number in range(ROUNDS + 1):
            for name, balancer in running.items():
                burst = _load(balancer, started)
                if number:
                    bursts[name].append(burst)
    emulators = [1e6 * each.emulator for spent in bursts.values() for each in spent]
    yield summarize("processor time of a request in the emulator", emulators, unit="us")
    remark = f"all of it on {os.cpu_count()} cores, and the load too"
    for name, spent in bursts.items():
        ratios = [each.balancer / each.emulator for each in spent]
        yield judge(f"the same in {name}, against the emulator's", statistics.median(ratios), ratios)
        rates = [each.rate for each in spent]
        yield summarize(f"requests a second of three replicas behind {name}", rates, unit="a second", remark=remark)


def _load(balancer: Balancer, started: Sequence[Replica]) -> Spent:
    processes = [balancer.pid], [replica.pid for replica in started]
    before = [used_seconds(pids) for pids in processes]
    rate = peers.load(balancer.port, CONNECTIONS, key="{}").rate
    own, emulators = (used_seconds(pids) - then for pids, then in zip(processes, before, strict=True))
    requests = rate * peers.BURST_SECONDS
    return Spent(rate, own / requests, emulators / requests)


def busiest_replica() -> Iterator[Row]:
    """Count the accounts of the busiest of eight replicas."""
    with ExitStack() as stack:
        servers = [stack.enter_context(Emulator.from_seed().serve()) for _ in range(8)]
        addresses = [(server.host, server.port) for server in servers]
        for software in BALANCERS:
            if software.program:
                balancer = stack.enter_context(balanced(software, addresses))
                accounts = (RemoteAccount(balancer.url, f"{number:012}") for number in range(ACCOUNTS))
                most = max(Counter(account.generation for account in accounts).values())
                name = f"accounts of the busiest of eight replicas behind {software.name}, against an even share"
                yield Row(name, most / (ACCOUNTS / 8), remark=f"of {ACCOUNTS:,} accounts")


def main() -> None:
    from .__main__ import line

    for benchmark in (processor_time, busiest_replica):
        for row in run(benchmark):
            print(line(row), flush=True)


if __name__ == "__main__":
    main()
