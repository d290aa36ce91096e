"""Carry out import jobs: read the files of a job, group them into image sets, and write its outputs.

A job is a thread of its own. It parses without any lock; only the writing of the image sets takes the lock of the
store, once for each. Jobs of one account write one after another, so that two imports of a series join. A job that
nobody can see any more, because of a reset, ends before its next file.
"""

from __future__ import annotations

import logging
import re
import threading
import uuid

from ...clock import Clock
from ...errors import LimitExceededError
from ...objects import ObjectError, ObjectStore
from ..history import History
from ..metadata import Metadata, metadata_of
from ..records import ImageSet, ImportJob, Version
from ..store import Store
from .grouping import Group, find_group, merge_documents, split_series
from .instance import Instance, NotImportable, make_document, read_instance
from .outputs import Imported, Outcome, write_outputs
from .pixels import has_codecs

log = logging.getLogger("healthimaging_emulator")

FILES_PER_LINE = 500
"""Files after which the log has a line of progress."""

NO_OBJECTS = "INVALID_REQUEST:  The emulator has no S3 - see the setting s3."
NO_CODECS = "Frames are stored uncompressed, since the extra frames is not installed."
FAILED = "INTERNAL_ERROR:  The import failed in the emulator - its log has the reason."


class Imports:
    """The import jobs of one account."""

    def __init__(self, store: Store, clock: Clock, objects: ObjectStore | None) -> None:
        self._store = store
        self._clock = clock
        self._objects = objects
        self._writing = threading.Lock()

    def start(self, job: ImportJob) -> None:
        """Begin to carry out a job. It is done when its ``work`` is."""
        threading.Thread(target=self._run, args=(job,), name=f"import {job.job_id}", daemon=True).start()

    def _run(self, job: ImportJob) -> None:
        try:
            failure, message = None, self._carry_out(job)
        except _JobFailed as error:
            failure, message = error.message, None
        except Exception:
            log.exception("the import job %s failed", job.job_id)
            failure, message = FAILED, None
        self._store.finish_work(job.work, failure, message)

    def _carry_out(self, job: ImportJob) -> str | None:
        """Import the files of a job, and return its message. Raises ``_JobFailed``."""
        if self._objects is None:
            raise _JobFailed(NO_OBJECTS)
        instances, outcome = self._read_files(self._objects, job)
        for of_series in _by_series(instances):
            for group in split_series(of_series):
                if job.work.is_cancelled:
                    return None
                with self._writing:
                    self._import(job, find_group(self._store, job.datastore_id, group), outcome)
        bucket, prefix = split_uri(job.output_s3_uri)
        try:
            for name, content in write_outputs(job, outcome):
                self._objects.write(bucket, prefix + name, content)
        except ObjectError as error:
            raise _JobFailed(_to_message(f"Output cannot be written - {error}")) from None
        log.info("import job %s: %d files imported, %d failed", job.job_id, len(outcome.imported), len(outcome.failed))
        return NO_CODECS if not has_codecs() and any(each.frames for each in instances.values()) else None

    def _read_files(self, objects: ObjectStore, job: ImportJob) -> tuple[dict[str, Instance], Outcome]:
        instances: dict[str, Instance] = {}
        outcome = Outcome()
        bucket, prefix = split_uri(job.input_s3_uri)
        try:
            for number, key in enumerate(objects.list_keys(bucket, prefix), start=1):
                if job.work.is_cancelled:
                    break
                try:
                    instances[key] = read_instance(objects.read(bucket, key))
                except NotImportable as error:
                    outcome.failed[key] = error.message
                if number % FILES_PER_LINE == 0:
                    log.info("import job %s: %d files read", job.job_id, number)
        except (ObjectError, ImportError) as error:
            raise _JobFailed(_to_message(f"Input cannot be read - {error}")) from None
        return instances, outcome

    def _import(self, job: ImportJob, group: Group, outcome: Outcome) -> None:
        """Write the image set of a group, and note the outcome of its files."""
        try:
            imported = self._join(group, group.target) if group.target else self._add(job, group)
        except LimitExceededError as error:
            outcome.failed |= dict.fromkeys(group.instances, f"The emulator's limit is exceeded: {error.detail}.")
        else:
            outcome.imported |= dict.fromkeys(group.instances, imported)

    def _add(self, job: ImportJob, group: Group) -> Imported:
        id, instances = uuid.uuid4().hex, list(group.instances.values())
        metadata = Metadata(make_document(instances), job.datastore_id, id)
        frames = {id: content for each in instances for id, content in each.frames.items()}
        with self._store.change(set()) as change:
            date = change.moment.date
            version = Version(
                version_id="1",
                image_set_state="ACTIVE",
                image_set_workflow_status="CREATED",
                created_at=date,
                updated_at=date,
                is_primary=group.is_primary,
                metadata=metadata,
            )
            history = History.of([version])
            record = ImageSet(datastore_id=job.datastore_id, image_set_id=id, history=history, frames=frames)
            change.add_image_set(record)
            change.add_metadata(metadata, *frames.values())
        return Imported(id, 1, group.is_primary)

    def _join(self, group: Group, target: ImageSet) -> Imported:
        """Add instances to a primary image set as its next version; a write that has locked it ends before."""
        instances = list(group.instances.values())
        frames = {id: content for each in instances for id, content in each.frames.items()}
        while True:
            if target.transition is not None:
                self._store.finish(target.transition)
                target = self._store.image_set(target.datastore_id, target.image_set_id)
            stored = metadata_of(target.latest, target.datastore_id, target.image_set_id).parse()
            document = merge_documents(stored, instances)
            metadata = Metadata(document, target.datastore_id, target.image_set_id)
            with self._store.change(set()) as change:
                draft = change.image_set(target.datastore_id, target.image_set_id)
                if draft.latest is target.latest:
                    version = Version(
                        version_id=str(draft.latest.number + 1),
                        image_set_state="ACTIVE",
                        image_set_workflow_status="IMPORTED",
                        created_at=draft.latest.created_at,
                        updated_at=change.moment.date,
                        is_primary=True,
                        metadata=metadata,
                    )
                    draft.append(version)
                    draft.add_frames(frames)
                    change.add_metadata(metadata, *frames.values())
                    return Imported(target.image_set_id, version.number, True)
            target = self._store.image_set(target.datastore_id, target.image_set_id)  # it has changed meanwhile


class _JobFailed(Exception):
    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


def _by_series(instances: dict[str, Instance]) -> list[dict[str, Instance]]:
    """Return the instances of each series, by their files; of equal instances, the last file wins."""
    last = {instance.uid: key for key, instance in instances.items()}
    series: dict[str, dict[str, Instance]] = {}
    for key, instance in instances.items():
        kept = instances[last[instance.uid]]
        series.setdefault(kept.series_uid, {})[key] = kept
    return list(series.values())


def split_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the key, or its beginning, of a URI such as s3://bucket/folder/."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _to_message(text: str) -> str:
    """Return a text as the message of a job, in the characters that the model allows."""
    return f"INVALID_REQUEST:  {re.sub(r'[^A-Za-z0-9_ -:`]', ' ', text)}"[:2048]
