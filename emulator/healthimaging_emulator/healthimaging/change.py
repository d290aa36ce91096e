"""Changes that operations make: checked and written in one step, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, structs

from ..clock import Moment
from .messages import image_set_locked, image_set_not_found, not_latest, quota_exceeded, token_reused
from .metadata import Metadata
from .records import MOST_COPIES, Copy, Datastore, ImageSet, ImportJob, Version
from .shapes.datastore import DatastoreStatus
from .transitions import Key, Pace, Transition

if TYPE_CHECKING:
    from .store import Store


class ReadAgain(Exception):
    """Raised by an operation whose data has changed between its reading and its writing: it must run again."""


class Change:
    """A change to data stores and image sets, not yet committed."""

    def __init__(self, store: Store, moment: Moment, met: set[Transition]) -> None:
        self._store = store
        self._met = met
        self.moment = moment
        self.drafts: dict[Key, Draft] = {}
        self.datastores: dict[str, Datastore] = {}
        self.jobs: dict[str, ImportJob] = {}
        self.requests: dict[tuple[str, str], tuple[Struct, Struct]] = {}
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

    def add_metadata(self, *contents: Metadata | bytes | str) -> None:
        """Count the bytes of new documents and frames; the message of a failure is none."""
        for each in contents:
            self.added_bytes += (
                len(each.compressed) if isinstance(each, Metadata) else isinstance(each, bytes) and len(each)
            )

    def require_revision(self, revision: int) -> None:
        """Raise ``ReadAgain`` if any image set was written since the store had a revision."""
        if self._store.revision != revision:
            raise ReadAgain

    def meet(self, transition: Transition | None) -> None:
        """Note that the change is refused because of a transition."""
        if transition is not None:
            self._met.add(transition)

    def begin_transition(self, name: str, pace: Pace, ends: Mapping[Draft, Callable[[float], Version]]) -> None:
        """Begin a transition. At its end, each draft's last version is replaced by the one made from the date."""
        keys = {(draft.record.datastore_id, draft.record.image_set_id): make for draft, make in ends.items()}
        self.transition = Transition(name, pace, self.moment, keys)
        self.pace = pace
        for draft in ends:
            draft.record = structs.replace(draft.record, transition=self.transition)

    def datastore(self, datastore_id: str) -> Datastore:
        """Return a data store that is not deleted. Raises ``ResourceNotFoundException``."""
        return self._store.existing_datastore(datastore_id)

    def begin_datastore_transition(self, name: str, pace: Pace, record: Datastore, end: DatastoreStatus) -> None:
        """Put a data store in a state that becomes another by itself."""
        then = partial(self._store.end_datastore, record.datastore_id, end)
        self.transition = Transition(name, pace, self.moment, subject=record.datastore_id, then=then)
        self.pace = pace
        self.added += self._store.find_datastore(record.datastore_id) is None
        self.datastores[record.datastore_id] = structs.replace(record, transition=self.transition)

    def add_job(self, submitted: Pace, in_progress: Pace, job: ImportJob) -> None:
        """Add an import job, which goes on by itself: at a pace for each of its states."""
        then = partial(self._store.start_job, job.job_id, in_progress)
        self.pace = in_progress if in_progress.is_immediate else submitted
        self.transition = Transition("StartDICOMImportJob", self.pace, self.moment, subject=job.job_id, then=then)
        self.added += 1
        self.jobs[job.job_id] = structs.replace(job, transition=self.transition)

    def require_quota(self, name: str, count: Callable[[], int]) -> None:
        """Raise ``ServiceQuotaExceededException`` if a quota is enforced and exceeded."""
        quota = self._store.settings.quota(name)
        if quota is not None and count() > quota:
            raise quota_exceeded(name)

    def require_quota_under_way(self, name: str, operation: str, datastore_id: str) -> None:
        """Raise ``ServiceQuotaExceededException`` if too many operations on a data store are under way."""
        self.require_quota(name, lambda: 1 + self._store.count_under_way(operation, datastore_id))

    def is_empty(self, datastore_id: str) -> bool:
        """Whether all image sets of a data store are deleted."""
        return all(each.latest.image_set_state == "DELETED" for each in self._store.image_sets_of(datastore_id))

    def has_jobs(self, datastore_id: str) -> bool:
        """Whether an import into a data store has not ended yet."""
        return any(job.status in ("SUBMITTED", "IN_PROGRESS") for job in self._store.jobs(datastore_id))

    def recall(self, operation: str, token: str, input: Struct) -> Any:
        """Return the output of an earlier request with the same token, or None.

        Raises ``ConflictException`` if that request had another input.
        """
        earlier = self._store.requests.get((operation, token))
        if earlier is None:
            return None
        if earlier[0] != input:
            raise token_reused()
        return earlier[1]

    def remember(self, operation: str, token: str, input: Struct, output: Struct) -> None:
        """Remember the output for later requests with the same token."""
        self.requests[operation, token] = input, output


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

    def note_copy(self, direction: Literal["from", "to"], other: Draft) -> None:
        """Note a copy between the latest versions of this and of another image set."""
        copy = Copy(self.latest.version_id, direction, other.record.image_set_id, other.latest.version_id)
        self.record = structs.replace(self.record, copies=(*self.record.copies, copy)[-MOST_COPIES:])

    def replace_latest(self, version: Version) -> None:
        """Put another version in the place of the latest."""
        self.record = structs.replace(self.record, history=self.record.history.replace_last(version))

    def append(self, version: Version) -> None:
        """Add a version."""
        self.record = structs.replace(self.record, history=self.record.history.append(version))
        self._change.added += 1
