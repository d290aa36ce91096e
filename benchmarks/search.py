"""Benchmarks of searches: a data store of 1,000,000 image sets must cost no more than one of 100."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from healthimaging_emulator import Emulator
from healthimaging_emulator.healthimaging.baseline import Baseline
from healthimaging_emulator.healthimaging.history import History
from healthimaging_emulator.healthimaging.records import ImageSet, Version
from healthimaging_emulator.messages import Exchange
from healthimaging_emulator.seeds.document import GenerateImageSets
from healthimaging_emulator.seeds.generate_image_sets import SECONDS_APART, make_image_sets
from healthimaging_emulator.seeds.loader import Seed
from healthimaging_emulator.server.gateway import build_base_environ, build_environ, call_application
from healthimaging_emulator.server.http1 import Body, Head

from . import peers, size
from .measure import Row, compare, interleave, pick, summarize, time_calls

MOST, MANY, FEW = pick(1_000_000, 2_000), pick(100_000, 1_000), 100
CREATED_AT = 1_600_000_000.0
CALLS = 100


@cache
def make_seed(image_sets: int) -> Seed:
    """Return a seed of image sets with metadata; a patient has a tenth of those of the small data store."""
    numbers = GenerateImageSets(image_sets=image_sets, patients=image_sets // 10)
    made = make_image_sets(numbers, peers.DATASTORE, CREATED_AT)
    return Seed(Baseline({peers.DATASTORE: {each.image_set_id: each for each in made}}))


def ask_search(emulator: Emulator, criteria: dict[str, Any], token: str = "") -> Callable[[], dict[str, Any]]:
    """Return a search by the application, without boto3 and without a socket."""
    base, content = build_base_environ("127.0.0.1", 80), json.dumps(criteria).encode()
    target = f"/datastore/{peers.DATASTORE}/searchImageSets?maxResults=50{f'&nextToken={token}' if token else ''}"
    head = Head("POST", target, "1.1", [("content-type", "application/json")], keeps_alive=True)
    body = Body(content, len(content))

    def ask() -> dict[str, Any]:
        answer = call_application(emulator.app, build_environ(base, head, body, Exchange()))
        return dict(json.loads(answer.body))

    return ask


def equal(**value: Any) -> dict[str, Any]:
    return {"operator": "EQUAL", "values": [value]}


def between(name: str, low: Any, high: Any) -> dict[str, Any]:
    return {"operator": "BETWEEN", "values": [{name: low}, {name: high}]}


RANGE = between("updatedAt", CREATED_AT + 20 * SECONDS_APART, CREATED_AT + 60 * SECONDS_APART)
STUDIED, NEVER_STUDIED = (
    between("DICOMStudyDateAndTime", *({"DICOMStudyDate": date} for date in dates))
    for dates in (("20180101", "20220101"), ("19000101", "19000102"))
)


def make_searches(patient: str = "P000007") -> dict[str, dict[str, Any]]:
    """Return the kinds of search, some of them for the image sets of a patient."""
    of_patient = equal(DICOMPatientId=patient)
    return {
        "without a filter": {},
        "with one EQUAL filter": {"filters": [of_patient]},
        "with two EQUAL filters": {"filters": [of_patient, equal(isPrimary=True)]},
        "with a BETWEEN on the sort key": {"filters": [RANGE]},
    }


def pages() -> Iterator[Row]:
    """Search a data store of 100,000 image sets, and one of 1,000,000 without metadata of their own."""
    emulators = {FEW: Emulator(make_seed(FEW)), MANY: Emulator(make_seed(MANY)), MOST: Emulator(make_plain_seed(MOST))}
    searches = {count: make_searches() for count in (FEW, MANY)} | {MOST: make_searches(PLAIN_PATIENT)}
    for kind in make_searches():
        asks = {count: ask_search(each, searches[count][kind]) for count, each in emulators.items()}
        yield from _compare(f"a page {kind}", asks)
    yield from _compare("a page in the middle", {count: _ask_deep(each) for count, each in emulators.items()})
    yield from _compare("a page after a write", {count: _ask_after_write(each) for count, each in emulators.items()})


def _compare(kind: str, asks: dict[int, Callable[[], dict[str, Any]]]) -> Iterator[Row]:
    assert all(ask()["imageSetsMetadataSummaries"] for ask in asks.values())
    times = interleave({str(count): partial(time_calls, ask, CALLS) for count, ask in asks.items()}, rounds=15)
    for count in (MANY, MOST):
        name = f"{kind} of {count:,} image sets, against the same of {FEW}, without boto3"
        yield compare(name, times, str(count), str(FEW), most=2)


PLAIN_PATIENT = f"{7:016}"
"""A patient of a plain seed: the emulator takes the id from the first half of an image set's id."""


