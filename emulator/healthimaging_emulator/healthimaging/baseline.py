"""The image sets of a seed, which all accounts share."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from .records import ImageSet
from .search_index import Index, make_entry


class Baseline(dict[str, dict[str, ImageSet]]):
    """Image sets by data store and id, as a seed describes them. It is not changed once accounts use it."""

    def __init__(self, image_sets: Mapping[str, dict[str, ImageSet]] | None = None) -> None:
        super().__init__(image_sets or {})
        self._indexes: dict[str, Index] = {}
        self._lock = threading.Lock()

    def index_of(self, datastore_id: str) -> Index:
        """Return the index for searches in a data store, made when it is first needed."""
        with self._lock:
            if datastore_id not in self._indexes:
                entries = map(make_entry, self.get(datastore_id, {}).values())
                self._indexes[datastore_id] = Index(entry for entry in entries if entry is not None)
            return self._indexes[datastore_id]
