"""Handles to data stores and image sets of an account in this process."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msgspec import structs

from .errors import NotFoundError
from .healthimaging.messages import version_not_found
from .healthimaging.metadata import metadata_of
from .healthimaging.records import ImageSet, NewVersionMembers, Version, VersionMembers
from .healthimaging.shapes.image_set import ImageSetState
from .healthimaging.store import Store

if TYPE_CHECKING:
    from typing_extensions import Unpack


class DatastoreHandle:
    """One data store of an account; see ``DatastoreInterface``."""

    def __init__(self, store: Store, datastore_id: str) -> None:
        store.require_datastore(datastore_id)
        self._store = store
        self.datastore_id = datastore_id

    @property
    def image_sets(self) -> Iterator[ImageSetHandle]:
        """All image sets in the order of their ids."""
        for record in sorted(self._store.current_image_sets(self.datastore_id), key=_id_of):
            if self._store.find(self.datastore_id, record.image_set_id) is not None:
                yield self.image_set(record.image_set_id)

    def list_image_sets(self, after: str, size: int, search: str = "") -> list[ImageSet]:
        """Return the next ``size`` image sets after an id, in the order of the ids.

        ``search`` is a text that the id, the state, the status or a DICOM attribute must contain, in any case.
        """
        records = self._store.current_image_sets(self.datastore_id)
        text = search.strip().casefold()
        found = (each for each in records if each.image_set_id > after and (not text or _contains(each, text)))
        return heapq.nsmallest(size, found, key=_id_of)

    def image_set(self, image_set_id: str) -> ImageSetHandle:
        """Return a handle. Raises ``NotFoundError`` if there is no such image set."""
        return ImageSetHandle(self._store, self.datastore_id, image_set_id)

    def add_image_set(self, image_set_id: str, **members: Unpack[NewVersionMembers]) -> ImageSetHandle:
        """See ``DatastoreInterface``."""
        self._store.edits.add(self.datastore_id, image_set_id, members)
        return self.image_set(image_set_id)


def _contains(record: ImageSet, text: str) -> bool:
    latest = record.latest
    values = [record.image_set_id, latest.image_set_state, latest.image_set_workflow_status]
    values += structs.astuple(latest.metadata.tags) if latest.metadata else []
    return any(text in value.casefold() for value in values if isinstance(value, str))


def _id_of(record: ImageSet) -> str:
    return record.image_set_id


class ImageSetHandle:
    """One image set of an account; see ``ImageSetInterface``."""

    def __init__(self, store: Store, datastore_id: str, image_set_id: str) -> None:
        self._store = store
        self._key = datastore_id, image_set_id
        self.datastore_id, self.image_set_id = self._key
        store.current(self._key)

    @property
    def record(self) -> ImageSet:
        """The image set as it is now."""
        return self._store.current(self._key)

    @property
    def state(self) -> ImageSetState:
        """The state of the latest version."""
        return self.record.latest.image_set_state

    @property
    def versions(self) -> tuple[Version, ...]:
        """All versions, newest first."""
        return self.record.history[:][::-1]

    def metadata(self, version_id: str | None = None) -> dict[str, Any]:
        """See ``ImageSetInterface``."""
        record = self.record
        if record.latest.image_set_state == "DELETED":
            raise NotFoundError(f"image set {self.image_set_id} is deleted: it has no metadata")
        version = record.version(version_id)
        if version is None:
            raise version_not_found(str(version_id), self.image_set_id)
        return metadata_of(version, *self._key).parse()

    def append(self, *, after: float = 0.0, **members: Unpack[NewVersionMembers]) -> Version | None:
        """See ``ImageSetInterface``."""
        return self._store.edits.append(self._key, after, members)

    def replace(self, version_id: str, *, after: float = 0.0, **members: Unpack[VersionMembers]) -> Version | None:
        """See ``ImageSetInterface``."""
        return self._store.edits.replace(self._key, version_id, after, members)

    def remove_version(self, version_id: str) -> None:
        """See ``ImageSetInterface``."""
        self._store.edits.remove_version(self._key, version_id)

    def remove(self) -> None:
        """See ``ImageSetInterface``."""
        self._store.edits.remove(self._key)

    def finish(self) -> None:
        """See ``ImageSetInterface``."""
        if transition := self.record.transition:
            self._store.finish(transition)
