"""Benchmarks of large histories: a million versions must cost no more than ten."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path

from healthimaging_emulator import Emulator
from healthimaging_emulator.aws.pagination import Position, Tokens
from healthimaging_emulator.credentials import DEFAULT_ACCOUNT
from healthimaging_emulator.healthimaging.baseline import Baseline
from healthimaging_emulator.healthimaging.records import ImageSet
from healthimaging_emulator.messages import Exchange
from healthimaging_emulator.seeds.generate import make_history
from healthimaging_emulator.seeds.loader import Seed
from healthimaging_emulator.seeds.writer import write_seed
from healthimaging_emulator.server.gateway import build_base_environ, build_environ, call_application
from healthimaging_emulator.server.http1 import Body, Head

from . import peers
from .measure import Row, Seconds, compare, interleave, pick, summarize, time_calls

IMAGE_SET = "0" * 31 + "1"
MILLION = pick(1_000_000, 1_000)
TARGET = f"/datastore/{peers.DATASTORE}/imageSet/{IMAGE_SET}/listImageSetVersions?maxResults=10"


def make_seed(versions: int) -> Seed:
    history = make_history(versions, failed=versions // 100, seed=1)
    image_set = ImageSet(datastore_id=peers.DATASTORE, image_set_id=IMAGE_SET, history=history)
    return Seed(Baseline({peers.DATASTORE: {IMAGE_SET: image_set}}))


@cache
def a_million() -> Seed:
    return make_seed(MILLION)


def write_a_million(folder: str) -> Path:
    """Write a seed of a million versions to a file."""
    file = Path(folder) / "seed.json"
    file.write_bytes(write_seed(a_million().baseline))
    return file


def token_behind(version: int) -> str:
    """Return the token that leads to the versions below one, as the service would have given it."""
    scope = "/".join((DEFAULT_ACCOUNT, "ListImageSetVersions", peers.DATASTORE, IMAGE_SET))
    return Tokens(Emulator.from_seed().settings.token_key).seal(scope, Position(str(version), 2), now=0.0)


def ask_application(emulator: Emulator, target: str) -> Callable[[], object]:
    """Return a call of the application for a page, without boto3 and without a socket."""
    base = build_base_environ("127.0.0.1", 80)
    head, body = Head("POST", target, "1.1", [], keeps_alive=True), Body(b"", 0)

    def ask() -> object:
        return call_application(emulator.app, build_environ(base, head, body, Exchange()))

    assert b'"imageSetPropertiesList":[{' in ask().body  # type: ignore[attr-defined]
    return ask


def last_page() -> Iterator[Row]:
    """List the last page of a million versions over a socket; like the first one, it has ten entries."""
    asked = {"first": (10, TARGET), "last": (MILLION, f"{TARGET}&nextToken={token_behind(11)}")}
    takes: dict[str, Callable[[], Seconds]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for name, (versions, target) in asked.items():
            file = Path(folder) / f"{name}.json"
            image_set = {"imageSetId": IMAGE_SET, "generate": {"versions": versions}}
            file.write_text(json.dumps({"datastores": [{"datastoreId": peers.DATASTORE, "imageSets": [image_set]}]}))
            port = stack.enter_context(peers.serving(partial(_command, file)))
            takes[name] = partial(_take_page, port, target)
        times = interleave(takes, rounds=10)
    name = "the last page of a million versions, against the only one of ten, without boto3"
    yield compare(name, times, "last", "first", most=1.1)


def _command(seed: Path, port: int) -> list[str]:
    return [*peers.emulator_command(port), "--seed", str(seed)]


def _take_page(port: int, target: str) -> Seconds:
    return 1 / peers.load(port, 1, target=target).rate


def page_time_by_length() -> dict[int, float]:
    """Return milliseconds for the last page, of ten entries, server side, by the length of the history."""
    asks = {}
    for length in (10, 100, 1000, 10_000, 100_000, MILLION):
        emulator = Emulator(a_million() if length == MILLION else make_seed(length))
        ask = ask_application(emulator, f"{TARGET}&nextToken={token_behind(11)}")
        asks[str(length)] = partial(time_calls, ask, 200)
    times = interleave(asks, rounds=9)
    return {int(length): 1000 * statistics.median(each) for length, each in times.items()}


def append() -> Iterator[Row]:
    """Append to a history of a million versions."""
    seeds = {"ten": make_seed(10), "a million": a_million()}
    takes = {name: partial(_take_appends, seed) for name, seed in seeds.items()}
    times = interleave(takes, rounds=20)
    name = "an append to a history of a million versions, against one to a history of ten"
    yield compare(name, times, "a million", "ten", most=1.1)


def _take_appends(seed: Seed) -> Seconds:
    image_set = Emulator(seed).image_set(peers.DATASTORE, IMAGE_SET)
    return time_calls(lambda: image_set.append(image_set_state="ACTIVE"), 2000)


def fresh() -> Iterator[Row]:
    """Make a new emulator, and reset one."""
    seed = Emulator.from_seed().seed
    made = [1000 * time_calls(lambda: Emulator(seed).app, 20) for _ in range(20)]
    yield summarize("a new emulator from a parsed seed", made, most=1, unit="ms")
    emulator = Emulator(a_million())
    image_set = emulator.image_set(peers.DATASTORE, IMAGE_SET)
    other = partial(emulator.add_image_set, peers.DATASTORE, peers.MANY)
    resets = [_take_reset(emulator, other) for _ in range(20)]
    yield summarize("a reset of one with a million versions", resets, most=1, unit="ms")
    resets = [_take_reset(emulator, partial(image_set.append, image_set_state="LOCKED")) for _ in range(20)]
    yield summarize("the same where the history of the million was changed", resets, most=1, unit="ms")


def _take_reset(emulator: Emulator, change: Callable[[], object]) -> float:
    change()
    return 1000 * time_calls(emulator.reset, 1)


LOADING = """
import gc, json, sys, time
import msgspec
from healthimaging_emulator.seeds.document import SeedDocument
from healthimaging_emulator.seeds.loader import load_seed

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

content = open(sys.argv[1], "rb").read()
before, begun = resident(), time.perf_counter()
loaded = load_seed(sys.argv[1]) if sys.argv[2] == "ours" else msgspec.json.decode(content, type=SeedDocument)
seconds = time.perf_counter() - begun
gc.collect()
print(json.dumps([seconds, resident() - before]))
"""


def loading() -> Iterator[Row]:
    """Load a seed of a million versions."""
    with tempfile.TemporaryDirectory() as folder:
        yield from compare_loading(write_a_million(folder), "a million versions", MILLION, most=2.5, most_bytes=700)


def compare_loading(file: Path, things: str, number: int, *, most: float, most_bytes: float) -> Iterator[Row]:
    """Compare loading a seed with msgspec's decoding of the same file, each time in a process of its own."""
    memory: list[float] = []

    def take(name: str) -> Seconds:
        seconds, grown = json.loads(peers.run_program(sys.executable, "-c", LOADING, str(file), name))
        if name == "ours":
            memory.append(grown / number)
        return float(seconds)

    times = interleave({name: partial(take, name) for name in ("ours", "msgspec")}, rounds=3)
    name = f"loading a seed of {things}, against msgspec's own decoding of the file"
    yield compare(name, times, "ours", "msgspec", most=most)
    yield summarize(f"resident memory for each of {things}", memory, most=most_bytes, unit="bytes")
