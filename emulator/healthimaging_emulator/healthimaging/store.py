"""Data stores and image sets: a baseline that is never written, and one account's changes over it.

Invariants. The baseline is shared by all accounts. Records are frozen and replaced whole, so a reader takes one without
a lock and sees one moment. All writing happens under ``_lock``: a change checks and writes in one step, and an
exception inside it leaves nothing behind. The time that an operation holds the lock does not grow with the length of a
history or the number of image sets; only a test that replaces an older version copies the history.

Order. Changes that are due later, and transitions with a due time, lie in one heap by the elapsed time of the account's
clock. ``settle`` carries out everything that is due; every request begins with it. The lock of the clock is taken
inside this one, never the other way round.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import msgspec
from msgspec import structs

from ..clock import Clock, Moment, duration
from ..errors import ConflictError, EmulatorError, InvalidError, NotFoundError
from ..settings import Settings
from .baseline import Baseline
from .history import History
from .messages import datastore_not_found, image_set_locked, image_set_not_found, not_latest
from .metadata import Metadata
from .records import ImageSet, Version, check_version, read_metadata
from .search_index import AccountIndex, Entry, Query, Rank
from .shapes.identifiers import DatastoreId, ImageSetId
from .transitions import Key, Pace, Transition

log = logging.getLogger("healthimaging_emulator")

ImageSets = Mapping[str, Mapping[str, ImageSet]]
"""Image sets by data store and id."""


class Store:
    """One account's image sets. Raises ``LimitExceededError`` for more versions or changes than the settings allow."""

    def __init__(self, baseline: Baseline, clock: Clock, settings: Settings) -> None:
        self._baseline = baseline
        self._clock = clock
        self._settings = settings
        self._lock = threading.RLock()
        self._count = itertools.count()
        self._transitions: dict[Transition, None] = {}
        self.reset()

    def reset(self, baseline: Baseline | None = None) -> None:
        """Drop all changes, also those that are due later; keep the baseline, or begin with another one."""
        with self._lock:
            self._baseline = self._baseline if baseline is None else baseline
            self._changed: dict[str, dict[str, ImageSet]] = {}
            self._indexes: dict[str, tuple[AccountIndex, set[str]]] = {}
            self._scheduled: list[tuple[float, int, _Scheduled | Transition]] = []
            self._waiting: dict[Key, list[_Scheduled]] = {}
            for transition in self._transitions:
                transition.is_over = True  # so that a request that has seen it reads again
            self._transitions = {}
            self._accessed: dict[Key, float] = {}
            self._added = self._added_bytes = 0

    # Reading.

    def image_set(self, datastore_id: str, image_set_id: str) -> ImageSet:
        """Return an image set. Raises ``ResourceNotFoundException``."""
        found = self._find(datastore_id, image_set_id)
        if found is None:
            self._require_datastore(datastore_id)
            raise image_set_not_found(datastore_id, image_set_id)
        return found

    def _find(self, datastore_id: str, image_set_id: str) -> ImageSet | None:
        changed = self._changed.get(datastore_id, {}).get(image_set_id)
        return self._baseline.get(datastore_id, {}).get(image_set_id) if changed is None else changed

    def _require_datastore(self, datastore_id: str) -> None:
        if datastore_id not in self._baseline and datastore_id not in self._changed:
            raise datastore_not_found(datastore_id)

    def current(self, key: Key) -> ImageSet:
        """Return an image set as it is now, outside of a request. Raises ``ResourceNotFoundException``."""
        self.settle(self._clock.read())
        return self.image_set(*key)

    def image_sets(self) -> dict[str, dict[str, ImageSet]]:
        """Return all image sets, by data store and id."""
        with self._lock:
            self.settle(self._clock.read())
            return {
                datastore_id: {**self._baseline.get(datastore_id, {}), **self._changed.get(datastore_id, {})}
                for datastore_id in {**self._baseline, **self._changed}
            }

    def image_sets_of(self, datastore_id: str) -> Iterator[ImageSet]:
        """Return the image sets of one data store: first the unchanged ones, then the ones the account has changed."""
        changed = dict(self._changed.get(datastore_id, {}))
        unchanged = (each for id, each in self._baseline.get(datastore_id, {}).items() if id not in changed)
        return itertools.chain(unchanged, changed.values())

    def search(self, datastore_id: str, query: Query, after: Rank | None, size: int) -> list[Entry]:
        """Return at most ``size`` image sets that a query finds, behind a place.

        Raises ``ResourceNotFoundException``.
        """
        self._require_datastore(datastore_id)
        return self._index_of(datastore_id).find(query, after, size)

    def _index_of(self, datastore_id: str) -> AccountIndex:
        """Return the index of a data store; from now on, writes note the ids that they change."""
        baseline = self._baseline
        shared = baseline.index_of(datastore_id)  # which may take its time, so without the lock
        with self._lock:
            if datastore_id not in self._indexes and baseline is self._baseline:
                changed = set(self._changed.get(datastore_id, ()))
                index = AccountIndex(shared, partial(self._find, datastore_id), partial(self._take_changed, changed))
                self._indexes[datastore_id] = index, changed
            found = self._indexes.get(datastore_id)
        return found[0] if found else self._index_of(datastore_id)  # a reset has come between

    def _take_changed(self, changed: set[str]) -> set[str]:
        with self._lock:
            taken = changed.copy()
            changed.clear()
            return taken

    def last_accessed(self, key: Key) -> float | None:
        """Return when the metadata or a frame of an image set was last read."""
        return self._accessed.get(key)

    def touch(self, key: Key, date: float) -> None:
        """Note that the metadata or a frame of an image set was read."""
        self._accessed[key] = date

    # Operations.

    @contextmanager
    def change(self, met: set[Transition]) -> Iterator[Change]:
        """Check and write in one step: the changes are committed if the block ends without an exception.

        If the change is refused because of a transition, this transition is added to ``met``.
        """
        with self._lock:
            moment = self._clock.read()  # under the lock, so that the dates of versions never go back
            self.settle(moment)
            change = Change(self, moment, met)
            yield change
            self._add_up(change.added, change.added_bytes)
            self._put(*[draft.record for draft in change.drafts.values()])
            if change.transition is not None:
                self._begin(change.transition, change.pace, moment)

    def settle(self, moment: Moment) -> None:
        """Carry out everything that is due."""
        if not self._scheduled or self._scheduled[0][0] > moment.elapsed:
            return
        with self._lock:
            while self._scheduled and self._scheduled[0][0] <= moment.elapsed:
                due, _, each = heapq.heappop(self._scheduled)
                date = moment.date_of(due)
                if isinstance(each, Transition):
                    self._end(each, date)
                else:
                    self._carry_out(each, date)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep everybody else from writing."""
        with self._lock:
            yield

    def count_reads(self, met: Collection[Transition]) -> list[Transition] | None:
        """Count that a request has seen transitions, and return those that this ends.

        Returns None if one of them had ended before: the request has read old data, and must read again.
        """
        with self._lock:
            moment = self._clock.read()
            self.settle(moment)
            if any(transition.is_over for transition in met):
                return None
            ended = []
            for transition in met:
                if transition.reads is not None:
                    transition.reads -= 1
                    if transition.reads <= 0:
                        self._end(transition, moment.date)
                        ended.append(transition)
            return ended

    @property
    def transitions(self) -> list[Transition]:
        """The transitions under way, oldest first."""
        with self._lock:
            return list(self._transitions)

    def finish(self, *transitions: Transition) -> None:
        """End transitions now."""
        with self._lock:
            for transition in transitions:
                self._end(transition, self._clock.now())

    def _begin(self, transition: Transition, pace: Pace, moment: Moment) -> None:
        self._transitions[transition] = None
        if pace.is_immediate:
            self._end(transition, moment.date)
        elif transition.due is not None:
            heapq.heappush(self._scheduled, (transition.due, next(self._count), transition))

    def _end(self, transition: Transition, date: float) -> None:
        """Replace the locked versions by their final ones, in one step for all image sets of the transition."""
        if transition.is_over:
            return
        transition.is_over = True
        self._transitions.pop(transition, None)
        for (datastore_id, image_set_id), make in transition.ends.items():
            record = self.image_set(datastore_id, image_set_id)
            if record.transition is transition:  # a test may have put something else there
                history = record.history.replace_last(make(date))
                self._put(structs.replace(record, history=history, transition=None))
        if len(self._scheduled) > 64 + 2 * (len(self._transitions) + sum(map(len, self._waiting.values()))):
            self._forget_ended()

    def _forget_ended(self) -> None:
        """Drop the due times of transitions that requests have ended."""
        self._scheduled = [entry for entry in self._scheduled if not getattr(entry[2], "is_over", False)]
        heapq.heapify(self._scheduled)

    def _put(self, *records: ImageSet) -> None:
        for record in records:
            self._changed.setdefault(record.datastore_id, {})[record.image_set_id] = record
            if record.datastore_id in self._indexes:
                self._indexes[record.datastore_id][1].add(record.image_set_id)

    def _add_up(self, versions: int, size: int = 0) -> None:
        """Count versions, and bytes of metadata, that the account adds."""
        self._settings.check_limit("versions", self._added + versions)
        if size:
            self._settings.check_limit("metadata", self._added_bytes + size)
        self._added += versions
        self._added_bytes += size

    # Set-up by a test.

    def merge(self, added: ImageSets) -> None:
        """Add image sets, all or none. Raises ``ConflictError``."""
        with self._lock:
            for datastore_id, image_sets in added.items():
                known = self._baseline.get(datastore_id, {}), self._changed.get(datastore_id, {})
                for image_set_id in image_sets:
                    if any(image_set_id in each for each in known):
                        raise ConflictError(f"image set {image_set_id} is in data store {datastore_id} already")
            new = [id for id in added if id not in self._baseline and id not in self._changed]
            self._add_up(len(new) + count_versions(added))
            for datastore_id, image_sets in added.items():
                self._changed.setdefault(datastore_id, {})
                self._put(*image_sets.values())

    def add(self, datastore_id: str, image_set_id: str, members: Mapping[str, Any]) -> None:
        """Add an image set with its version 1, and its data store if that is new.

        By default the version is ACTIVE, CREATED, and created now. Raises ``ConflictError``.
        """
        defaults = {
            "version_id": "1",
            "image_set_state": "ACTIVE",
            "image_set_workflow_status": "CREATED",
            "created_at": self._clock.now(),
        }
        _check_id(datastore_id, DatastoreId, "data store id")
        _check_id(image_set_id, ImageSetId, "image set id")
        version = check_version(defaults | dict(members), datastore_id, image_set_id)
        record = ImageSet(datastore_id=datastore_id, image_set_id=image_set_id, history=History.of([version]))
        self.merge({datastore_id: {image_set_id: record}})

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
            return history.append(version)

        changed = self._schedule(_Scheduled(key, make, 1, size), after)
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
            found = history.find(int(version_id)) if re.fullmatch("[0-9]{1,18}", version_id) else None
            if found is None or found.version_id != version_id:
                raise NotFoundError(f"image set {key[1]} has no version {version_id}")
            version = _follow(key, history, {"version_id": version_id} | dict(members), date)
            index = history.index_of(found.number)
            return history.replace_last(version) if index == len(history) - 1 else history.replace(index, version)

        changed = self._schedule(_Scheduled(key, make, 0, size), after)
        return changed.find(int(version_id)) if changed else None

    def _schedule(self, change: _Scheduled, after: float) -> History[Version] | None:
        """Make a change now, or check that it can be made later and schedule it."""
        wait = duration("after", after)
        with self._lock:
            moment = self._clock.read()
            self.settle(moment)
            due = moment.elapsed + wait
            history = change.make(self._expect(change.key, due, moment), moment.date_of(due))
            if not wait:
                self._add_up(change.versions, change.size)
                self._replace_history(change.key, history)
                return history
            self._settings.check_limit("pending", sum(map(len, self._waiting.values())) + 1)
            self._add_up(change.versions, change.size)
            heapq.heappush(self._scheduled, (due, next(self._count), change._replace(due=due)))
            self._waiting.setdefault(change.key, []).append(change._replace(due=due))
            return None

    def _expect(self, key: Key, due: float, moment: Moment) -> History[Version]:
        """Return the history as it will be when a change is due, after the earlier changes of its image set."""
        history = self.image_set(*key).history
        for before in sorted(self._waiting.get(key, ()), key=lambda each: each.due):
            if before.due <= due:
                history = before.make(history, moment.date_of(before.due))
        return history

    def _carry_out(self, change: _Scheduled, date: float) -> None:
        waiting = self._waiting[change.key]
        waiting.remove(change)
        if not waiting:
            del self._waiting[change.key]
        try:
            self._replace_history(change.key, change.make(self.image_set(*change.key).history, date))
        except EmulatorError as error:  # another change has come between
            log.warning("a change that was due could not be made: %s", error)
            self._add_up(-change.versions, -change.size)

    def _replace_history(self, key: Key, history: History[Version]) -> None:
        record = self.image_set(*key)
        transition = record.transition if history[-1] is record.latest else None
        self._put(structs.replace(record, history=history, transition=transition))
        if record.transition is not transition:
            self._drop_unseen(record.transition)

    def _drop_unseen(self, transition: Transition | None) -> None:
        """End a transition if a test has replaced all versions that it locked: nobody can see it any more."""
        if transition and all(self.image_set(*key).transition is not transition for key in transition.ends):
            transition.is_over = True
            self._transitions.pop(transition, None)


class Change:
    """A change to several image sets, not yet committed."""

    def __init__(self, store: Store, moment: Moment, met: set[Transition]) -> None:
        self._store = store
        self._met = met
        self.moment = moment
        self.drafts: dict[Key, Draft] = {}
        self.added = self.added_bytes = 0
        self.transition: Transition | None = None
        self.pace = Pace()

    def image_set(self, datastore_id: str, image_set_id: str) -> Draft:
        """Return an image set to change. Raises ``ResourceNotFoundException``."""
        key = datastore_id, image_set_id
        if key not in self.drafts:
            self.drafts[key] = Draft(self, self._store.image_set(*key))
        return self.drafts[key]

    def add_image_set(self, record: ImageSet) -> Draft:
        """Add an image set with its first version."""
        draft = self.drafts[record.datastore_id, record.image_set_id] = Draft(self, record)
        self.added += len(record.history)
        return draft

    def add_metadata(self, *documents: Metadata | str) -> None:
        """Count the bytes of new documents; the message of a failure is none."""
        self.added_bytes += sum(len(each.compressed) for each in documents if isinstance(each, Metadata))

    def meet(self, transition: Transition | None) -> None:
        """Note that the change is refused because of a transition."""
        if transition is not None:
            self._met.add(transition)

    def begin_transition(self, name: str, pace: Pace, ends: Mapping[Draft, Callable[[float], Version]]) -> None:
        """Begin a transition. At its end, each draft's last version is replaced by the one made from the date."""
        due = None if pace.seconds is None else self.moment.elapsed + pace.seconds
        keys = {(draft.record.datastore_id, draft.record.image_set_id): make for draft, make in ends.items()}
        self.transition = Transition(name, keys, pace.reads, due)
        self.pace = pace
        for draft in ends:
            draft.record = structs.replace(draft.record, transition=self.transition)


