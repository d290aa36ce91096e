"""Write image sets and faults as a seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
from msgspec import structs

from ..faults.fault import Fault
from ..healthimaging.baseline import Baseline
from ..healthimaging.imports.instance import Instance, make_document
from ..healthimaging.imports.seeded import SeededImport
from ..healthimaging.metadata import Metadata
from ..healthimaging.records import Datastore, ImageSet, Version

MEMBERS = {
    "name": "datastoreName",
    "status": "datastoreStatus",
    "created_at": "createdAt",
    "updated_at": "updatedAt",
    "kms_key_arn": "kmsKeyArn",
    "lambda_authorizer_arn": "lambdaAuthorizerArn",
    "lossless_storage_format": "losslessStorageFormat",
    "tags": "tags",
}
"""Properties of a data store, and their names in a seed."""


def write_seed(
    baseline: Baseline, faults: Sequence[Fault] = (), *, frame_files: Mapping[str, Mapping[str, str]] = {}
) -> bytes:
    """Return a seed in JSON, newest versions first.

    ``frame_files`` are files of further frames, relative to the seed, by image set and frame.
    """
    datastores = [
        _write_datastore(baseline.datastore(datastore_id))
        | {"imageSets": [_write_image_set(each, frame_files.get(id, {})) for id, each in records.items()]}
        for datastore_id, records in baseline.items()
    ]
    document: dict[str, Any] = {"datastores": datastores}
    if baseline.imports:
        document["imports"] = [_write_import(each) for each in baseline.imports]
    if faults:
        document["faults"] = faults
    return msgspec.json.encode(document, enc_hook=_write_metadata)


def _write_datastore(record: Datastore | None) -> dict[str, Any]:
    """Return the properties of a data store that are not those of any other one."""
    assert record is not None
    unset = Datastore(datastore_id=record.datastore_id)
    written = {"datastoreId": record.datastore_id}
    for name, value in structs.asdict(record).items():
        if name in MEMBERS and value != getattr(unset, name):
            written[MEMBERS[name]] = value
    return written


def _write_image_set(image_set: ImageSet, frame_files: Mapping[str, str]) -> dict[str, Any]:
    versions = image_set.history[:][::-1]
    if versions[0].image_set_state == "DELETED" and versions[0].metadata is None:  # nobody can read any of it
        versions = _without_metadata(versions)
    written: dict[str, Any] = {"imageSetId": image_set.image_set_id}
    if image_set.tags:
        written["tags"] = image_set.tags
    named = {id for version in versions if version.metadata for id in version.metadata.frames}
    frames: dict[str, Any] = {id: {"base64": content} for id, content in image_set.frames.items() if id in named}
    frames |= frame_files
    if frames:
        written["frames"] = frames
    if all(version.metadata is not None for version in versions):
        ((most, count),) = Counter(id(version.metadata) for version in versions).most_common(1)
        if count > 1 or len(versions) == 1:
            shared = next(version.metadata for version in versions if id(version.metadata) == most)
            written["metadata"] = shared
            versions = _without_metadata(versions, shared)
    return written | {"versions": versions}


def _without_metadata(versions: Sequence[Version], shared: Metadata | None = None) -> tuple[Version, ...]:
    """Return versions without their documents, or without the one that they share."""
    return tuple(
        structs.replace(each, metadata=None) if shared is None or each.metadata is shared else each for each in versions
    )


def _write_import(given: SeededImport) -> dict[str, Any]:
    instances = [each for each in given.files.values() if isinstance(each, Instance)]
    failed = {key: message for key, message in given.files.items() if isinstance(message, str)}
    written: dict[str, Any] = {"inputS3Uri": given.input_s3_uri}
    if instances:
        written["imageSets"] = [_write_imported(list(same)) for _, same in groupby(instances, _key_of_series)]
    if failed:
        written["failedFiles"] = failed
    return written if given.failure is None else written | {"failure": given.failure}


def _key_of_series(instance: Instance) -> tuple[dict[str, Any], ...]:
    return instance.patient, instance.study, instance.series


def _write_imported(instances: list[Instance]) -> dict[str, Any]:
    frames = {id: {"base64": content} for each in instances for id, content in each.frames.items()}
    return {"metadata": make_document(instances)} | ({"frames": frames} if frames else {})


def _write_metadata(metadata: Metadata) -> dict[str, Any]:
    return metadata.parse()
