"""Group imported instances into image sets.

There is one image set for each series. It is primary, unless one of the seven attributes that group conflicts with the
primary image sets of the data store; then it is one of its own, and not primary. If the series has a primary image set
already and nothing conflicts, the instances join it. The rules are those of AWS's developer guide.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..dicom_tags import read_tags
from ..records import ImageSet
from ..search_index import Query
from ..shapes.search import DICOMTags
from ..store import Store
from .instance import Instance, make_document

Elements = tuple[object, ...]
"""The values of the attributes that group."""


class Group(NamedTuple):
    """Instances of one series that agree, by their files, and the primary image set that they join, if there is one."""

    instances: dict[str, Instance]
    is_primary: bool
    target: ImageSet | None


def split_series(instances: dict[str, Instance]) -> list[dict[str, Instance]]:
    """Split instances, by their files, into groups that agree in all attributes that group."""
    groups: dict[Elements, dict[str, Instance]] = {}
    for key, instance in instances.items():
        tags = read_tags(make_document([instance]))
        groups.setdefault((*_study_elements(tags), *_series_elements(tags)), {})[key] = instance
    return list(groups.values())


def find_group(store: Store, datastore_id: str, instances: dict[str, Instance]) -> Group:
    """Say whether instances of one series are primary, and which image set they join."""
    tags = read_tags(make_document(list(instances.values())[:1]))
    same_series = _find_primaries(store, datastore_id, "series_instance_uid", tags.series_instance_uid)
    if same_series:
        found = same_series[0].latest.metadata
        agrees = found is not None and _all_elements(found.tags) == _all_elements(tags)
        return Group(instances, is_primary=agrees, target=same_series[0] if agrees else None)
    same_study = _find_primaries(store, datastore_id, "study_instance_uid", tags.study_instance_uid)
    conflicts = any(
        each.latest.metadata is None or _study_elements(each.latest.metadata.tags) != _study_elements(tags)
        for each in same_study
    )
    return Group(instances, is_primary=not conflicts, target=None)


def _find_primaries(store: Store, datastore_id: str, attribute: str, value: str | None) -> list[ImageSet]:
    query = Query((("is_primary", True), (attribute, value)))
    found = store.search(datastore_id, query, None, 100)
    return [store.image_set(datastore_id, entry.image_set_id) for entry in found]


def _study_elements(tags: DICOMTags) -> Elements:
    return tags.patient_id, tags.study_date, tags.accession_number, tags.study_instance_uid, tags.study_id


def _series_elements(tags: DICOMTags) -> Elements:
    return tags.series_instance_uid, tags.series_number


def _all_elements(tags: DICOMTags) -> Elements:
    return (*_study_elements(tags), *_series_elements(tags))


def merge_documents(stored: dict[str, object], instances: Iterable[Instance]) -> dict[str, object]:
    """Return a stored document with instances added, or put in the place of those of the same UID."""
    study = dict(stored.get("Study") or {})  # type: ignore[call-overload]
    all_series = dict(study.get("Series") or {})
    for instance in instances:
        series = dict(all_series.get(instance.series_uid) or {"DICOM": instance.series})
        series["Instances"] = {**series.get("Instances", {}), instance.uid: instance.content}
        all_series[instance.series_uid] = series
    return {**stored, "Study": {**study, "Series": all_series}}
