"""Data stores and image sets: a baseline that is never written, and one account's changes over it.

Invariants. The baseline is shared by all accounts. Records are frozen and replaced whole, so a reader takes one without
a lock and sees one moment. All writing happens under ``_lock``: a change checks and writes in one step, and an
exception inside it leaves nothing behind. The time that an operation holds the lock does not grow with the length of a
history or the number of image sets, with three exceptions: a test that replaces or removes an older version copies the
history, DeleteDatastore walks over the image sets that are deleted, and the end of DeleteImageSet walks over the
versions that the account has added, or over all if a test has replaced one, to drop their documents.

Order. Edits of a test that are due later, and transitions with a due time, lie in one heap by the elapsed time of the
account's clock. ``settle`` carries out everything that is due; every request begins with it. The lock of the clock is
taken inside this one, never the other way round.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from msgspec import Struct, structs

from ..aws.pagination import Rank
from ..clock import Clock, Moment
from ..settings import Settings
from .baseline import Baseline, measure
from .change import Change
from .edits import Edits
from .events import Event, Events
from .imports.seeded import SeededImport
from .messages import datastore_not_found, image_set_not_found
from .metadata import Metadata
from .records import Datastore, ImageSet, ImportJob, Work, without_contents
from .search_index import AccountIndex, Entry, Query
from .shapes.datastore import DatastoreStatus
from .shapes.import_job import JobStatus
from .transitions import Key, Pace, Transition

ROUNDING = 0.0004
"""Seconds by which a due time may be missed: sums of fractions differ in their last digits, dates by no millisecond."""

MOST_REQUESTS = 1000
"""Requests that are remembered by their client tokens; older ones are forgotten."""


class Scheduled(Protocol):
    """Something that is due later, unless it is over before."""

    @property
    def is_over(self) -> bool: ...


class Store:
    """One account's image sets. Raises ``LimitExceededError`` for more versions or changes than the settings allow."""

    def __init__(
        self,
        baseline: Baseline,
        clock: Clock,
        settings: Settings,
        publish: Callable[[Event], None] | None = None,
    ) -> None:
        self._baseline = baseline
        self._initially_added = 0, 0  # the emulator's seed may have any number
        self._clock = clock
        self.settings = settings
        self._lock = threading.RLock()
        self._count = itertools.count()
        self._transitions: dict[Transition, None] = {}
        self.revision = 0
        """Grows with every image set that is written, so that a change sees whether others have come before it."""

        self._jobs: dict[str, ImportJob] = {}
        self.edits = Edits(self, clock, settings)
        self._events = Events(publish)
        self.reset()

    def reset(self, baseline: Baseline | None = None, *, is_added: bool = True) -> None:
        """Drop all changes, also those that are due later; keep the baseline, or begin with another one."""
        with self._lock:
            if baseline is not None:
                self._baseline, self._initially_added = baseline, measure(baseline) if is_added else (0, 0)
            self._changed: dict[str, dict[str, ImageSet | None]] = {}  # None: a test has removed it
            self._datastores: dict[str, Datastore] = {}
            for job in self._jobs.values():
                job.work.is_cancelled = True
            self._jobs = {}
            self._imports: tuple[SeededImport, ...] = ()
            self.requests: OrderedDict[tuple[str, str], tuple[Struct, Struct]] = OrderedDict()
            self._indexes: dict[str, tuple[AccountIndex, set[str]]] = {}
            self._scheduled: list[tuple[float, int, Scheduled, Callable[[float], None]]] = []
            for transition in self._transitions:
                transition.is_over = True  # so that a request that has seen it reads again
            self._transitions = {}
            self._accessed: dict[Key, float] = {}
            self._added, self._added_bytes = self._initially_added
            self.revision += 1
            self.edits.reset()
            self._events.clear()

    # Reading.

    def image_set(self, datastore_id: str, image_set_id: str) -> ImageSet:
        """Return an image set. Raises ``ResourceNotFoundException``."""
        found = self.find(datastore_id, image_set_id)
        if found is None:
            self.require_datastore(datastore_id)
            raise image_set_not_found(datastore_id, image_set_id)
        return found

    def find(self, datastore_id: str, image_set_id: str) -> ImageSet | None:
        """Return an image set, or None."""
        changed = self._changed.get(datastore_id, {})
        return changed[image_set_id] if image_set_id in changed else self.find_original((datastore_id, image_set_id))

    def find_original(self, key: Key) -> ImageSet | None:
        """Return an image set as the seed has it, or None."""
        return self._baseline.get(key[0], {}).get(key[1])

    def find_datastore(self, datastore_id: str) -> Datastore | None:
        """Return a data store, or None."""
        return self._datastores.get(datastore_id) or self._baseline.datastore(datastore_id)

    def require_datastore(self, datastore_id: str) -> Datastore:
        """Return a data store, also a deleted one. Raises ``ResourceNotFoundException``."""
        found = self.find_datastore(datastore_id)
        if found is None:
            raise datastore_not_found(datastore_id)
        return found

    def existing_datastore(self, datastore_id: str) -> Datastore:
        """Return a data store that is not deleted. Raises ``ResourceNotFoundException``."""
        found = self.require_datastore(datastore_id)
        if found.status == "DELETED":
            raise datastore_not_found(datastore_id)
        return found

    def find_job(self, datastore_id: str, job_id: str) -> ImportJob | None:
        """Return an import job, or None."""
        found = self._jobs.get(job_id)
        return found if found is not None and found.datastore_id == datastore_id else None

    def jobs(self, datastore_id: str) -> list[ImportJob]:
        """Return the import jobs of a data store."""
        return [job for job in list(self._jobs.values()) if job.datastore_id == datastore_id]

    @property
    def seeded_imports(self) -> list[SeededImport]:
        """The imports whose outcome the seed gives, or what was added to it."""
        return [*self._baseline.imports, *self._imports]

    def find_seeded_import(self, input_s3_uri: str) -> SeededImport | None:
        """Return the import whose outcome is given for an input location, or None."""
        return next((each for each in self.seeded_imports if each.is_for(input_s3_uri)), None)

    def datastores(self) -> list[Datastore]:
        """Return all data stores: first those of the baseline."""
        ids = {**self._baseline, **self._datastores}
        return [found for id in ids if (found := self.find_datastore(id)) is not None]

    def current(self, key: Key) -> ImageSet:
        """Return an image set as it is now, outside of a request. Raises ``ResourceNotFoundException``."""
        self.settle(self._clock.read())
        return self.image_set(*key)

    def snapshot(self) -> Baseline:
        """Return all data stores and image sets as they are now."""
        with self._lock:
            self.settle(self._clock.read())
            records = {each.datastore_id: each for each in self.datastores()}
            image_sets = {id: {each.image_set_id: each for each in self.image_sets_of(id)} for id in records}
            return Baseline(image_sets, records, self.seeded_imports)

    def image_sets_of(self, datastore_id: str) -> Iterator[ImageSet]:
        """Return the image sets of one data store: first the unchanged ones, then the ones the account has changed."""
        changed = dict(self._changed.get(datastore_id, {}))
        unchanged = (each for id, each in self._baseline.get(datastore_id, {}).items() if id not in changed)
        return itertools.chain(unchanged, filter(None, changed.values()))

    def current_image_sets(self, datastore_id: str) -> Iterator[ImageSet]:
        """Return the image sets as they are now, outside of a request. Raises ``ResourceNotFoundException``."""
        self.require_datastore(datastore_id)
        self.settle(self._clock.read())
        return self.image_sets_of(datastore_id)

    def search(self, datastore_id: str, query: Query, after: Rank | None, size: int) -> list[Entry]:
        """Return at most ``size`` image sets that a query finds, behind a place.

        Raises ``ResourceNotFoundException``.
        """
        self.require_datastore(datastore_id)
        return self._index_of(datastore_id).find(query, after, size)

    def _index_of(self, datastore_id: str) -> AccountIndex:
        """Return the index of a data store; from now on, writes note the ids that they change."""
        baseline = self._baseline
        shared = baseline.index_of(datastore_id)  # which may take its time, so without the lock
        with self._lock:
            if datastore_id not in self._indexes and baseline is self._baseline:
                changed = set(self._changed.get(datastore_id, ()))
                index = AccountIndex(shared, partial(self._take_changed, datastore_id, changed))
                self._indexes[datastore_id] = index, changed
            found = self._indexes.get(datastore_id)
        return found[0] if found else self._index_of(datastore_id)  # a reset has come between

    def _take_changed(self, datastore_id: str, changed: set[str]) -> dict[str, ImageSet | None]:
        """Return the image sets that were written, all as they were at one moment."""
        with self._lock:
            taken = {id: self.find(datastore_id, id) for id in changed}
            changed.clear()
            return taken

    def last_accessed(self, key: Key) -> float | None:
        """Return when the metadata or a frame of an image set was last read."""
        return self._accessed.get(key)

    def touch(self, key: Key, date: float) -> None:
        """Note that the metadata or a frame of an image set was read."""
        self._accessed[key] = date

    def events(self, after: str) -> list[Event]:
        """Return the events behind the one of an id; all of them if there is none of this id."""
        self.settle(self._clock.read())
        return self._events.behind(after)

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
            self.add_up(change.added, change.added_bytes)
            for draft in change.drafts.values():
                self._change_image_set(draft.record, moment.date)
            for datastore in change.datastores.values():
                self._change_datastore(datastore, moment.date)
            for job in change.jobs.values():
                self._change_job(job, moment.date)
            self._remember(change.requests)
            if change.transition is not None:
                self._begin(change.transition, change.pace, moment)

    def settle(self, moment: Moment) -> None:
        """Carry out everything that is due."""
        latest = moment.elapsed + ROUNDING
        if not self._scheduled or self._scheduled[0][0] > latest:
            return
        with self._lock:
            while self._scheduled and self._scheduled[0][0] <= latest:
                due, _, _, carry_out = heapq.heappop(self._scheduled)
                carry_out(moment.date_of(due))

    def schedule(self, due: float, what: Scheduled, carry_out: Callable[[float], None]) -> None:
        """Carry something out when it is due, with the date of that moment. Called under the lock."""
        heapq.heappush(self._scheduled, (due, next(self._count), what, carry_out))

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
                        ended += [transition] if transition.is_over else []
            return ended

    @property
    def pace(self) -> Pace:
        """The pace of transitions, if no fault changes it."""
        return Pace(self.settings.transition_reads, self.settings.transition_seconds)

    @property
    def transitions(self) -> list[Transition]:
        """The transitions under way, oldest first."""
        with self._lock:
            return list(self._transitions)

    def is_too_large(self, metadata: Metadata | str) -> bool:
        """Whether a document exceeds its quota; the message of a failure is none."""
        quota = self.settings.quota("metadata-bytes")
        return quota is not None and isinstance(metadata, Metadata) and metadata.size > quota

    def count_under_way(self, operation: str, datastore_id: str) -> int:
        """Return how many operations on the image sets of a data store are under way."""
        keys = [next(iter(each.ends), ("", "")) for each in self.transitions if each.name == operation]
        return sum(datastore == datastore_id for datastore, _ in keys)

    def count_existing_datastores(self) -> int:
        """Return how many data stores are not deleted."""
        return sum(each.status != "DELETED" for each in self.datastores())

    def count_jobs_under_way(self) -> int:
        """Return how many import jobs have not ended yet."""
        return sum(job.transition is not None for job in list(self._jobs.values()))

    def finish(self, *transitions: Transition) -> None:
        """End transitions now."""
        with self._lock:
            for transition in transitions:
                self._end(transition, self._clock.now())

    def finish_all(self) -> None:
        """End all transitions now, also those that begin when another ends; one that waits for work ends after it."""
        with self._lock:
            while waiting := [each for each in self._transitions if not each.is_due]:
                self.finish(*waiting)

    def _begin(self, transition: Transition, pace: Pace, moment: Moment) -> None:
        self._transitions[transition] = None
        if pace.is_immediate:
            self._end(transition, moment.date)
        elif transition.due is not None:
            self.schedule(transition.due, transition, partial(self._end, transition))

    def _remember(self, requests: Mapping[tuple[str, str], tuple[Struct, Struct]]) -> None:
        self.requests |= requests
        while len(self.requests) > MOST_REQUESTS:
            self.requests.popitem(last=False)

    def _end(self, transition: Transition, date: float) -> None:
        """Replace the locked versions by their final ones, in one step for all image sets of the transition."""
        if transition.is_over:
            return
        if transition.work is not None and not transition.work.done.is_set():
            transition.is_due = True
            return
        transition.is_over = True
        self._transitions.pop(transition, None)
        date = max(date, transition.began_at)
        for key, make in transition.ends.items():
            record = self.find(*key)
            if record is not None and record.transition is transition:  # a test may have put something else there
                history = record.history.replace_last(make(date))
                ended = structs.replace(record, history=history, transition=None)
                if ended.latest.image_set_state == "DELETED" and not self.settings.tombstones:
                    ended = without_contents(ended, self.find_original(key))
                self._change_image_set(ended, date)
        if transition.then is not None:
            transition.then(date)
        if len(self._scheduled) > 64 + 2 * (len(self._transitions) + self.edits.pending):
            self._forget_ended()

    def drop_unseen(self, transition: Transition | None) -> None:
        """End a transition if a test has replaced all versions that it locked: nobody can see it any more."""
        if transition and not any(
            (record := self.find(*key)) and record.transition is transition for key in transition.ends
        ):
            transition.is_over = True
            self._transitions.pop(transition, None)

    def _forget_ended(self) -> None:
        """Drop the due times of what has ended before."""
        self._scheduled = [entry for entry in self._scheduled if not entry[2].is_over]
        heapq.heapify(self._scheduled)

    # Writing, under the lock.

    def put(self, *records: ImageSet) -> None:
        """Put image sets in the place of others, or add them."""
        for record in records:
            self._write(record.datastore_id, record.image_set_id, record)

    def remove(self, datastore_id: str, image_set_id: str) -> None:
        """Remove an image set as if it had never been."""
        record = self.image_set(datastore_id, image_set_id)
        self._write(datastore_id, image_set_id, None)
        self._accessed.pop((datastore_id, image_set_id), None)
        self.drop_unseen(record.transition)
        original = self.find_original((datastore_id, image_set_id))
        self.add_up(min(0, (len(original.history) if original else 0) - len(record.history)))

    def add_imports(self, imports: Iterable[SeededImport]) -> None:
        """Add imports whose outcome is given."""
        self._imports += tuple(imports)

    def put_datastore(self, record: Datastore) -> None:
        """Put a data store in the place of another, or add it."""
        self._datastores[record.datastore_id] = record

    def end_datastore(self, datastore_id: str, status: DatastoreStatus, date: float) -> None:
        """End the transition of a data store."""
        record = self._datastores[datastore_id]
        self._change_datastore(structs.replace(record, status=status, updated_at=date, transition=None), date)

    def start_job(self, job_id: str, pace: Pace, date: float) -> None:
        """Let a job that was submitted be in progress, until its work is done."""
        moment, job = self._clock.read().back_at(date), self._jobs[job_id]
        end = partial(self._end_job, job_id)
        transition = Transition("StartDICOMImportJob", pace, moment, subject=job_id, then=end, work=job.work)
        self._change_job(structs.replace(job, status="IN_PROGRESS", transition=transition), moment.date)
        self._begin(transition, pace, moment)

    def _end_job(self, job_id: str, date: float) -> None:
        job = self._jobs[job_id]
        status: JobStatus = "COMPLETED" if job.work.failure is None else "FAILED"
        message = job.work.message if job.work.failure is None else job.work.failure
        self._change_job(structs.replace(job, status=status, ended_at=date, message=message, transition=None), date)

    def finish_work(self, work: Work, failure: str | None, message: str | None) -> None:
        """Note the result of work, and end the transition that waits for it."""
        with self._lock:
            work.failure, work.message = failure, message
            work.done.set()
            for transition in [each for each in self._transitions if each.work is work and each.is_due]:
                self._end(transition, self._clock.now())
            work.wake()

    def _write(self, datastore_id: str, image_set_id: str, record: ImageSet | None) -> None:
        self._changed.setdefault(datastore_id, {})[image_set_id] = record
        self.revision += 1
        if datastore_id in self._indexes:
            self._indexes[datastore_id][1].add(image_set_id)

    def add_up(self, versions: int, size: int = 0) -> None:
        """Count versions, and bytes of metadata, that the account adds."""
        self.settings.check_limit("versions", self._added + versions)
        if size:
            self.settings.check_limit("metadata", self._added_bytes + size)
        self._added += versions
        self._added_bytes += size

    # Writing of operations, which has its events.

    def _change_image_set(self, record: ImageSet, date: float) -> None:
        self._events.add_image_set(self.find(record.datastore_id, record.image_set_id), record, date)
        self.put(record)

    def _change_datastore(self, record: Datastore, date: float) -> None:
        self._events.add_datastore(self.find_datastore(record.datastore_id), record, date)
        self.put_datastore(record)

    def _change_job(self, job: ImportJob, date: float) -> None:
        self._events.add_job(job, date)
        self._jobs[job.job_id] = job
