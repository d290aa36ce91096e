"""Metadata documents of versions. A document never changes.

It is kept compressed, as it is sent. A value that operations search for in many image sets is extracted when the
document is stored.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from types import NoneType
from typing import Any, Protocol

import msgspec

from ..errors import InvalidError, invalid
from .dicom_tags import read_tags
from .shapes.search import DICOMTags

SCHEMA_VERSION = "1.1"

MAX_NESTING = 64
"""Levels of objects and lists in a document; the emulator's own limit."""


class Metadata:
    """One document, from decoded JSON. Raises ``InvalidError``.

    Its schema version and ids are set here, whatever the content says.
    """

    __slots__ = ("compressed", "frames", "series_instance_uids", "size", "tags")

    def __init__(self, content: Mapping[str, Any], datastore_id: str, image_set_id: str) -> None:
        if not isinstance(content, Mapping):
            raise invalid("metadata", content, "an object")
        _check(content)
        head = {"SchemaVersion": SCHEMA_VERSION, "DatastoreID": datastore_id, "ImageSetID": image_set_id}
        body = {name: value for name, value in content.items() if name not in head}
        self.frames = dict(_find_frames(content))
        self.series_instance_uids = frozenset(content.get("Study", {}).get("Series", {}))
        # Compressed without a time, so that runs and replicas agree to the byte.
        encoded = _encode(head | body)
        self.size = len(encoded)
        self.compressed = gzip.compress(encoded, compresslevel=6, mtime=0)
        self.tags = read_tags(content)

    def parse(self) -> dict[str, Any]:
        """Return the document, decoded anew: the caller may change it."""
        return msgspec.json.decode(gzip.decompress(self.compressed))  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Metadata) and self.compressed == other.compressed

    def __hash__(self) -> int:
        return hash(self.compressed)


def _encode(document: Mapping[str, Any]) -> bytes:
    if is_too_deep(document):
        raise InvalidError(f"metadata is nested too deeply: expected at most {MAX_NESTING} levels")
    try:
        return msgspec.json.encode(document)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidError(f"metadata must be JSON: {error}") from None


def is_too_deep(content: Any) -> bool:
    """Whether a document has more levels of objects and lists than the emulator takes."""
    level = [content]
    for _ in range(MAX_NESTING):
        level = [child for value in level for child in _list_children(value)]
        if not level:  # most documents have ten levels
            return False
    return any(isinstance(value, (Mapping, list)) for value in level)


def _list_children(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


class HasMetadata(Protocol):
    """A version."""

    @property
    def metadata(self) -> Metadata | None: ...


def _find_frames(content: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Yield the id of each frame that a document names, and the transfer syntax in which it is stored."""
    for series in content.get("Study", {}).get("Series", {}).values():
        for instance in series.get("Instances", {}).values():
            for frame in instance.get("ImageFrames") or ():
                if isinstance(frame, Mapping) and isinstance(frame.get("ID"), str):
                    yield frame["ID"], instance.get("StoredTransferSyntaxUID")


def _check(content: Mapping[str, Any]) -> None:
    """Check the structure that operations rely on."""
    patient, study = (_part(content, name, f"$.{name}") for name in ("Patient", "Study"))
    _part(patient, "DICOM", "$.Patient.DICOM")
    _part(study, "DICOM", "$.Study.DICOM")
    all_series = _part(study, "Series", "$.Study.Series")
    for uid in all_series:
        path = f"$.Study.Series.{uid}"
        series = _part(all_series, uid, path)
        _part(series, "DICOM", f"{path}.DICOM")
        instances = _part(series, "Instances", f"{path}.Instances")
        for instance_uid in instances:
            instance = _part(instances, instance_uid, f"{path}.Instances.{instance_uid}")
            inside = f"{path}.Instances.{instance_uid}"
            for name in ("DICOM", "DICOMVRs"):
                _part(instance, name, f"{inside}.{name}")
            if not isinstance(instance.get("ImageFrames"), (list, NoneType)):
                raise InvalidError("expected a list", path=f"{inside}.ImageFrames")
            if not isinstance(instance.get("StoredTransferSyntaxUID"), (str, NoneType)):
                raise InvalidError("expected a string", path=f"{inside}.StoredTransferSyntaxUID")


def _part(whole: Mapping[str, Any], name: str, path: str) -> Mapping[str, Any]:
    part = whole.get(name, {})
    if not isinstance(part, Mapping):
        raise InvalidError("expected an object", path=path)
    return part


def _make_document(image_set_id: str) -> dict[str, Any]:
    """Return a small document made from the id, for a version that has none of its own."""
    study, series, instance = (make_uid(level, image_set_id) for level in ("study", "series", "instance"))
    attributes = {"SOPInstanceUID": instance, "InstanceNumber": "1"}
    instances = {instance: {"DICOM": attributes, "DICOMVRs": {}, "ImageFrames": []}}
    described = {"Modality": "OT", "SeriesInstanceUID": series, "SeriesNumber": "1"}
    return {
        "Patient": {"DICOM": {"PatientID": image_set_id[:16], "PatientName": None}},
        "Study": {
            "DICOM": {"StudyInstanceUID": study},
            "Series": {series: {"DICOM": described, "Instances": instances}},
        },
    }


def make_uid(level: str, id: str) -> str:
    """Return a UID that is derived from a number of 128 bits (DICOM PS3.5, B.2), always the same for a level and id."""
    return f"2.25.{int.from_bytes(sha256(f'{level} {id}'.encode()).digest()[:16], 'big')}"


def metadata_of(version: HasMetadata, datastore_id: str, image_set_id: str) -> Metadata:
    """Return the document of a version, made from the ids if it has none."""
    return version.metadata or Metadata(_make_document(image_set_id), datastore_id, image_set_id)


def tags_of(version: HasMetadata, image_set_id: str) -> DICOMTags:
    """Return the attributes by which a search finds a version."""
    return version.metadata.tags if version.metadata else read_tags(_make_document(image_set_id))
