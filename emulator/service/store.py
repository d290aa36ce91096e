"""Data stores, image sets and their versions: a baseline that is never written, and one account's changes over it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from .errors import ResourceNotFoundException
from .shapes import DatastoreId, ImageSetProperties, timestamp

History = tuple[ImageSetProperties, ...]
"""All versions of one image set, oldest first; replaced whole, so that a reader needs no lock."""

Baseline = Mapping[str, Mapping[str, History]]
"""Histories by data store and image set: what a seed says, shared by all accounts."""


class Store:
    """One account's view. ``now`` gives epoch seconds for the times that a change leaves out."""

    def __init__(self, baseline: Baseline, now: Callable[[], float]) -> None:
        self._baseline = baseline
        self._changes: dict[str, dict[str, History]] = {}
        self._now = now
        self._lock = threading.Lock()

    def history(self, datastore_id: str, image_set_id: str) -> History:
        """Return an image set's versions. Raises ``ResourceNotFoundException``."""
        changed = self._changes.get(datastore_id, {}).get(image_set_id)
        if changed is not None:
            return changed
        if datastore_id not in self._baseline and datastore_id not in self._changes:
            raise ResourceNotFoundException(f"Datastore {datastore_id} was not found.")
        history = self._baseline.get(datastore_id, {}).get(image_set_id)
        if history is None:
            raise ResourceNotFoundException(f"ImageSet {image_set_id} was not found in Datastore {datastore_id}.")
        return history

    def add(self, datastore_id: str, image_set_id: str, **members: Any) -> ImageSetProperties:
        """Add an image set with its version 1, and its data store where that is new; return the version.

        Left out, the version is ACTIVE, CREATED, and created now. Raises ``ValueError`` if the image set is there.
        """
        defaults = {"image_set_state": "ACTIVE", "image_set_workflow_status": "CREATED", "created_at": self._now()}
        version = _checked({"image_set_id": image_set_id, "version_id": "1"} | defaults | members)
        msgspec.convert(datastore_id, DatastoreId)
        with self._lock:
            known = self._baseline.get(datastore_id, {}), self._changes.get(datastore_id, {})
            if any(image_set_id in image_sets for image_sets in known):
                raise ValueError(f"image set {image_set_id} is in data store {datastore_id} already")
            self._changes.setdefault(datastore_id, {})[image_set_id] = (version,)
        return version

    def append(self, datastore_id: str, image_set_id: str, **members: Any) -> ImageSetProperties:
        """Add the next version and return it. Members are those of ``ImageSetProperties``, in Python's spelling.

        Left out, ``version_id`` is the next number, ``created_at`` the image set's and ``updated_at`` the time now.
        Raises ``ResourceNotFoundException``, and ``ValueError`` or ``TypeError`` for members that break the model.
        """
        with self._lock:
            history = self.history(datastore_id, image_set_id)
            members = {"version_id": str(history[-1].number + 1)} | members
            version = self._version(history, members)
            if version.number <= history[-1].number:
                raise ValueError(f"version {version.version_id} does not follow {history[-1].version_id}")
            self._changes.setdefault(datastore_id, {})[image_set_id] = (*history, version)
            return version

    def replace(self, datastore_id: str, image_set_id: str, version_id: str, **members: Any) -> ImageSetProperties:
        """Put another version in the place of one, whole, and return it; defaults and errors are those of ``append``.

        Raises ``ValueError`` where the image set has no such version.
        """
        with self._lock:
            history = self.history(datastore_id, image_set_id)
            version = self._version(history, {"version_id": version_id} | members)
            if all(each.version_id != version_id for each in history):
                raise ValueError(f"image set {image_set_id} has no version {version_id}")
            changed = tuple(version if each.version_id == version_id else each for each in history)
            self._changes.setdefault(datastore_id, {})[image_set_id] = changed
            return version

    def _version(self, history: History, members: dict[str, Any]) -> ImageSetProperties:
        first = history[0]
        defaults = {"image_set_id": first.image_set_id, "created_at": first.created_at}
        if members["version_id"] != first.version_id:
            defaults["updated_at"] = self._now()
        return _checked(defaults | members)


def _checked(members: dict[str, Any]) -> ImageSetProperties:
    """Build a version that keeps the model's constraints, which msgspec checks only where it converts."""
    times = {name: timestamp(time) for name, time in members.items() if name.endswith("_at") and time is not None}
    version = ImageSetProperties(**(members | times))
    return msgspec.convert(msgspec.to_builtins(version), ImageSetProperties)
