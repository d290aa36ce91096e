"""What is measured: a function a table, each of which yields its rows."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import boto3
from botocore.stub import Stubber
from moto import mock_aws

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.messages import Link
from healthimaging_emulator.seeds import generate
from healthimaging_emulator.seeds import loader as seeds
from healthimaging_emulator.server.gateway import call, environ

from . import peers
from .measure import Row, Seconds, interleaved, judged, ratio, timed

IMAGE_SET = "0" * 31 + "1"
MILLION = 1_000_000


# A call of boto3.


def in_process() -> Iterator[Row]:
    bodies = peers.pages()
    emulator = Emulator.from_seed()
    ours, canned = peers.list_versions(emulator.client(**peers.OPTIONS)), peers.list_versions(peers.canned(bodies))
    stubbed = boto3.client("medical-imaging", **peers.OPTIONS)
    page = peers.canned(bodies).list_image_set_versions(**peers.IDS)
    page.pop("ResponseMetadata")

    def by_stubber() -> Seconds:
        with Stubber(stubbed) as stubber:
            for _ in range(CALLS):
                stubber.add_response("list_image_set_versions", page)
            return timed(peers.list_versions(stubbed), CALLS)

    def by_moto() -> Seconds:
        with mock_aws():
            client = boto3.client("emr-serverless", **peers.OPTIONS)
            peers.create_applications(client, 50)
            return timed(peers.list_applications(client), CALLS)

    variants = {
        "ours": lambda: timed(ours, CALLS),
        "canned": lambda: timed(canned, CALLS),
        "Stubber": by_stubber,
        "moto": by_moto,
    }
    times = interleaved(variants, rounds=15)
    yield ratio(
        "boto3 in process, a page of 50, against the same call with a canned answer", times, "ours", "canned", most=1.2
    )
    yield ratio("the same against botocore's Stubber, which parses nothing", times, "ours", "Stubber")
    yield ratio("the same against moto's mock_aws", times, "ours", "moto")


CALLS = 30
"""Of a round."""


@contextmanager
def _served(command: Callable[[int], list[str]]) -> Iterator[int]:
    """Start a server on a free port, and wait until it listens."""
    port = peers.free_port()
    with peers.process(*command(port)):
        peers.wait_for(port)
        yield port


def over_http() -> Iterator[Row]:
    body = peers.pages()[0]
    with ExitStack() as stack:
        ours, moto = (stack.enter_context(_served(each)) for each in (peers.emulator_command, peers.moto_command))
        moto_client = peers.moto_client_of(moto)
        peers.create_applications(moto_client, 50)
        calls = {
            "ours": peers.list_versions(peers.client_of(ours)),
            "moto": peers.list_applications(moto_client),
        }
        if peers.nginx():
            calls["nginx"] = peers.list_versions(peers.client_of(stack.enter_context(peers.nginx_serving(body))))
        times = interleaved({name: _of(each) for name, each in calls.items()}, rounds=15)
    what = "boto3 over HTTP, a page of 50, against nginx with the same bytes"
    yield ratio(what, times, "ours", "nginx", most=1.25) if "nginx" in times else missing(what, "nginx")
    yield ratio("the same against moto's server", times, "ours", "moto", most=0.4)


def _of(call: Callable[[], object]) -> Callable[[], Seconds]:
    return lambda: timed(call, CALLS)


def missing(what: str, peer: str) -> Row:
    return Row(what, float("nan"), float("nan"), float("nan"), remark=f"{peer} is not on this machine")


# Throughput.

SECONDS = 1.5
"""Of a burst of load."""


def loaded(port: int, connections: int, method: str = "POST", target: str = peers.TARGET) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.load", "127.0.0.1", str(port), str(connections), str(SECONDS)]
    finished = subprocess.run([*command, method, target], capture_output=True, text=True, check=False)
    if finished.returncode:
        raise RuntimeError(finished.stderr)
    return dict(json.loads(finished.stdout))


def throughput() -> Iterator[Row]:
    with ExitStack() as stack:
        ours, moto = (stack.enter_context(_served(each)) for each in (peers.emulator_command, peers.moto_command))
        peers.create_applications(peers.moto_client_of(moto), 50)
        rates: dict[str, dict[int, list[float]]] = {"ours": {1: [], 16: [], 64: []}, "moto": {1: [], 16: [], 64: []}}
        tails: list[float] = []
        for _ in range(5):
            for connections in (1, 16, 64):
                done = loaded(ours, connections)
                rates["ours"][connections].append(done["rate"])
                if connections == 64:
                    tails.append(done["p99"] / done["p50"])
                rates["moto"][connections].append(
                    loaded(moto, connections, "GET", "/applications?maxResults=50")["rate"]
                )
    for connections in (1, 16, 64):
        yield ratio(
            f"requests a second, {connections} connection{'s' if connections > 1 else ''}, against moto's server",
            {name: rates[name][connections] for name in rates},
            "ours",
            "moto",
            least=20 if connections == 16 else None,
        )
    yield judged(
        "the 99th percentile of the latency at 64 connections, against its median",
        statistics.median(tails),
        tails,
        most=20,
    )


# Starting and stopping.


def start() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.json"
        page.write_bytes(peers.pages()[0])
        commands: dict[str, tuple[Callable[[int], list[str]], Callable[[int], Callable[[], object]]]] = {
            "ours": (peers.emulator_command, lambda port: peers.list_versions(peers.client_of(port))),
            "bare Flask": (
                lambda port: peers.bare_flask_command(port, page),
                lambda port: peers.list_versions(peers.client_of(port)),
            ),
            "moto": (peers.moto_command, lambda port: peers.list_applications(peers.moto_client_of(port))),
        }

        def take(name: str) -> Seconds:
            command, ask = commands[name]
            port = peers.free_port()
            asking = ask(port)
            begun = time.perf_counter()
            with peers.process(*command(port)):
                peers.wait_for(port)
                asking()
                return time.perf_counter() - begun

        times = interleaved({name: partial(take, name) for name in commands}, rounds=10)
    yield ratio("process start to the first boto3 page, against moto's server", times, "ours", "moto", most=0.4)
    yield ratio("the same against a bare Flask app on the same server", times, "ours", "bare Flask", most=1.25)
    yield ratio("for comparison: that bare Flask app against moto's server", times, "bare Flask", "moto")


def embedded() -> Iterator[Row]:
    emulator = Emulator.from_seed()
    starts, stops = [], []
    for _ in range(50):
        begun = time.perf_counter()
        server = emulator.serve()
        client = peers.client_of(server.port)
        prepared = time.perf_counter()
        client.list_image_set_versions(**peers.IDS)
        answered = time.perf_counter()
        server.stop()
        stops.append(1000 * (time.perf_counter() - answered))
        begun_again = time.perf_counter()
        with emulator.serve():
            starts.append(1000 * (time.perf_counter() - begun_again))
        del begun, prepared
    yield judged("start of an embedded server", statistics.median(starts), starts, most=10, unit="ms")
    yield judged("stop of one with a client connected", statistics.median(stops), stops, most=10, unit="ms")


# Tests.


def a_hundred_tests() -> Iterator[Row]:
    bodies, seed = peers.pages(), Emulator.from_seed().seed

    def ours() -> None:
        client = Emulator(seed).client(**peers.OPTIONS)
        for _ in range(3):
            peers.all_pages(client)

    def canned() -> None:
        client = peers.canned(bodies)
        for _ in range(3):
            peers.all_pages(client)

    def moto() -> None:
        with mock_aws():
            client = boto3.client("emr-serverless", **peers.OPTIONS)
            peers.create_applications(client)
            for _ in range(3):
                peers.all_applications(client)

    times = interleaved(
        {"ours": lambda: timed(ours, 20), "canned": lambda: timed(canned, 20), "moto": lambda: timed(moto, 2)}, rounds=5
    )
    what = (
        "100 tests, each with a fresh emulator and three listings of three pages, against the same with a canned answer"
    )
    yield ratio(what, times, "ours", "canned", most=1.3)
    yield ratio("the same against moto's mock_aws", times, "ours", "moto", most=0.15)


def fresh() -> Iterator[Row]:
    seed = Emulator.from_seed().seed
    made = [1000 * timed(lambda: Emulator(seed).app, 20) for _ in range(20)]
    yield judged("a new emulator from a parsed seed", statistics.median(made), made, most=1, unit="ms")
    emulator = Emulator(a_million())
    image_set = emulator.image_set(peers.DATASTORE, IMAGE_SET)
    other = partial(emulator.add_image_set, peers.DATASTORE, peers.MANY)
    resets = [_reset(emulator, other) for _ in range(20)]
    what = "a reset of one with a million versions"
    yield judged(what, statistics.median(resets), resets, most=1, unit="ms")
    resets = [_reset(emulator, partial(image_set.append, image_set_state="LOCKED")) for _ in range(20)]
    what = "the same where the history of the million was changed"
    yield judged(what, statistics.median(resets), resets, unit="ms", remark="it frees the changed history, 8 MB")


def _reset(emulator: Emulator, change: Callable[[], object]) -> float:
    change()
    return 1000 * timed(emulator.reset, 1)


# Size.


def a_seed(versions: int) -> seeds.Seed:
    history = generate.history(IMAGE_SET, versions, failed=versions // 100, seed=1, created_at=1680027126.436)
    return seeds.Seed({peers.DATASTORE: {IMAGE_SET: history}})


_seeds: dict[int, seeds.Seed] = {}


def a_million() -> seeds.Seed:
    return _seeds.setdefault(MILLION, _seeds.get(MILLION) or a_seed(MILLION))


def server_side(emulator: Emulator, query: str) -> Callable[[], object]:
    """Return a call of the application for a page, without boto3 and without a socket."""
    target = f"/datastore/{peers.DATASTORE}/imageSet/{IMAGE_SET}/listImageSetVersions?{query}"

    def ask() -> object:
        return call(emulator.app, environ("POST", target, [], b"", host="127.0.0.1", port=80, link=Link()))

    assert b'"imageSetPropertiesList":[{' in ask().body  # type: ignore[attr-defined]
    return ask


def token_for(emulator: Emulator, below: int) -> str:
    """Return the token behind a version, as the service would have given it."""
    from healthimaging_emulator.aws.pagination import Listing, Position

    scope = "/".join(("000000000000", "ListImageSetVersions", peers.DATASTORE, IMAGE_SET))
    listing = Listing(emulator.tokens, scope=scope, token=None, now=0.0, page_size=50)
    return listing.seal(Position(below, 2))


def seconds_each(port: int, target: str) -> Seconds:
    return 1 / loaded(port, 1, target=target)["rate"]


def depth() -> Iterator[Row]:
    """Ask for the last page, of ten entries as the first one, over the socket and without boto3."""
    target = f"/datastore/{peers.DATASTORE}/imageSet/{IMAGE_SET}/listImageSetVersions?maxResults=10"
    deep = f"{target}&nextToken={token_for(Emulator.from_seed(), 11)}"
    asked = {"first": (10, target), "last": (MILLION, deep)}
    takes: dict[str, Callable[[], Seconds]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for name, (versions, path) in asked.items():
            file, port = Path(folder) / f"{name}.json", peers.free_port()
            image_set = {"imageSetId": IMAGE_SET, "generate": {"versions": versions}}
            file.write_text(json.dumps({"datastores": [{"datastoreId": peers.DATASTORE, "imageSets": [image_set]}]}))
            stack.enter_context(peers.process(*peers.emulator_command(port), "--seed", str(file)))
            peers.wait_for(port)
            takes[name] = partial(seconds_each, port, path)
        times = interleaved(takes, rounds=10)
    what = "the last page of a million versions, against the only one of ten, without boto3"
    yield ratio(what, times, "last", "first", most=1.1)


def growth() -> dict[int, float]:
    """Return milliseconds for the last page, of ten entries, server side, by the length of the history."""
    lengths = [10, 100, 1000, 10_000, 100_000, MILLION]
    asks = {}
    for length in lengths:
        emulator = Emulator(a_million() if length == MILLION else a_seed(length))
        query = f"maxResults=10&nextToken={token_for(emulator, 11)}"
        asks[str(length)] = partial(timed, server_side(emulator, query), 200)
    times = interleaved(asks, rounds=9)
    return {length: 1000 * statistics.median(times[str(length)]) for length in lengths}


def throughput_by_connections() -> dict[int, float]:
    """Return requests a second by the number of connections."""
    port = peers.free_port()
    with peers.process(*peers.emulator_command(port)):
        peers.wait_for(port)
        return {n: statistics.median(loaded(port, n)["rate"] for _ in range(3)) for n in (1, 2, 4, 8, 16, 32, 64, 128)}


LOADING = """
import gc, json, sys, time
import msgspec
from healthimaging_emulator.seeds import loader as seeds
from healthimaging_emulator.seeds.loader import SeedDocument

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