class Draft:
    """An image set inside a change."""

    def __init__(self, change: Change, record: ImageSet) -> None:
        self._change = change
        self.record = record

    @property
    def latest(self) -> Version:
        """The latest version."""
        return self.record.latest

    def require_existing(self) -> None:
        """Raise ``ResourceNotFoundException`` if the image set is deleted."""
        if self.latest.image_set_state == "DELETED":
            raise image_set_not_found(self.record.datastore_id, self.record.image_set_id)

    def require_unlocked(self) -> None:
        """Raise ``ConflictException`` if the image set is locked."""
        if self.latest.image_set_state == "LOCKED":
            self._change.meet(self.record.transition)
            raise image_set_locked(self.record.image_set_id)

    def require_latest(self, version_id: str) -> None:
        """Raise ``ResourceNotFoundException`` if a version is not the latest."""
        if self.latest.version_id != version_id:
            raise not_latest()

    def add_frames(self, frames: Mapping[str, bytes]) -> None:
        """Let the image set have the frames of another one; their bytes are shared."""
        if frames:
            self.record = structs.replace(self.record, frames={**self.record.frames, **frames})

    def replace_latest(self, version: Version) -> None:
        """Put another version in the place of the latest."""
        self.record = structs.replace(self.record, history=self.record.history.replace_last(version))

    def append(self, version: Version) -> None:
        """Add a version."""
        self.record = structs.replace(self.record, history=self.record.history.append(version))
        self._change.added += 1


