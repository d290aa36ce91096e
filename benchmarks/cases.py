"""Benchmarks of calls, load, starting, tests, replicas and overhead; each yields the rows of a table."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import boto3
from botocore.stub import Stubber
from moto import mock_aws

from healthimaging_emulator import Emulator, Fault

from . import peers
from .measure import Row, Seconds, compare, interleave, judge, pick, summarize, time_calls

CALLS = 30
"""Calls of a round."""


def _timed(call: Callable[[], object]) -> Callable[[], Seconds]:
    return lambda: time_calls(call, CALLS)


def missing(name: str, peer: str) -> Row:
    return Row(name, remark=f"{peer} is not on this machine")


# A call of boto3.


def list_in_process() -> Iterator[Row]:
    """List a page of 50 with boto3 in process."""
    bodies = peers.pages()
    ours = peers.list_versions(Emulator.from_seed().client(**peers.OPTIONS))
    canned = peers.canned_pages(bodies)
    stubbed = boto3.client("medical-imaging", **peers.OPTIONS)
    page = canned.list_image_set_versions(**peers.IDS)
    page.pop("ResponseMetadata")

    def by_stubber() -> Seconds:
        with Stubber(stubbed) as stubber:
            for _ in range(CALLS):
                stubber.add_response("list_image_set_versions", page)
            return time_calls(peers.list_versions(stubbed), CALLS)

    def by_moto() -> Seconds:
        with mock_aws():
            client = boto3.client("emr-serverless", **peers.OPTIONS)
            peers.create_applications(client, 50)
            return time_calls(peers.list_applications(client), CALLS)

    variants = {
        "ours": _timed(ours),
        "canned": _timed(peers.list_versions(canned)),
        "Stubber": by_stubber,
        "moto": by_moto,
    }
    times = interleave(variants, rounds=15)
    name = "boto3 in process, a page of 50, against the same call with a canned answer"
    remark = (
        "half of the added time is the journal, the checks and the answer of any call; half the versions and a token"
    )
    yield compare(name, times, "ours", "canned", most=1.1, remark=remark)
    yield compare("the same against botocore's Stubber, which parses nothing", times, "ours", "Stubber")
    yield compare("the same against moto's mock_aws", times, "ours", "moto")


def list_over_http() -> Iterator[Row]:
    """List a page of 50 with boto3 over HTTP."""
    with ExitStack() as stack:
        ours, moto = (stack.enter_context(peers.serving(each)) for each in (peers.emulator_command, peers.moto_command))
        moto_client = peers.make_moto_client(moto)
        peers.create_applications(moto_client, 50)
        calls = {
            "ours": peers.list_versions(peers.make_client(ours)),
            "moto": peers.list_applications(moto_client),
        }
        if peers.find_nginx():
            nginx = stack.enter_context(peers.nginx_serving(peers.pages()[0]))
            calls["nginx"] = peers.list_versions(peers.make_client(nginx))
        times = interleave({name: _timed(each) for name, each in calls.items()}, rounds=15)
    name = "boto3 over HTTP, a page of 50, against nginx with the same bytes"
    yield compare(name, times, "ours", "nginx", most=1.2) if "nginx" in times else missing(name, "nginx")
    yield compare("the same against moto's server", times, "ours", "moto", most=0.4)


# Throughput.


def throughput() -> Iterator[Row]:
    """Count requests a second."""
    counts = (1, 16, 64)
    with ExitStack() as stack:
        ours, moto = (stack.enter_context(peers.serving(each)) for each in (peers.emulator_command, peers.moto_command))
        peers.create_applications(peers.make_moto_client(moto), 50)
        targets = {"ours": (ours, "POST", peers.TARGET), "moto": (moto, "GET", "/applications?maxResults=50")}
        if peers.find_nginx():
            targets["nginx"] = (stack.enter_context(peers.nginx_serving(peers.pages()[0])), "POST", peers.TARGET)
        bursts = [
            {
                name: [peers.load(port, n, method, target) for n in counts]
                for name, (port, method, target) in targets.items()
            }
            for _ in range(pick(5, 1))
        ]
    for index, connections in enumerate(counts):
        rates = {name: [burst[name][index].rate for burst in bursts] for name in targets}
        plural = "s" if connections > 1 else ""
        name = f"requests a second, {connections} connection{plural}, against moto's server"
        yield compare(name, rates, "ours", "moto", least=30 if connections == 16 else None)
    tails = [burst["ours"][-1].p99 / burst["ours"][-1].p50 for burst in bursts]
    name = "the 99th percentile of the latency at 64 connections, all busy, against its median"
    yield judge(name, statistics.median(tails), tails, most=5)


def throughput_by_connections() -> dict[int, float]:
    """Return requests a second by the number of connections."""
    with peers.serving(peers.emulator_command) as port:
        return {
            n: statistics.median(peers.load(port, n).rate for _ in range(pick(3, 1)))
            for n in (1, 2, 4, 8, 16, 32, 64, 128)
        }


# Starting and stopping.


def take_start(command: peers.Command, ask: Callable[[int], Callable[[], object]], cwd: Path = peers.ROOT) -> Seconds:
    """Return the seconds from the start of a server to its first answer."""
    port = peers.free_port()
    asking = ask(port)
    begun = time.perf_counter()
    with peers.process(*command(port), cwd=cwd) as started:
        started.wait_for(port)
        asking()
        return time.perf_counter() - begun


def ask_for_page(port: int) -> Callable[[], object]:
    return peers.list_versions(peers.make_client(port))


def start_of_a_server() -> Iterator[Row]:
    """Start a server and list the first page."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.json"
        page.write_bytes(peers.pages()[0])
        variants: dict[str, Callable[[], Seconds]] = {
            "ours": partial(take_start, peers.emulator_command, ask_for_page),
            "bare Flask": partial(take_start, lambda port: peers.bare_flask_command(port, page), ask_for_page),
            "moto": partial(
                take_start, peers.moto_command, lambda port: peers.list_applications(peers.make_moto_client(port))
            ),
        }
        times = interleave(variants, rounds=10)
    yield compare("process start to the first boto3 page, against moto's server", times, "ours", "moto", most=0.4)
    name, remark = "the same against a bare Flask app on the same server", "it imports 18 operations, and no Flask"
    yield compare(name, times, "ours", "bare Flask", most=1.1, remark=remark)
    yield compare("for comparison: that bare Flask app against moto's server", times, "bare Flask", "moto")


