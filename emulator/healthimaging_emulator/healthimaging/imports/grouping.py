"""Group imported instances into image sets.

There is one image set for each series. It is primary, unless one of the seven attributes that group conflicts with the
primary image sets of the data store; then it is one of its own, and not primary. If the series has a primary image set
already and nothing conflicts, the instances join it. The rules are those of AWS's developer guide.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..copies import group_values, study_values
from ..dicom_tags import read_tags
from ..records import ImageSet
from ..search_index import Query
from ..store import Store
from .instance import Instance, make_document


class Group(NamedTuple):
    """Instances of one series that agree, by their files, and the primary image set that they join, if there is one."""

    instances: dict[str, Instance]
    is_primary: bool
    target: ImageSet | None


def split_series(instances: dict[str, Instance]) -> list[dict[str, Instance]]:
    """Split instances, by their files, into groups that agree in all attributes that group."""
    groups: dict[tuple[object, ...], dict[str, Instance]] = {}
    for key, instance in instances.items():
        tags = read_tags(make_document([instance]))
        groups.setdefault(group_values(tags), {})[key] = instance
    return list(groups.values())


def find_group(store: Store, datastore_id: str, instances: dict[str, Instance]) -> Group:
    """Say whether instances of one series are primary, and which image set they join."""
    tags = read_tags(make_document(list(instances.values())[:1]))
    same_series = _find_primaries(store, datastore_id, "series_instance_uid", tags.series_instance_uid)
    if same_series:
        found = same_series[0].latest.metadata
        agrees = found is not None and group_values(found.tags) == group_values(tags)
        return Group(instances, is_primary=agrees, target=same_series[0] if agrees else None)
    same_study = _find_primaries(store, datastore_id, "study_instance_uid", tags.study_instance_uid)
    conflicts = any(
        each.latest.metadata is None or study_values(each.latest.metadata.tags) != study_values(tags)
        for each in same_study
    )
    return Group(instances, is_primary=not conflicts, target=None)


def _find_primaries(store: Store, datastore_id: str, attribute: str, value: str | None) -> list[ImageSet]:
    if value is None:  # not a UID, so nothing can be found by it
        return []
    query = Query((("is_primary", True), (attribute, value)))
    found = store.search(datastore_id, query, None, 100)
    records = (store.find(datastore_id, entry.image_set_id) for entry in found)
    return [record for record in records if record is not None]  # None: removed meanwhile


def find_deleted(store: Store, datastore_id: str, instances: dict[str, Instance]) -> set[str]:
    """Return the files of instances that are in an image set of their series that was deleted."""
    uids: set[str] = set()
    wanted = {instance.series_uid for instance in instances.values()}
    for record in store.image_sets_of(datastore_id):
        metadata = record.latest.metadata
        is_deleted = record.latest.image_set_workflow_status in ("DELETING", "DELETED")
        if is_deleted and metadata is not None and metadata.series_instance_uids & wanted:
            for series in metadata.parse()["Study"]["Series"].values():
                uids |= series.get("Instances", {}).keys()
    return {key for key, instance in instances.items() if instance.uid in uids}


def merge_documents(stored: dict[str, Any], instances: Iterable[Instance]) -> dict[str, Any]:
    """Return a stored document with instances added, or put in the place of those of the same UID."""
    study = dict(stored.get("Study", {}))
    all_series = dict(study.get("Series", {}))
    for instance in instances:
        series = dict(all_series.get(instance.series_uid) or {"DICOM": instance.series})
        series["Instances"] = {**series.get("Instances", {}), instance.uid: instance.content}
        all_series[instance.series_uid] = series
    return {**stored, "Study": {**study, "Series": all_series}}
