"""Updates of a metadata document: apply them to the stored document.

``update_rules`` has checked everything that the updates show by themselves. ``apply_updates`` checks them against the
stored document and raises ``UpdateFailed``: then the new version is UPDATE_FAILED. Arguments are never changed, because
versions share documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .dicom import Level, find_attribute, is_private

SERIES_MISSING = "INVALID_REQUEST:  Series of ImageSet doesn't exist."
INSTANCE_MISSING = "INVALID_REQUEST:  Instance of ImageSet doesn't exist."
SERIES_EXISTS = "INVALID_REQUEST:  Series of ImageSet already exists."
INSTANCE_EXISTS = "INVALID_REQUEST:  Instance of ImageSet already exists."
ATTRIBUTE_DIFFERS = "INVALID_REQUEST:  Attribute to remove doesn't match."
LAST_INSTANCE = "INVALID_REQUEST:  Last Instance of Series can't be removed."
VR_MISSING = "INVALID_REQUEST:  VR of private Attribute is missing."

IDENTITIES = frozenset({"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"})


class UpdateFailed(Exception):
    """An update does not fit the stored document. ``message`` becomes the message of the new version."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


@dataclass(frozen=True)
class Updates:
    """Two checked documents in the shape of a metadata document; either may be empty."""

    updatable: Mapping[str, Any] = field(default_factory=dict, repr=False)
    removable: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def changes_identity(self) -> bool:
        """Whether a Study, Series or SOP Instance UID is set, even to its present value."""
        return any(not IDENTITIES.isdisjoint(node.attributes) for node in list_nodes(self.updatable))


def keep_study_part(updates: Updates) -> Updates:
    """Return the Patient and Study levels alone: the part that other image sets of the study share."""
    return Updates(_drop_series(updates.updatable), _drop_series(updates.removable))


def apply_updates(document: Mapping[str, Any], updates: Updates) -> dict[str, Any]:
    """Return a copy of the document after the removals, then the updates. Raises ``UpdateFailed``."""
    changed = _copy(document)
    for node in list_nodes(updates.removable):
        _remove(changed, node)
    for node in list_nodes(updates.updatable):
        _update(changed, node)
    _rename(changed, updates)
    return changed


def _drop_series(document: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: document[name] for name in ("Patient", "Study") if name in document}
    if "Study" in kept:
        kept["Study"] = {name: part for name, part in kept["Study"].items() if name != "Series"}
    return kept


class Node(NamedTuple):
    """A part of a document at one level: the patient, the study, a series or an instance."""

    level: Level
    series: str | None
    instance: str | None
    content: Mapping[str, Any]

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The DICOM attributes."""
        attributes: Mapping[str, Any] = self.content.get("DICOM", {})
        return attributes

    @property
    def vrs(self) -> Mapping[str, Any]:
        """The VRs of private elements."""
        vrs: Mapping[str, Any] = self.content.get("DICOMVRs", {})
        return vrs


def list_nodes(document: Mapping[str, Any]) -> Iterator[Node]:
    """Yield the parts of a document, from the patient to the instances."""
    if "Patient" in document:
        yield Node("Patient", None, None, document["Patient"])
    if "Study" in document:
        yield Node("Study", None, None, document["Study"])
        yield from _list_series_nodes(document["Study"])


def _list_series_nodes(study: Mapping[str, Any]) -> Iterator[Node]:
    for series_uid, series in study.get("Series", {}).items():
        yield Node("Series", series_uid, None, series)
        for instance_uid, instance in series.get("Instances", {}).items():
            yield Node("Instance", series_uid, instance_uid, instance)


# Applying: against the stored document.


def _copy(document: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the nested mappings. Lists are shared: an update replaces them whole."""
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in document.items()}


def _remove(document: dict[str, Any], node: Node) -> None:
    if node.level == "Instance" and not node.content:
        _remove_instance(document, node)
        return
    stored = _find_stored(document, node)
    attributes, vrs = stored["DICOM"], stored.get("DICOMVRs", {})
    _require_same(vrs, node.vrs)
    _require_same(attributes, node.attributes)
    for key in node.attributes:
        del attributes[key]
        vrs.pop(key, None)