IMPORT_OURS = "import healthimaging_emulator; healthimaging_emulator.Emulator.from_seed().client()"
IMPORT_BOTO3 = f"import boto3; boto3.client('medical-imaging', **{peers.CREDENTIALS})"


def take_program(*command: str, cwd: Path = peers.ROOT) -> Seconds:
    """Return the seconds that a program takes from its start to its end."""
    begun = time.perf_counter()
    peers.run_program(*command, cwd=cwd)
    return time.perf_counter() - begun


def start_in_process() -> Iterator[Row]:
    """Start a program that makes an emulator and a client of it in process."""
    programs = {"ours": IMPORT_OURS, "boto3": IMPORT_BOTO3}
    takes = {name: partial(take_program, sys.executable, "-c", program) for name, program in programs.items()}
    times = interleave(takes, rounds=10)
    name = "a program that makes an emulator and a client of it in process, against one that makes a client of boto3"
    yield compare(name, times, "ours", "boto3")


def embedded_server() -> Iterator[Row]:
    """Start and stop an embedded server."""
    emulator = Emulator.from_seed()
    starts, stops = [], []
    for _ in range(pick(50, 3)):
        server = emulator.serve()
        peers.make_client(server.port).list_image_set_versions(**peers.IDS)
        answered = time.perf_counter()
        server.stop()
        stops.append(1000 * (time.perf_counter() - answered))
        begun = time.perf_counter()
        with emulator.serve():
            starts.append(1000 * (time.perf_counter() - begun))
    yield summarize("start of an embedded server", starts, most=10, unit="ms")
    yield summarize("stop of one with a client connected", stops, most=10, unit="ms")


# Tests.


def a_hundred_tests() -> Iterator[Row]:
    """Run 100 tests, each with a fresh emulator and three listings of three pages."""
    bodies, seed = peers.pages(), Emulator.from_seed().seed

    def ours() -> None:
        client = Emulator(seed).client(**peers.OPTIONS)
        for _ in range(3):
            peers.list_all_versions(client)

    def canned() -> None:
        client = peers.canned_pages(bodies)
        for _ in range(3):
            peers.list_all_versions(client)

    def moto() -> None:
        with mock_aws():
            client = boto3.client("emr-serverless", **peers.OPTIONS)
            peers.create_applications(client)
            for _ in range(3):
                peers.list_all_applications(client)

    variants = {
        "ours": partial(time_calls, ours, 20),
        "canned": partial(time_calls, canned, 20),
        "moto": partial(time_calls, moto, 2),
    }
    times = interleave(variants, rounds=5)
    name = (
        "100 tests, each with a fresh emulator and three listings of three pages, against the same with a canned answer"
    )
    yield compare(name, times, "ours", "canned", most=1.3)
    yield compare("the same against moto's mock_aws", times, "ours", "moto", most=0.15)