class _Scheduled(NamedTuple):
    """A change that a test wants: a new history, made from the old one and the date."""

    key: Key
    make: Callable[[History[Version], float], History[Version]]
    versions: int
    size: int
    due: float = 0.0


def _measure_metadata(key: Key, members: Mapping[str, Any]) -> tuple[Mapping[str, Any], int]:
    """Return members with their metadata as a document, and its size in bytes."""
    metadata = read_metadata(members.get("metadata"), *key)
    if metadata is None:
        return members, 0
    return {**members, "metadata": metadata}, len(metadata.compressed)


def count_versions(image_sets: ImageSets) -> int:
    """Return how many versions all image sets have together."""
    return sum(len(record.history) for records in image_sets.values() for record in records.values())


def _check_id(id: Any, type: Any, name: str) -> None:
    try:
        msgspec.convert(id, type)
    except msgspec.ValidationError:
        raise InvalidError(f"invalid {name} {id!r}: expected 32 digits or lower-case letters") from None


def _follow(key: Key, history: History[Version], members: dict[str, Any], date: float) -> Version:
    """Build a version of a history. Missing members come from its first version and the date."""
    first = history[0]
    defaults: dict[str, Any] = {"created_at": first.created_at}
    if members["version_id"] != first.version_id:
        defaults["updated_at"] = date
    return check_version(defaults | members, *key)
