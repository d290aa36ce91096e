"""Copies of metadata: choose the instances to copy, and put them into the document of the destination."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..aws.errors import ValidationException
from .shapes.search import DICOMTags

SERIES_MISSING = "INVALID_REQUEST:  Series of SourceImageSet doesn't exist."
INSTANCE_MISSING = "INVALID_REQUEST:  Instance of SourceImageSet doesn't exist."
INSTANCE_EXISTS = "INVALID_REQUEST:  Instance of SourceImageSet already exists in DestinationImageSet."
MISMATCH = "INVALID_REQUEST:  {level} of SourceImageSet and DestinationImageSet don't match."

Selection = Mapping[str, frozenset[str]]
"""SOP Instance UIDs by Series Instance UID."""


class CopyFailed(Exception):
    """A copy does not suit the stored documents. ``message`` is the one of the version that fails."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


def read_selection(text: str) -> Selection:
    """Read ``copiableAttributes``: the instances to copy. Raises ``ValidationException``."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise ValidationException("copiableAttributes must be a JSON object.") from None
    if not isinstance(content, dict):
        raise ValidationException("copiableAttributes must be a JSON object.")
    for name in content.keys() - {"SchemaVersion", "Study"}:
        raise ValidationException(f"copiableAttributes has the key {name!r}: expected SchemaVersion or Study.")
    study = _object(content.get("Study", {}), "Study")
    all_series = _object(study.get("Series", {}), "Series")
    if not all_series:
        raise ValidationException("copiableAttributes must name a series.")
    return {
        uid: frozenset(_object(_object(series, "Series").get("Instances", {}), "Instances"))
        for uid, series in all_series.items()
    }


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValidationException(f"{name} of copiableAttributes must be an object.")
    return value


def select_instances(source: Mapping[str, Any], selection: Selection | None) -> dict[str, Any]:
    """Return a document with the selected instances, or with all. Raises ``CopyFailed``."""
    if selection is None:
        return dict(source)
    all_series = source.get("Study", {}).get("Series", {})
    chosen = {}
    for uid, instances in selection.items():
        if uid not in all_series:
            raise CopyFailed(SERIES_MISSING)
        present = all_series[uid].get("Instances", {})
        if not instances <= present.keys():
            raise CopyFailed(INSTANCE_MISSING)
        chosen[uid] = {**all_series[uid], "Instances": {id: present[id] for id in present if id in instances}}
    return {**source, "Study": {**source.get("Study", {}), "Series": chosen}}


def merge_instances(source: Mapping[str, Any], destination: Mapping[str, Any], *, force: bool) -> dict[str, Any]:
    """Return the destination's document with the instances of the source. Raises ``CopyFailed``.

    With ``force``, the destination's own Patient, Study and Series attributes stay; otherwise they must agree.
    """
    if not force:
        _require_match(source, destination)
    all_series = dict(destination.get("Study", {}).get("Series", {}))
    present = {id for series in all_series.values() for id in series.get("Instances", {})}
    for uid, series in source.get("Study", {}).get("Series", {}).items():
        if present & series.get("Instances", {}).keys():
            raise CopyFailed(INSTANCE_EXISTS)
        target = uid if uid in all_series else next(iter(all_series), uid)
        stored = all_series.get(target, series)
        all_series[target] = {**stored, "Instances": {**stored.get("Instances", {}), **series.get("Instances", {})}}
    return {**destination, "Study": {**destination.get("Study", {}), "Series": all_series}}


def _require_match(source: Mapping[str, Any], destination: Mapping[str, Any]) -> None:
    for level in ("Patient", "Study"):
        if source.get(level, {}).get("DICOM", {}) != destination.get(level, {}).get("DICOM", {}):
            raise CopyFailed(MISMATCH.format(level=level))
    stored = destination.get("Study", {}).get("Series", {})
    for uid, series in source.get("Study", {}).get("Series", {}).items():
        if uid not in stored or series.get("DICOM", {}) != stored[uid].get("DICOM", {}):
            raise CopyFailed(MISMATCH.format(level="Series"))


def conflicts_with_primary(source: DICOMTags, primary: DICOMTags) -> bool:
    """Whether an image set cannot join a primary one, because the attributes that group them differ."""
    return group_values(source) != group_values(primary)


def group_values(tags: DICOMTags) -> tuple[object, ...]:
    """Return the values of the seven attributes that group image sets (AWS's developer guide)."""
    return *study_values(tags), tags.series_instance_uid, tags.series_number


def study_values(tags: DICOMTags) -> tuple[object, ...]:
    """Return the values of the grouping attributes that all series of a study share."""
    return tags.patient_id, tags.study_date, tags.accession_number, tags.study_instance_uid, tags.study_id
