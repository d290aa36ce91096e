"""The image sets of a seed, which all accounts share; and their number and size, which limits count."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from .imports.seeded import SeededImport
from .records import Datastore, ImageSet
from .search_index import Index, make_entry

ImageSets = Mapping[str, Mapping[str, ImageSet]]
"""Image sets by data store and id."""


class Baseline(dict[str, dict[str, ImageSet]]):
    """Image sets by data store and id, as a seed describes them, and the outcome of imports.

    It is not changed once accounts use it.
    """

    def __init__(
        self,
        image_sets: Mapping[str, dict[str, ImageSet]] | None = None,
        datastores: Mapping[str, Datastore] | None = None,
        imports: Iterable[SeededImport] = (),
    ) -> None:
        super().__init__(image_sets or {})
        self.imports = list(imports)
        self._datastores = dict(datastores or {})
        self._indexes: dict[str, Index] = {}
        self._lock = threading.Lock()

    def add_datastore(self, record: Datastore) -> dict[str, ImageSet]:
        """Set the properties of a data store, and return its image sets; only while a seed is built."""
        self._datastores[record.datastore_id] = record
        return self.setdefault(record.datastore_id, {})

    def datastore(self, datastore_id: str) -> Datastore | None:
        """Return a data store, or None; one without properties of its own is ACTIVE."""
        if datastore_id not in self:
            return None
        return self._datastores.get(datastore_id) or Datastore(datastore_id=datastore_id)

    def index_of(self, datastore_id: str) -> Index:
        """Return the index for searches in a data store, made when it is first needed."""
        with self._lock:
            if datastore_id not in self._indexes:
                entries = map(make_entry, self.get(datastore_id, {}).values())
                self._indexes[datastore_id] = Index(entry for entry in entries if entry is not None)
            return self._indexes[datastore_id]


def measure(image_sets: ImageSets) -> tuple[int, int]:
    """Count data stores, versions and files of seeded imports, and the bytes of their metadata and frames."""
    records = [record for each in image_sets.values() for record in each.values()]
    documents = {id(v.metadata): v.metadata for record in records for v in record.history if v.metadata is not None}
    frames = {id(frame): frame for record in records for frame in record.frames.values()}
    size = sum(len(each.compressed) for each in documents.values()) + sum(map(len, frames.values()))
    imported = [file for each in getattr(image_sets, "imports", ()) for file in each.files.values()]
    size += sum(len(frame) for file in imported if not isinstance(file, str) for frame in file.frames.values())
    return len(image_sets) + count_versions(image_sets) + len(imported), size


def count_versions(image_sets: ImageSets) -> int:
    """Return how many versions all image sets have together."""
    return sum(len(record.history) for records in image_sets.values() for record in records.values())