content = open(sys.argv[1], "rb").read()
if sys.argv[2] == "ours":
    before, begun = resident(), time.perf_counter()
    loaded = seeds.load(sys.argv[1])
else:
    before, begun = resident(), time.perf_counter()
    loaded = msgspec.json.decode(content, type=SeedDocument)
seconds = time.perf_counter() - begun
gc.collect()
print(json.dumps([seconds, resident() - before]))
"""


def loading() -> Iterator[Row]:
    """Load a million versions, each time in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "seed.json"
        file.write_bytes(seeds.dump(a_million().baseline))
        memory: list[float] = []

        def take(what: str) -> Seconds:
            command = [sys.executable, "-c", LOADING, str(file), what]
            seconds, grown = json.loads(subprocess.check_output(command))
            if what == "ours":
                memory.append(grown / MILLION)
            return float(seconds)

        times = interleaved({"ours": lambda: take("ours"), "msgspec": lambda: take("msgspec")}, rounds=5)
    yield ratio(
        "loading a seed of a million versions, against msgspec's own decoding of the file",
        times,
        "ours",
        "msgspec",
        most=2.5,
    )
    yield judged(
        "resident memory for each of these versions", statistics.median(memory), memory, most=700, unit="bytes"
    )


# What costs nothing.


def idle_memory() -> Iterator[Row]:
    figures: dict[str, list[float]] = {"ours": [], "moto": []}
    for _ in range(3):
        for name, command in (("ours", peers.emulator_command), ("moto", peers.moto_command)):
            port = peers.free_port()
            with peers.process(*command(port)) as started:
                peers.wait_for(port)
                ask = (
                    peers.list_versions(peers.client_of(port))
                    if name == "ours"
                    else peers.list_applications(peers.moto_client_of(port))
                )
                ask()
                figures[name].append(float(peers.resident(started)))
    yield ratio("memory of the served demo after one page, against moto's server", figures, "ours", "moto", most=0.5)


