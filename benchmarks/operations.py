"""Benchmarks of single operations in process, each against the same call of boto3 with a canned answer."""

from __future__ import annotations

import base64
import itertools
import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from healthimaging_emulator import Emulator
from healthimaging_emulator.seeds.loader import find_fixture

from . import peers
from .measure import Row, compare, interleave, pick, time_calls

MEGABYTE = pick(1_000_000, 10_000)
FRAME = "f" * 32
LARGE = {"datastoreId": peers.DATASTORE, "imageSetId": "1" * 32}
SEARCHED = "2" * 32
CALLS = 30

FIXED = "boto3 itself takes 0.2 ms; the journal, the checks and the answer add 0.08 ms to any call"
STREAMED = f"{FIXED}, and urllib3's object for a body that is read piece by piece"
REWRITTEN = "half of what it adds is the new document: copied, checked, encoded and compressed"
"""Findings of a profile."""

Call = Callable[[Any], object]
"""A call of a client."""


def make_emulator() -> Emulator:
    """Return an emulator that has the demo, and an image set with 1 MB of metadata, as it is sent, and a frame of 1 MB.

    Its writes are over at once, so that a call may follow another one.
    """
    random_bytes = random.Random(1).randbytes(MEGABYTE)
    text = base64.b64encode(random_bytes).decode()  # which compresses to the size of the bytes
    instance = {"ImageFrames": [{"ID": FRAME}], "DICOM": {"PixelComment": text}}
    image_set = {
        "imageSetId": LARGE["imageSetId"],
        "generate": {"versions": 1},
        "metadata": {"Study": {"Series": {"1.2": {"Instances": {"1.2.3": instance}}}}},
        "frames": {FRAME: {"base64": text}},
    }
    large = {"datastoreId": peers.DATASTORE, "imageSets": [image_set]}
    many = {"datastoreId": SEARCHED, "generate": {"imageSets": 1_000}}
    return Emulator.from_seed(find_fixture("demo.json"), {"datastores": [large, many]}, transition_reads=0)


def record(emulator: Emulator, call: Call) -> bytes:
    """Return the body of the answer to a call."""
    bodies: list[bytes] = []

    def keep(response_dict: dict[str, Any], **_: Any) -> None:
        body = response_dict["body"]
        bodies.append(body if isinstance(body, bytes) else body.read())

    client = emulator.client(**peers.OPTIONS)
    client.meta.events.register("before-parse.medical-imaging", keep)
    call(client)
    return bodies[0]


def _compare(name: str, call: Call, remark: str = "") -> Row:
    emulator = make_emulator()
    body = record(emulator, call)
    emulator.reset()
    clients = {"ours": emulator.client(**peers.OPTIONS), "canned": peers.canned(lambda _: body)}
    takes = {each: partial(time_calls, partial(call, client), CALLS) for each, client in clients.items()}
    times = interleave(takes, rounds=15)
    return compare(
        f"{name}, against the same call with a canned answer", times, "ours", "canned", most=1.25, remark=remark
    )


def get_image_set() -> Iterator[Row]:
    """Call GetImageSet in process."""
    yield _compare("GetImageSet in process", lambda client: client.get_image_set(**peers.IDS), FIXED)


def update_image_set_metadata() -> Iterator[Row]:
    """Call UpdateImageSetMetadata in process."""
    attributes = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "Doe^Jane"}}}
    updates = {"DICOMUpdates": {"updatableAttributes": json.dumps(attributes).encode()}}
    latest: dict[int, Iterator[int]] = {}

    def update(client: Any) -> object:
        version = next(latest.setdefault(id(client), itertools.count(peers.APPLICATIONS)))
        return client.update_image_set_metadata(
            **peers.IDS, latestVersionId=str(version), updateImageSetMetadataUpdates=updates
        )

    yield _compare("UpdateImageSetMetadata in process", update, REWRITTEN)


def search_image_sets() -> Iterator[Row]:
    """Call SearchImageSets in process."""
    yield _compare(
        "SearchImageSets in process, a page of 50",
        lambda client: client.search_image_sets(datastoreId=SEARCHED, maxResults=50),
    )


def get_image_set_metadata() -> Iterator[Row]:
    """Call GetImageSetMetadata in process."""
    yield _compare(
        "GetImageSetMetadata of 1 MB in process",
        lambda client: client.get_image_set_metadata(**LARGE)["imageSetMetadataBlob"].read(),
        STREAMED,
    )


def get_image_frame() -> Iterator[Row]:
    """Call GetImageFrame in process."""
    frame = {"imageFrameId": FRAME}
    yield _compare(
        "GetImageFrame of 1 MB in process",
        lambda client: client.get_image_frame(**LARGE, imageFrameInformation=frame)["imageFrameBlob"].read(),
        STREAMED,
    )