def _remove_instance(document: dict[str, Any], node: Node) -> None:
    instances = _find_series(document, node.series).get("Instances", {})
    if node.instance not in instances:
        raise UpdateFailed(INSTANCE_MISSING)
    if len(instances) == 1:
        raise UpdateFailed(LAST_INSTANCE)
    del instances[node.instance]


def _require_same(stored: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    if any(key not in stored or not _is_same(stored[key], _normalize(value)) for key, value in given.items()):
        raise UpdateFailed(ATTRIBUTE_DIFFERS)


def _is_same(stored: Any, given: Any) -> bool:
    """Whether two values are equal. To Python, true is 1."""
    if isinstance(stored, list) and isinstance(given, list):
        return len(stored) == len(given) and all(map(_is_same, stored, given))
    if isinstance(stored, dict) and isinstance(given, dict):
        return stored.keys() == given.keys() and all(_is_same(stored[key], given[key]) for key in stored)
    return isinstance(stored, bool) == isinstance(given, bool) and bool(stored == given)


def _update(document: dict[str, Any], node: Node) -> None:
    stored = _find_stored(document, node)
    attributes = stored["DICOM"]
    added = [key for key in node.attributes if key not in attributes]
    if any(is_private(key) and key not in node.vrs for key in added):
        raise UpdateFailed(VR_MISSING)
    attributes.update((key, _normalize(value)) for key, value in node.attributes.items())
    if node.vrs:
        stored.setdefault("DICOMVRs", {}).update(node.vrs)
    if added:
        stored["DICOM"] = _sort_attributes(node.level, attributes)


def _normalize(value: Any) -> Any:
    return None if value == "" else value


def _sort_attributes(level: Level, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes as an import orders them: by tag in an instance, else by keyword."""
    return {key: attributes[key] for key in sorted(attributes, key=_tag_of if level == "Instance" else None)}


def _tag_of(key: str) -> str:
    attribute = find_attribute(key)
    return key if attribute is None else attribute.tag


def _find_stored(document: dict[str, Any], node: Node) -> dict[str, Any]:
    stored: dict[str, Any]
    if node.level in ("Patient", "Study"):
        stored = document.setdefault(node.level, {})
    else:
        stored = _find_series(document, node.series)
    if node.level == "Instance":
        stored = _find_instance(stored, node.instance)
    stored.setdefault("DICOM", {})
    return stored


def _find_series(document: Mapping[str, Any], uid: str | None) -> dict[str, Any]:
    series: dict[str | None, dict[str, Any]] = document.get("Study", {}).get("Series", {})
    if uid not in series:
        raise UpdateFailed(SERIES_MISSING)
    return series[uid]


def _find_instance(series: Mapping[str, Any], uid: str | None) -> dict[str, Any]:
    instances: dict[str | None, dict[str, Any]] = series.get("Instances", {})
    if uid not in instances:
        raise UpdateFailed(INSTANCE_MISSING)
    return instances[uid]


def _rename(document: dict[str, Any], updates: Updates) -> None:
    """Rename the keys of series and instances after a change of their UID, and keep their order."""
    new_series = _list_new_uids(updates, "Series", "SeriesInstanceUID")
    new_instances = _list_new_uids(updates, "Instance", "SOPInstanceUID")
    if new_instances:
        _rename_instances(document["Study"]["Series"], new_instances)
    if new_series:
        series = document["Study"]["Series"]
        document["Study"]["Series"] = {new_series.get((uid, None), uid): node for uid, node in series.items()}
        if len(document["Study"]["Series"]) < len(series):
            raise UpdateFailed(SERIES_EXISTS)


_Place = tuple[str | None, str | None]
"""Series and instance, as the stored document names them."""


def _list_new_uids(updates: Updates, level: Level, keyword: str) -> dict[_Place, str]:
    nodes = [node for node in list_nodes(updates.updatable) if node.level == level and keyword in node.attributes]
    return {(node.series, node.instance): node.attributes[keyword] for node in nodes}


def _rename_instances(all_series: Mapping[str, Any], new_uids: Mapping[_Place, str]) -> None:
    uids = [new_uids.get((key, uid), uid) for key, series in all_series.items() for uid in series.get("Instances", {})]
    if len(set(uids)) < len(uids):
        raise UpdateFailed(INSTANCE_EXISTS)
    for key, series in all_series.items():
        instances = series.get("Instances", {})
        series["Instances"] = {new_uids.get((key, uid), uid): node for uid, node in instances.items()}