def plugin() -> Iterator[Row]:
    program = """
import time, pytest
begun = time.perf_counter()
import healthimaging_emulator.pytest_plugin
print(time.perf_counter() - begun)"""
    taken = [1000 * float(subprocess.check_output([sys.executable, "-c", program])) for _ in range(15)]
    yield judged(
        "importing the pytest plugin in a run that does not use it", statistics.median(taken), taken, most=5, unit="ms"
    )


def rules_and_journal() -> Iterator[Row]:
    plain, ruled, full = (Emulator.from_seed() for _ in range(3))
    ruled.faults.add(*(Fault.error("ConflictException", image_set_id=f"{number:032}") for number in range(1000, 1500)))
    ask_plain, ask_ruled, ask_full = (peers.list_versions(each.client()) for each in (plain, ruled, full))
    for _ in range(1001):
        ask_full()
    variants = {"none": ask_plain, "rules": ask_ruled, "journal": ask_full}

    def take(name: str) -> Seconds:
        if name == "none":
            plain.calls.clear()
        return timed(variants[name], CALLS)

    times = interleaved({name: partial(take, name) for name in variants}, rounds=20)
    yield ratio(
        "500 rules of which none matches, against none, a call of boto3 in process", times, "rules", "none", most=1.1
    )
    yield ratio("a full journal against an empty one, likewise", times, "journal", "none", most=1.1)


