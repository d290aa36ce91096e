"""Write image sets and faults as a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import structs

from ..faults.fault import Fault
from ..healthimaging.baseline import ImageSets
from ..healthimaging.metadata import Metadata
from ..healthimaging.records import ImageSet


def write_seed(image_sets: ImageSets, faults: Sequence[Fault] = ()) -> bytes:
    """Return a seed in JSON, newest versions first."""
    datastores = [
        {"datastoreId": datastore_id, "imageSets": [_write_image_set(each) for each in records.values()]}
        for datastore_id, records in image_sets.items()
    ]
    document = {"datastores": datastores} | ({"faults": faults} if faults else {})
    return msgspec.json.encode(document, enc_hook=_write_metadata)


def _write_image_set(image_set: ImageSet) -> dict[str, Any]:
    versions = image_set.history[:][::-1]
    shared = versions[0].metadata
    written: dict[str, Any] = {"imageSetId": image_set.image_set_id}
    named = {id for version in versions if version.metadata for id in version.metadata.frames}
    frames = {id: {"base64": content} for id, content in image_set.frames.items() if id in named}
    if frames:
        written["frames"] = frames
    if shared is not None and all(version.metadata is shared for version in versions):
        written["metadata"] = shared
        versions = tuple(structs.replace(version, metadata=None) for version in versions)
    return written | {"versions": versions}


def _write_metadata(metadata: Metadata) -> dict[str, Any]:
    return metadata.parse()
