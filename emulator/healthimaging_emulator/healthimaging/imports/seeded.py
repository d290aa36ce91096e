"""Imports whose outcome a seed gives, for pipelines that are tested without DICOM files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..metadata import make_uid
from .instance import Instance


class SeededImport(NamedTuple):
    """The outcome of every import job that has an input location; nothing is read from there.

    ``files`` has the instance of each file by its key, or the message of the file's failure. ``failure`` is the message
    of a job that fails itself.
    """

    input_s3_uri: str
    files: Mapping[str, Instance | str]
    failure: str | None

    def is_for(self, uri: str) -> bool:
        """Whether this is the import of an input location; a slash at its end does not count."""
        return self.input_s3_uri.rstrip("/") == uri.rstrip("/")


def split_document(document: Mapping[str, Any], frames: Mapping[str, bytes], name: str) -> Iterator[Instance]:
    """Yield the instances of a metadata document, which is valid, and has ``frames``.

    A UID that the document does not have is made from ``name``.
    """
    patient, study = document.get("Patient", {}).get("DICOM", {}), document.get("Study", {})
    study_attributes = {"StudyInstanceUID": make_uid("study", name)} | study.get("DICOM", {})
    for series_uid, series in (study.get("Series") or {make_uid("series", name): {}}).items():
        series_attributes = series.get("DICOM", {}) | {"SeriesInstanceUID": series_uid}
        instances = series.get("Instances") or {make_uid("instance", f"{name} {series_uid}"): {}}
        for uid, instance in instances.items():
            content = {"DICOMVRs": {}, "ImageFrames": []} | instance
            content["DICOM"] = instance.get("DICOM", {}) | {"SOPInstanceUID": uid}
            entries = [frame for frame in content["ImageFrames"] or () if isinstance(frame, Mapping)]
            ids = {frame["ID"] for frame in entries if isinstance(frame.get("ID"), str)}
            own = {id: frames[id] for id in ids & frames.keys()}
            yield Instance(patient, study_attributes, series_attributes, content, own)