# More than one process.

LISTINGS = 500


def replicas() -> Iterator[Row]:
    """Three replicas behind nginx, each asked in turn: listings go from one to the next with every page."""
    what = "throughput of three replicas under granian behind nginx, against one, 16 connections"
    if not peers.nginx():
        yield missing(what, "nginx")
        return
    expected = [version.version_id for version in Emulator.from_seed().image_set(peers.DATASTORE, peers.MANY).versions]
    with ExitStack() as stack:
        ports = [peers.free_port() for _ in range(3)]
        for port in ports:
            stack.enter_context(peers.process(*peers.granian_command(port)))
        for port in ports:
            peers.wait_for(port)
        several = stack.enter_context(peers.nginx_before(ports))
        alone = stack.enter_context(peers.nginx_before(ports[:1]))

        def list_all(_: int) -> bool:
            pages = client.get_paginator("list_image_set_versions").paginate(**peers.IDS)
            return [entry["versionId"] for page in pages for entry in page["imageSetPropertiesList"]] == expected

        client = peers.client_of(several)
        with ThreadPoolExecutor(4) as executor:
            wrong = LISTINGS - sum(executor.map(list_all, range(LISTINGS)))
        yield judged(
            f"wrong answers in {LISTINGS} paginated listings", float(wrong), [float(wrong)], most=0, unit="wrong"
        )
        times = interleaved(
            {
                "several": lambda: 1 / loaded(several, 16)["rate"],
                "alone": lambda: 1 / loaded(alone, 16)["rate"],
            },
            rounds=5,
        )
    yield ratio(what, times, "alone", "several", remark=f"on {os.cpu_count()} cores")


TABLES: dict[str, tuple[Callable[[], Iterator[Row]], ...]] = {
    "A call": (in_process, over_http),
    "Load": (throughput,),
    "Start and stop": (start, embedded),
    "Tests": (a_hundred_tests, fresh),
    "Size": (depth, loading),
    "More than one process": (replicas,),
    "What should cost nothing": (idle_memory, plugin, rules_and_journal),
}
