"""Growth: the time of a call by the number of each thing that an emulator can hold, and memory that returns.

``python -m benchmarks.growth KIND`` prints the bytes that were added and the bytes that were left after they were
removed, traced in a process of its own.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from healthimaging_emulator import Emulator, Fault

from . import peers, search, writes
from .measure import Row, interleave, pick, summarize, time_calls

Curve = dict[int, float]
"""A figure by a number."""

WRITES = pick(200, 3)


def _measure(numbers: Sequence[int], make: Callable[[int], Callable[[], object]], calls: int) -> Curve:
    """Return milliseconds of a call by the number of things that the emulator holds, after a first call."""
    asks = {str(number): make(number) for number in numbers}
    for ask in asks.values():
        ask()
    times = interleave({name: partial(time_calls, ask, calls) for name, ask in asks.items()}, rounds=9)
    return {int(name): 1000 * statistics.median(each) for name, each in times.items()}


def by_image_sets() -> Curve:
    """Search a page by the number of image sets."""
    numbers = pick((100, 1_000, 10_000, 100_000, 1_000_000), (10, 100))
    return _measure(numbers, lambda number: search.ask_search(Emulator(search.make_plain_seed(number)), {}), 50)


def by_document() -> Curve:
    """Update a document by the number of its instances, each with a frame."""
    numbers = pick((10, 100, 1_000, 10_000), (10, 20))

    def make(number: int) -> Callable[[], object]:
        return writes.make_update(writes.make_emulator(writes.make_document(number), 1), 1)

    return _measure(numbers, make, 2)


def by_accounts() -> Curve:
    """List a page by the number of accounts."""

    def make(number: int) -> Callable[[], object]:
        emulator = Emulator.from_seed()
        for account in range(1, number + 1):
            emulator.account(f"{account:012}")
        return peers.list_versions(emulator.client(**peers.OPTIONS))

    return _measure(pick((1, 10, 100, 900), (1, 5)), make, 30)


def by_faults() -> Curve:
    """List a page by the number of faults, of which none matches."""

    def make(number: int) -> Callable[[], object]:
        emulator = Emulator.from_seed()
        faults = (
            Fault.error("ConflictException", image_set_id=f"{index:032}") for index in range(1_000, 1_000 + number)
        )
        emulator.faults.add(*faults)
        return peers.list_versions(emulator.client(**peers.OPTIONS))

    return _measure(pick((1, 10, 100, 1_000), (1, 5)), make, 30)


def by_journal() -> Curve:
    """List a page by the number of calls in the journal."""

    def make(number: int) -> Callable[[], object]:
        emulator = Emulator.from_seed(max_calls=number)
        call = peers.list_versions(emulator.client(**peers.OPTIONS))
        for _ in range(number):
            call()
        return call

    return _measure(pick((1, 10, 100, 1_000, 10_000), (1, 5)), make, 30)


# Memory that returns.

ACCOUNT = "123456789012"


def _fill(client: Any) -> list[str]:
    """Make many copies, each with a document of its own, and update each; return their ids."""
    source = {"latestVersionId": "1"}
    attributes = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "Doe^Jane"}}}
    updates = {"DICOMUpdates": {"updatableAttributes": json.dumps(attributes).encode()}}
    copies = []
    for _ in range(WRITES):
        copied = client.copy_image_set(
            datastoreId=peers.DATASTORE,
            sourceImageSetId=writes.IDS["imageSetId"],
            copyImageSetInformation={"sourceImageSet": source},
        )
        id = copied["destinationImageSetProperties"]["imageSetId"]
        client.update_image_set_metadata(
            datastoreId=peers.DATASTORE, imageSetId=id, latestVersionId="1", updateImageSetMetadataUpdates=updates
        )
        copies.append(id)
    return copies


def measure_return(kind: str) -> tuple[int, int]:
    """Return the bytes that writes added, and those that were left after they were undone."""
    emulator = writes.make_emulator(writes.make_document(100), 1)
    account = emulator.account(ACCOUNT)
    client = emulator.client(**{**peers.OPTIONS, "aws_access_key_id": ACCOUNT})
    undo: dict[str, Callable[[str], object]] = {
        "remove": lambda id: account.image_set(peers.DATASTORE, id).remove(),
        "DeleteImageSet": lambda id: client.delete_image_set(datastoreId=peers.DATASTORE, imageSetId=id),
    }
    _fill(client)
    account.reset()  # the first round has filled the caches
    tracemalloc.start()
    before = _traced()
    copies = _fill(client)
    account.reset("calls")
    added = _traced() - before
    if kind in undo:
        for id in copies:
            undo[kind](id)
        account.reset("calls")
    else:
        getattr(account, kind)()
    return added, _traced() - before


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


NOTES = {
    "reset": "caches of boto3 and of this test, which grow no further",
    "forget": "the same caches",
    "remove": "the events of the writes, of which the last 10,000 are kept",
    "DeleteImageSet": "the events, and the versions, which are listed for ever",
}


def memory_returns() -> Iterator[Row]:
    """Undo many writes, and read the memory that is left."""
    for kind, remark in NOTES.items():
        added, left = json.loads(peers.run_program(sys.executable, "-m", "benchmarks.growth", kind))
        name = f"memory left after `{kind}`, against that of {2 * WRITES} writes"
        yield summarize(name, [max(0, left) / added], most=0.2, unit="x", remark=remark)


if __name__ == "__main__":
    print(json.dumps(measure_return(sys.argv[1])))
