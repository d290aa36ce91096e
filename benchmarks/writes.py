"""Benchmarks of writes beside a long history: an update of a large document, and a copy of many frames.

    python -m benchmarks.writes

prints the bytes that a copy of 1,000 frames takes, as a share of the frames' own, traced in a process of its own.
"""

from __future__ import annotations

import itertools
import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from healthimaging_emulator import Emulator
from healthimaging_emulator.healthimaging.baseline import Baseline
from healthimaging_emulator.healthimaging.metadata import Metadata
from healthimaging_emulator.healthimaging.records import ImageSet
from healthimaging_emulator.seeds.generate import make_history
from healthimaging_emulator.seeds.loader import Seed

from . import peers
from .measure import Row, compare, interleave, pick, summarize, time_calls

SHORT, LONG = 1, pick(100_000, 1_000)
DOCUMENT_BYTES = pick(10_000_000, 100_000)
FRAMES = pick(1_000, 10)
FRAME_BYTES = 16 * 1024
IDS = {"datastoreId": peers.DATASTORE, "imageSetId": "2" * 32}
ATTRIBUTES: dict[str, Any] = {
    "Rows": 512,
    "Columns": 512,
    "BitsAllocated": 16,
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
}


def make_document(instances: int) -> dict[str, Any]:
    """Return a document of instances that have one frame each."""
    made: dict[str, Any] = {
        f"1.2.{number}": {
            "DICOM": {**ATTRIBUTES, "SOPInstanceUID": f"1.2.{number}", "InstanceNumber": str(number)},
            "DICOMVRs": {},
            "ImageFrames": [{"ID": f"{number:032x}", "FrameSizeInBytes": FRAME_BYTES}],
        }
        for number in range(instances)
    }
    return {"Study": {"DICOM": {"StudyInstanceUID": "1.2"}, "Series": {"1.2": {"DICOM": {}, "Instances": made}}}}


def make_emulator(document: dict[str, Any], versions: int, frames: dict[str, bytes] | None = None) -> Emulator:
    """Return an emulator with one image set, all of whose versions share a document. Writes are over at once."""
    id = IDS["imageSetId"]
    history = make_history(versions, metadata=Metadata(document, peers.DATASTORE, id))
    image_set = ImageSet(datastore_id=peers.DATASTORE, image_set_id=id, history=history, frames=frames or {})
    return Emulator(Seed(Baseline({peers.DATASTORE: {id: image_set}})), transition_reads=0)


def make_update(emulator: Emulator, versions: int) -> Callable[[], object]:
    """Return an update of one attribute."""
    attributes = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "Doe^Jane"}}}
    updates = {"DICOMUpdates": {"updatableAttributes": json.dumps(attributes).encode()}}
    client, latest = emulator.client(**peers.OPTIONS), itertools.count(versions)
    return lambda: client.update_image_set_metadata(
        **IDS, latestVersionId=str(next(latest)), updateImageSetMetadataUpdates=updates
    )


def make_copy(emulator: Emulator, versions: int) -> Callable[[], object]:
    """Return a copy of the whole image set to a new one."""
    client, source = emulator.client(**peers.OPTIONS), {"latestVersionId": str(versions)}
    return lambda: client.copy_image_set(
        datastoreId=peers.DATASTORE,
        sourceImageSetId=IDS["imageSetId"],
        copyImageSetInformation={"sourceImageSet": source},
    )


def update_of_a_large_document() -> Iterator[Row]:
    """Update a document of 10 MB."""
    size = len(json.dumps(make_document(1_000))) / 1_000
    document = make_document(int(DOCUMENT_BYTES / size))
    yield _compare("an update of a document of 10 MB", document, make_update, calls=1)


def copy_of_many_frames() -> Iterator[Row]:
    """Copy an image set of 1,000 frames."""
    yield _compare("a copy of 1,000 frames", make_document(FRAMES), make_copy, calls=5)
    share = float(peers.run_program(sys.executable, "-m", "benchmarks.writes"))
    name = "bytes that a copy of 1,000 frames takes, against those of its frames"
    yield summarize(name, [share], most=0.05, unit="x", remark="the new document and its list of frames")


def _compare(
    name: str, document: dict[str, Any], make: Callable[[Emulator, int], Callable[[], object]], calls: int
) -> Row:
    takes = {
        str(versions): partial(time_calls, make(make_emulator(document, versions), versions), calls)
        for versions in (SHORT, LONG)
    }
    times = interleave(takes, rounds=9)
    name = f"{name} after 100,000 versions, against one after a single version"
    return compare(name, times, str(LONG), str(SHORT), most=1.1)


def measure_copy() -> float:
    """Return the bytes that a copy takes, as a share of the bytes of its frames."""
    frames = {f"{number:032x}": bytes([number % 256]) * FRAME_BYTES for number in range(FRAMES)}
    copy = make_copy(make_emulator(make_document(FRAMES), SHORT, frames), SHORT)
    copy()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(5):
        copy()
    after, _ = tracemalloc.get_traced_memory()
    return (after - before) / 5 / (FRAMES * FRAME_BYTES)


if __name__ == "__main__":
    print(measure_copy())
