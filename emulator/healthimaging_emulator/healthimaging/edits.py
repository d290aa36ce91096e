"""Changes that a test makes to the image sets of an account, now or later.

They go by no rule of the service: a test may append, replace and remove any version. A change that is due later is
checked when it is asked for, and made when it is due.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import structs

from ..clock import Clock, Moment, duration
from ..errors import ConflictError, EmulatorError, InvalidError, NotFoundError
from ..settings import Settings
from .baseline import Baseline, measure
from .history import History
from .records import Datastore, ImageSet, Version, check_ids, check_version, find_version, read_metadata
from .transitions import Key

if TYPE_CHECKING:
    from .store import Store

log = logging.getLogger("healthimaging_emulator")


class Edits:
    """Edits of the image sets of a store, under its lock.

    Raises ``LimitExceededError`` for more versions or waiting edits than the settings allow.
    """

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    def reset(self) -> None:
        """Drop all edits that wait."""
        self._waiting: dict[Key, list[_Edit]] = {}

    @property
    def pending(self) -> int:
        """How many edits wait until they are due."""
        return sum(map(len, self._waiting.values()))

    def merge(self, added: Baseline) -> None:
        """Add data stores, image sets and the outcome of imports, all or none.

        A data store that is there keeps its properties. Raises ``ConflictError`` for an image set, or the outcome of an
        import, that is there.
        """
        store = self._store
        with store.hold():
            for datastore_id, image_sets in added.items():
                for image_set_id in image_sets:
                    if store.find(datastore_id, image_set_id) is not None:
                        raise ConflictError(f"image set {image_set_id} is in data store {datastore_id} already")
            for each in added.imports:
                if store.find_seeded_import(each.input_s3_uri) is not None:
                    raise ConflictError(f"there is an import of {each.input_s3_uri} already")
            new = [datastore_id for datastore_id in added if store.find_datastore(datastore_id) is None]
            versions, size = measure(added)
            store.add_up(versions - len(added) + len(new), size)
            for datastore_id in new:
                store.put_datastore(added.datastore(datastore_id) or Datastore(datastore_id=datastore_id))
            store.add_imports(added.imports)
            store.put(*(record for image_sets in added.values() for record in image_sets.values()))

    def add(self, datastore_id: str, image_set_id: str, members: Mapping[str, Any]) -> None:
        """Add an image set with its version 1, and its data store if that is new.

        By default the version is ACTIVE, CREATED, and created now. Raises ``ConflictError``.
        """
        now = self._clock.now()
        defaults = {
            "version_id": "1",
            "image_set_state": "ACTIVE",
            "image_set_workflow_status": "CREATED",
            "created_at": now,
        }
        check_ids(datastore_id, image_set_id)
        version = check_version(defaults | dict(members), datastore_id, image_set_id)
        record = ImageSet(datastore_id=datastore_id, image_set_id=image_set_id, history=History.of([version]))
        datastore = Datastore(datastore_id=datastore_id, created_at=now, updated_at=now)
        self.merge(Baseline({datastore_id: {image_set_id: record}}, {datastore_id: datastore}))

    def append(self, key: Key, after: float, members: Mapping[str, Any]) -> Version | None:
        """Add the next version and return it, or None if it appears only in ``after`` seconds.

        By default ``version_id`` is the next number, ``created_at`` that of the image set, and ``updated_at`` the time
        when the version appears. Raises ``ResourceNotFoundException`` and ``InvalidError``.
        """
        if after and "version_id" in members:
            raise InvalidError("version_id cannot be combined with after: the version gets the next number")

        members, size = _measure_metadata(key, members)

        def make(history: History[Version], date: float) -> History[Version]:
            last = history[-1]
            version = _follow(key, history, {"version_id": str(last.number + 1)} | dict(members), date)
            if version.number <= last.number:
                raise InvalidError(f"invalid version_id {version.version_id!r}: expected more than {last.version_id}")
            if version.number > last.number + 1:
                log.warning("version %s follows %s: AWS skips no number", version.version_id, last.version_id)
            return history.append(version)

        changed = self._schedule(_Edit(key, make, 1, size), after)
        return changed[-1] if changed else None

    def replace(self, key: Key, version_id: str, after: float, members: Mapping[str, Any]) -> Version | None:
        """Replace a version completely; return the new one, or None if that happens in ``after`` seconds.

        Raises ``NotFoundError`` if there is no such version; see ``append`` for the rest.
        """
        if not isinstance(version_id, str):
            raise InvalidError(f"invalid version_id {version_id!r}: expected a string of digits")
        if members.get("version_id", version_id) != version_id:
            raise InvalidError(f"invalid version_id {members['version_id']!r}: expected {version_id}, or none")

        members, size = _measure_metadata(key, members)

        def make(history: History[Version], date: float) -> History[Version]:
            found = _expect_version(key, history, version_id)
            version = _follow(key, history, {"version_id": version_id} | dict(members), date)
            index = history.index_of(found.number)
            return history.replace_last(version) if index == len(history) - 1 else history.replace(index, version)

        changed = self._schedule(_Edit(key, make, 0, size), after)
        return changed.find(int(version_id)) if changed else None

    def remove(self, key: Key) -> None:
        """Remove an image set as if it had never been. Raises ``ResourceNotFoundException``."""
        with self._store.hold():
            self._store.settle(self._clock.read())
            self._store.remove(*key)
            for edit in self._waiting.pop(key, ()):
                edit.is_over = True
                self._store.add_up(-edit.versions, -edit.size)

    def remove_version(self, key: Key, version_id: str) -> None:
        """Remove a version as if it had never been.

        Raises ``NotFoundError`` if there is no such version, and ``InvalidError`` for the only one.
        """

        def make(history: History[Version], _: float) -> History[Version]:
            found = _expect_version(key, history, version_id)
            if len(history) == 1:
                raise InvalidError(f"version {version_id} is the only one: remove the image set")
            return History.of(version for version in history if version is not found)

        original = self._store.find_original(key)
        is_added = original is None or original.version(version_id) is None
        self._schedule(_Edit(key, make, -1 if is_added else 0, 0), 0)

    def _schedule(self, edit: _Edit, after: float) -> History[Version] | None:
        """Make an edit now, or check that it can be made later and schedule it."""
        wait, store = duration("after", after), self._store
        with store.hold():
            moment = self._clock.read()
            store.settle(moment)
            edit.due = moment.elapsed + wait
            history = edit.make(self._foresee(edit, moment), moment.date_of(edit.due))
            if wait:
                self._settings.check_limit("pending", self.pending + 1)
            store.add_up(edit.versions, edit.size)
            if not wait:
                self._replace_history(edit.key, history)
                return history
            store.schedule(edit.due, edit, partial(self._carry_out, edit))
            self._waiting.setdefault(edit.key, []).append(edit)
            return None

    def _foresee(self, edit: _Edit, moment: Moment) -> History[Version]:
        """Return the history as it will be when an edit is due, after the earlier edits of its image set."""
        history = self._store.image_set(*edit.key).history
        for before in sorted(self._waiting.get(edit.key, ()), key=lambda each: each.due):
            if before.due <= edit.due:
                history = before.make(history, moment.date_of(before.due))
        return history

    def _carry_out(self, edit: _Edit, date: float) -> None:
        if edit.is_over:
            return
        waiting = self._waiting[edit.key]
        waiting.remove(edit)
        if not waiting:
            del self._waiting[edit.key]
        try:
            self._replace_history(edit.key, edit.make(self._store.image_set(*edit.key).history, date))
        except EmulatorError as error:  # another edit has come between
            log.warning("a change that was due could not be made: %s", error)
            self._store.add_up(-edit.versions, -edit.size)

    def _replace_history(self, key: Key, history: History[Version]) -> None:
        record = self._store.image_set(*key)
        transition = record.transition if history[-1] is record.latest else None
        self._store.put(structs.replace(record, history=history, transition=transition))
        if record.transition is not transition:
            self._store.drop_unseen(record.transition)


@dataclass(eq=False)
class _Edit:
    """An edit of one image set: a new history, made from the old one and the date."""

    key: Key
    make: Callable[[History[Version], float], History[Version]]
    versions: int
    size: int
    due: float = 0.0
    is_over: bool = False


def _measure_metadata(key: Key, members: Mapping[str, Any]) -> tuple[Mapping[str, Any], int]:
    """Return members with their metadata as a document, and its size in bytes."""
    metadata = read_metadata(members.get("metadata"), *key)
    if metadata is None:
        return members, 0
    return {**members, "metadata": metadata}, len(metadata.compressed)


def _expect_version(key: Key, history: History[Version], version_id: str) -> Version:
    found = find_version(history, version_id)
    if found is None:
        raise NotFoundError(f"image set {key[1]} has no version {version_id}")
    return found


def _follow(key: Key, history: History[Version], members: dict[str, Any], date: float) -> Version:
    """Build a version of a history. Missing members come from its first version and the date."""
    first = history[0]
    defaults: dict[str, Any] = {"created_at": first.created_at}
    if members["version_id"] != first.version_id:
        defaults["updated_at"] = date
    return check_version(defaults | members, *key)