def make_plain_seed(image_sets: int) -> Seed:
    """Return a seed of image sets that have no metadata of their own, ten of them of one patient."""
    made = {}
    for number in range(image_sets):
        id = f"{number // 10:016}{number % 10:016}"
        created_at = CREATED_AT + number * SECONDS_APART
        version = Version(version_id="1", image_set_state="ACTIVE", created_at=created_at, is_primary=True)
        made[id] = ImageSet(datastore_id=peers.DATASTORE, image_set_id=id, history=History.of([version]))
    return Seed(Baseline({peers.DATASTORE: made}))


def loading() -> Iterator[Row]:
    """Load a seed of a million image sets without metadata."""
    versions = [{"versionId": "1", "imageSetState": "ACTIVE"}]
    image_sets = [{"imageSetId": f"{number:032}", "versions": versions} for number in range(MOST)]
    content = {"datastores": [{"datastoreId": peers.DATASTORE, "imageSets": image_sets}]}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "seed.json"
        file.write_text(json.dumps(content))
        yield from size.compare_loading(file, f"{MOST:,} image sets without metadata", MOST, most=3, most_bytes=2048)


def _ask_deep(emulator: Emulator) -> Callable[[], dict[str, Any]]:
    """Return a search for the page in the middle, reached page by page."""
    token = ""
    for _ in range(len(emulator.seed.baseline[peers.DATASTORE]) // 100):
        token = ask_search(emulator, {}, token)()["nextToken"]
    return ask_search(emulator, {}, token)


def _ask_after_write(emulator: Emulator) -> Callable[[], dict[str, Any]]:
    ask = ask_search(emulator, {})
    image_set = next(iter(emulator.datastore(peers.DATASTORE).image_sets))

    def write_and_ask() -> dict[str, Any]:
        image_set.replace("1", image_set_state="ACTIVE", created_at=CREATED_AT)
        return ask()

    return write_and_ask


def others() -> Iterator[Row]:
    """Search 100,000 image sets by pairs of filters that no group answers."""
    far = CREATED_AT + MANY * SECONDS_APART
    pairs = {
        "two ranges of half the image sets": [between("createdAt", CREATED_AT, far / 2 + CREATED_AT / 2), STUDIED],
        "a range and a patient": [equal(DICOMPatientId="P000007"), STUDIED],
        "two ranges that nothing is in": [between("createdAt", CREATED_AT, far), NEVER_STUDIED],
    }
    emulator = Emulator(make_seed(MANY))
    for kind, filters in pairs.items():
        ask = ask_search(emulator, {"filters": filters})
        ask()
        each = [1000 * time_calls(ask, 3) for _ in range(9)]
        yield summarize(f"a page of 100,000 image sets with {kind}", each, most=100, unit="ms")


FIRST_SEARCH = """
import gc, json, sys, time
from benchmarks.search import MANY, make_searches, ask_search, make_seed
from healthimaging_emulator import Emulator

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

seed = make_seed(MANY)
emulator = Emulator(seed)
gc.collect()
before, begun = resident(), time.perf_counter()
ask_search(emulator, {})()
seconds = time.perf_counter() - begun
for criteria in make_searches().values():
    ask_search(emulator, criteria)()
gc.collect()
print(json.dumps([seconds, (resident() - before) / MANY]))
"""


def first() -> Iterator[Row]:
    """Search 100,000 image sets for the first time, each time in a process of its own."""
    took = [json.loads(peers.run_program(sys.executable, "-c", FIRST_SEARCH)) for _ in range(3)]
    name = "the first search after 100,000 image sets were loaded"
    yield summarize(name, [seconds for seconds, _ in took], most=1, unit="s")
    name = "memory of the indexes for an image set, after all kinds of search"
    yield summarize(name, [grown / 1024 for _, grown in took], most=2, unit="KB")