# More than one process.

LISTINGS = pick(500, 5)


def replicas() -> Iterator[Row]:
    """List from three replicas behind nginx, which asks each in turn with every page of a listing."""
    name = "throughput of three replicas under granian behind nginx, against one, 16 connections"
    if not peers.find_nginx():
        yield missing(name, "nginx")
        return
    expected = [version.version_id for version in Emulator.from_seed().image_set(peers.DATASTORE, peers.MANY).versions]
    with ExitStack() as stack:
        ports = [stack.enter_context(peers.serving(peers.granian_command)) for _ in range(3)]
        several = stack.enter_context(peers.nginx_before(ports))
        alone = stack.enter_context(peers.nginx_before(ports[:1]))

        def list_all(_: int) -> bool:
            pages = client.get_paginator("list_image_set_versions").paginate(**peers.IDS)
            return [entry["versionId"] for page in pages for entry in page["imageSetPropertiesList"]] == expected

        client = peers.make_client(several)
        with ThreadPoolExecutor(4) as executor:
            wrong = float(LISTINGS - sum(executor.map(list_all, range(LISTINGS))))
        yield summarize(f"wrong answers in {LISTINGS} paginated listings", [wrong], most=0, unit="wrong")
        variants = {
            "several": lambda: 1 / peers.load(several, 16).rate,
            "alone": lambda: 1 / peers.load(alone, 16).rate,
        }
        times = interleave(variants, rounds=5)
    yield compare(name, times, "alone", "several", remark=f"on {os.cpu_count()} cores")


def _take_rate(port: int) -> float:
    return peers.load(port, 16).rate


# Overhead of everything that is not in use.


def idle_memory() -> Iterator[Row]:
    """Read the memory of the served demo after one page."""
    commands = {"ours": peers.emulator_command, "moto": peers.moto_command}
    asks: dict[str, Callable[[int], Callable[[], object]]] = {
        "ours": ask_for_page,
        "moto": lambda port: peers.list_applications(peers.make_moto_client(port)),
    }
    figures: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(3):
        for name, command in commands.items():
            port = peers.free_port()
            with peers.process(*command(port)) as started:
                started.wait_for(port)
                asks[name](port)()
                figures[name].append(float(started.resident))
    yield compare("memory of the served demo after one page, against moto's server", figures, "ours", "moto", most=0.5)


IMPORT_PLUGIN = """
import time, pytest
begun = time.perf_counter()
import healthimaging_emulator.pytest_plugin
print(time.perf_counter() - begun)"""


def plugin() -> Iterator[Row]:
    """Import the pytest plugin in a run that does not use it."""
    taken = [1000 * float(peers.run_program(sys.executable, "-c", IMPORT_PLUGIN)) for _ in range(pick(15, 1))]
    yield summarize("importing the pytest plugin in a run that does not use it", taken, most=5, unit="ms")


def faults_and_journal() -> Iterator[Row]:
    """List a page with 500 faults and with a full journal."""
    plain, faulty, full = (Emulator.from_seed() for _ in range(3))
    faulty.faults.add(*(Fault.error("ConflictException", image_set_id=f"{number:032}") for number in range(1000, 1500)))
    calls = {
        "none": peers.list_versions(plain.client()),
        "faults": peers.list_versions(faulty.client()),
        "journal": peers.list_versions(full.client()),
    }
    for _ in range(full.settings.max_calls + 1):
        calls["journal"]()

    def take(name: str) -> Seconds:
        plain.reset("calls")
        return time_calls(calls[name], CALLS)

    times = interleave({name: partial(take, name) for name in calls}, rounds=20)
    name = "500 faults of which none matches, against none, a call of boto3 in process"
    yield compare(name, times, "faults", "none", most=1.1)
    yield compare("a full journal against an empty one, likewise", times, "journal", "none", most=1.1)
