"""Data stores, image sets and their versions: a baseline that is never written, and one account's changes over it."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from healthimaging_emulator.aws.errors import ResourceNotFoundException
from healthimaging_emulator.healthimaging.shapes import DatastoreId, ImageSetProperties, timestamp
from healthimaging_emulator.settings import Limits

log = logging.getLogger("emulator")

History = tuple[ImageSetProperties, ...]
"""All versions of one image set, oldest first; replaced whole, so that a reader needs no lock."""

Baseline = Mapping[str, Mapping[str, History]]
"""Histories by data store and image set: what a seed says, shared by all accounts."""


class AlreadyExists(ValueError):
    """An image set that is to be added is there already."""


class Store:
    """One account's view. ``now`` gives epoch seconds: for times that a change leaves out, and for when it is due.

    What it adds to the baseline, and what is to come, has a limit: going beyond raises ``LimitExceeded``.
    """

    def __init__(self, baseline: Baseline, now: Callable[[], float], limits: Limits = Limits()) -> None:
        self._baseline = baseline
        self._changes: dict[str, dict[str, History]] = {}
        self._pending: list[tuple[float, int, Change]] = []
        self._added = 0
        self._scheduled = itertools.count()
        self._now = now
        self._limits = limits
        self._lock = threading.RLock()

    def reset(self, baseline: Baseline | None = None) -> None:
        """Drop all changes, also those that are not yet due; go back to the baseline, or begin with another one."""
        with self._lock:
            self._baseline = self._baseline if baseline is None else baseline
            self._changes, self._pending, self._added = {}, [], 0

    def history(self, datastore_id: str, image_set_id: str) -> History:
        """Return an image set's versions. Raises ``ResourceNotFoundException``."""
        self._settle()
        return self._history(datastore_id, image_set_id)

    def _history(self, datastore_id: str, image_set_id: str) -> History:
        changed = self._changes.get(datastore_id, {}).get(image_set_id)
        if changed is not None:
            return changed
        if datastore_id not in self._baseline and datastore_id not in self._changes:
            raise ResourceNotFoundException(f"Datastore {datastore_id} was not found.")
        history = self._baseline.get(datastore_id, {}).get(image_set_id)
        if history is None:
            message = ResourceNotFoundException.message.format(imageSetId=image_set_id, datastoreId=datastore_id)
            raise ResourceNotFoundException(message)
        return history

    def histories(self) -> dict[str, dict[str, History]]:
        """Return all there is, by data store and image set."""
        with self._lock:
            self._settle()
            return {
                datastore_id: {**self._baseline.get(datastore_id, {}), **self._changes.get(datastore_id, {})}
                for datastore_id in {**self._baseline, **self._changes}
            }

    def merge(self, added: Baseline) -> None:
        """Add image sets, all or none. Raises ``AlreadyExists``."""
        with self._lock:
            for datastore_id, image_sets in added.items():
                known = self._baseline.get(datastore_id, {}), self._changes.get(datastore_id, {})
                for image_set_id in image_sets:
                    if any(image_set_id in each for each in known):
                        raise AlreadyExists(f"image set {image_set_id} is in data store {datastore_id} already")
            new = [id for id in added if id not in self._baseline and id not in self._changes]
            self._grow(len(new) + sum(len(history) for image_sets in added.values() for history in image_sets.values()))
            for datastore_id, image_sets in added.items():
                self._changes.setdefault(datastore_id, {}).update(image_sets)

    def add(self, datastore_id: str, image_set_id: str, **members: Any) -> None:
        """Add an image set with its version 1, and its data store where that is new.

        Left out, the version is ACTIVE, CREATED, and created now. Raises ``AlreadyExists``.
        """
        defaults = {"image_set_state": "ACTIVE", "image_set_workflow_status": "CREATED", "created_at": self._now()}
        version = _checked({"image_set_id": image_set_id, "version_id": "1"} | defaults | members)
        msgspec.convert(datastore_id, DatastoreId)
        self.merge({datastore_id: {image_set_id: (version,)}})

    def append(
        self, datastore_id: str, image_set_id: str, *, after: float = 0.0, **members: Any
    ) -> ImageSetProperties | None:
        """Add the next version and return it, or None if it appears only in ``after`` seconds.

        Members are those of ``ImageSetProperties``, in Python's spelling. Left out, ``version_id`` is the next number,
        ``created_at`` the image set's, and ``updated_at`` the time when the version appears. Raises
        ``ResourceNotFoundException``, and ``ValueError`` or ``TypeError`` for members that break the model.
        """
        if after and "version_id" in members:
            raise ValueError("a version that appears later numbers itself")

        def change(history: History, now: float) -> History:
            last = history[-1]
            version = _follower(history, {"version_id": str(last.number + 1)} | members, now)
            if version.number <= last.number:
                raise ValueError(f"version {version.version_id} does not follow {last.version_id}")
            return (*history, version)

        changed = self._change(Change(datastore_id, image_set_id, change, adds=1), after)
        return changed[-1] if changed else None

    def replace(
        self, datastore_id: str, image_set_id: str, version_id: str, *, after: float = 0.0, **members: Any
    ) -> ImageSetProperties | None:
        """Put another version in the place of one, whole; return it, or None if that is in ``after`` seconds.

        Raises ``LookupError`` where the image set has no such version; see ``append`` for the rest.
        """

        def change(history: History, now: float) -> History:
            if all(each.version_id != version_id for each in history):
                raise LookupError(f"image set {image_set_id} has no version {version_id}")
            version = _follower(history, {"version_id": version_id} | members, now)
            return tuple(version if each.version_id == version_id else each for each in history)

        changed = self._change(Change(datastore_id, image_set_id, change, adds=0), after)
        return next((each for each in changed or () if each.version_id == version_id), None)

    def _change(self, change: Change, after: float) -> History | None:
        if not after >= 0:
            raise ValueError("a change comes after 0 seconds or more")
        with self._lock:
            self._settle()
            due = timestamp(self._now() + after)
            changed = change.make(self._expected(change, due), due)
            if after > 0:
                self._limits.check("pending", len(self._pending) + 1)
            self._grow(change.adds)
            if after > 0:  # it can be made, and will be
                heapq.heappush(self._pending, (due, next(self._scheduled), change))
                return None
            self._changes.setdefault(change.datastore_id, {})[change.image_set_id] = changed
            return changed

    def _grow(self, count: int) -> None:
        self._limits.check("versions", self._added + count)
        self._added += count

    def _expected(self, change: Change, due: float) -> History:
        """Return the history that a change will meet: with what is to come before it."""
        history = self._history(change.datastore_id, change.image_set_id)
        for before, _, each in sorted(self._pending):
            if before <= due and (each.datastore_id, each.image_set_id) == (change.datastore_id, change.image_set_id):
                history = each.make(history, before)
        return history

    def _settle(self) -> None:
        """Make the changes that are due."""
        if not self._pending:
            return
        with self._lock:
            now = self._now()
            while self._pending and self._pending[0][0] <= now:
                due, _, change = heapq.heappop(self._pending)
                try:
                    changed = change.make(self._history(change.datastore_id, change.image_set_id), due)
                except (LookupError, ValueError) as error:  # another change has come between
                    log.warning("a change that was due could not be made: %s", error)
                    self._added -= change.adds
                    continue
                self._changes.setdefault(change.datastore_id, {})[change.image_set_id] = changed


class Change(NamedTuple):
    """A new history of an image set, made from the old one and the time, and how many versions that ``adds``."""

    datastore_id: str
    image_set_id: str
    make: Callable[[History, float], History]
    adds: int


def _follower(history: History, members: dict[str, Any], now: float) -> ImageSetProperties:
    """Build a version of a history that there is: what members leave out comes from its first version and the time."""
    first = history[0]
    defaults = {"image_set_id": first.image_set_id, "created_at": first.created_at}
    if members["version_id"] != first.version_id:
        defaults["updated_at"] = now
    return _checked(defaults | members)


def _checked(members: dict[str, Any]) -> ImageSetProperties:
    """Build a version that keeps the model's constraints, which msgspec checks only where it converts."""
    times = {name: timestamp(time) for name, time in members.items() if name.endswith("_at") and time is not None}
    version = ImageSetProperties(**(members | times))
    return msgspec.convert(msgspec.to_builtins(version), ImageSetProperties)
