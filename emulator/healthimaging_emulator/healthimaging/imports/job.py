"""Carry out import jobs: read the files of a job, group them into image sets, and write its outputs.

A job is a thread of its own, and reads most files in a child process. It reads without the lock of the store, and takes
it once for each image set that it writes. Jobs of one account write one after another. A job that a reset has dropped
ends before its next file, and writes nothing more.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from typing import Any

from ...clock import Clock
from ...errors import InvalidError, LimitExceededError
from ...identifiers import make_id
from ...objects import ObjectError, ObjectStore
from ..change import Change, ReadAgain
from ..history import History
from ..messages import METADATA_TOO_LARGE
from ..metadata import Metadata, metadata_of
from ..records import ImageSet, ImportJob, Version
from ..store import Store
from .grouping import Group, find_deleted, find_group, merge_documents, split_series
from .instance import Instance, NotImportable, make_document
from .outputs import SERVER_ERROR, Failure, Imported, Outcome, write_outputs
from .pixels import has_codecs
from .reader import FileReader
from .seeded import SeededImport

log = logging.getLogger("healthimaging_emulator")

FILES_PER_LINE = 500
"""Files after which the log has a line of progress."""

NO_OBJECTS = "INVALID_REQUEST:  The emulator has no S3 - see the setting s3."
NO_PYDICOM = "INVALID_REQUEST:  DICOM files cannot be read - the extra dicom is not installed."
NO_CODECS = "Frames are stored uncompressed, since the extra frames is not installed."
CANCELLED = "INVALID_REQUEST:  The job was dropped."
NOT_ACTIVE = "INVALID_REQUEST:  The data store is not ACTIVE."
FAULT_FAILURE = Failure("The file could not be imported.", SERVER_ERROR)
TOMBSTONE = Failure("The image set of this instance was deleted.", "CreateImageSetVersionsException")
FAILED = "INTERNAL_ERROR:  The import failed in the emulator - its log has the reason."

File = tuple[str, Callable[[], Instance]]
"""The key of a file, and the function that reads it. It raises ``NotImportable``, and ``ImportError``."""


class Imports:
    """The import jobs of one account."""

    def __init__(self, store: Store, clock: Clock, objects: ObjectStore | None) -> None:
        self._store = store
        self._clock = clock
        self._objects = objects
        self._writing = threading.Lock()

    def start(self, job: ImportJob, fails_file: Callable[[], bool]) -> None:
        """Begin to carry out a job, which is done when its ``work`` is.

        ``fails_file`` is called for one file after another, and says whether it fails.
        """
        threading.Thread(target=self._run, args=(job, fails_file), name=f"import {job.job_id}", daemon=True).start()

    def _run(self, job: ImportJob, fails_file: Callable[[], bool]) -> None:
        try:
            failure, message = None, self._carry_out(job, fails_file)
        except _JobFailed as error:
            if not job.work.is_cancelled:
                log.warning("the import job %s failed: %s", job.job_id, error.message)
            failure, message = error.message, None
        except Exception:
            log.exception("the import job %s failed", job.job_id)
            failure, message = FAILED, None
        self._store.finish_work(job.work, failure, message)

    def _carry_out(self, job: ImportJob, fails_file: Callable[[], bool]) -> str | None:
        """Import the files of a job, and return its message. Raises ``_JobFailed``."""
        seeded = self._store.find_seeded_import(job.input_s3_uri)
        with closing(FileReader()) as reader:
            files = self._list_files(job, reader) if seeded is None else _list_seeded(seeded)
            instances, outcome = self._read_files(job, files, fails_file)
        for of_series in _by_series(instances):
            for group in split_series(of_series):
                with self._writing:
                    self._import(job, group, outcome)
        if job.work.is_cancelled:
            return None
        self._write_outputs(job, outcome)
        log.info("import job %s: %d files imported, %d failed", job.job_id, len(outcome.imported), len(outcome.failed))
        is_uncompressed = seeded is None and any(each.frames for each in instances.values()) and not has_codecs()
        return NO_CODECS if is_uncompressed else None

    def _list_files(self, job: ImportJob, reader: FileReader) -> Iterator[File]:
        """Yield the files of a job as S3 has them. Raises ``_JobFailed``."""
        objects = self._objects
        if objects is None:
            raise _JobFailed(NO_OBJECTS)
        bucket, prefix = split_uri(job.input_s3_uri)
        try:
            for key in objects.list_keys(bucket, prefix):
                yield key, partial(_read_object, reader, objects, bucket, key)
        except ObjectError as error:
            raise _JobFailed(_to_message(f"Input cannot be read - {error}")) from None

    def _read_files(
        self, job: ImportJob, files: Iterator[File], fails_file: Callable[[], bool]
    ) -> tuple[dict[str, Instance], Outcome]:
        instances: dict[str, Instance] = {}
        outcome, size = Outcome(), 0
        quota = self._store.settings.quota("import-files")
        for number, (key, read) in enumerate(files, start=1):
            if job.work.is_cancelled:
                break
            if quota is not None and number > quota:
                raise _JobFailed(f"INVALID_REQUEST:  The job has more than {quota} files.")
            try:
                if fails_file():
                    outcome.failed[key] = FAULT_FAILURE
                    continue
                instance = read()
                added = sum(map(len, instance.frames.values()))
                self._store.settings.check_limit("metadata", size + added)  # before they fill the memory
                size += added
                instances[key] = instance
            except LimitExceededError as error:
                outcome.failed[key] = _limit_failure(error)
            except NotImportable as error:
                outcome.failed[key] = Failure(error.message)
            except ImportError as error:
                log.warning("%s", error)  # it has the command, in characters that a message cannot have
                raise _JobFailed(NO_PYDICOM) from None
            if number % FILES_PER_LINE == 0:
                log.info("import job %s: %d files read", job.job_id, number)
        return instances, outcome

    def _write_outputs(self, job: ImportJob, outcome: Outcome) -> None:
        if self._objects is None:  # so the import is one of the seed
            log.info("import job %s: no outputs are written, without the setting s3", job.job_id)
            return
        bucket, prefix = split_uri(job.output_s3_uri)
        try:
            for name, content in write_outputs(job, outcome):
                if job.work.is_cancelled:
                    return
                self._objects.write(bucket, prefix + name, content)
        except ObjectError as error:
            raise _JobFailed(_to_message(f"Output cannot be written - {error}")) from None

    def _import(self, job: ImportJob, instances: dict[str, Instance], outcome: Outcome) -> None:
        """Write the image set of instances that agree, and note the outcome of their files."""
        if self._store.settings.tombstones:
            deleted = find_deleted(self._store, job.datastore_id, instances)
            outcome.failed |= dict.fromkeys(deleted, TOMBSTONE)
            instances = {key: instance for key, instance in instances.items() if key not in deleted}
        if not instances:
            return
        try:
            outcome.imported |= dict.fromkeys(instances, self._write(job, instances))
        except LimitExceededError as error:
            outcome.failed |= dict.fromkeys(instances, _limit_failure(error))
        except InvalidError as error:
            outcome.failed |= dict.fromkeys(instances, Failure(f"The emulator cannot store it: {error.message}."))
        except NotImportable as error:
            outcome.failed |= dict.fromkeys(instances, Failure(error.message))

    def _write(self, job: ImportJob, instances: dict[str, Instance]) -> Imported:
        """Add an image set, or join the one that is there; look again if others have changed it meanwhile.

        A write that has locked the image set ends before.
        """
        while True:
            revision = self._store.revision
            group = find_group(self._store, job.datastore_id, instances)
            if group.target is not None and group.target.transition is not None:
                self._store.finish(group.target.transition)
                continue
            if group.target is not None and group.target.latest.image_set_state == "LOCKED":  # a test has put it there
                raise InvalidError(f"image set {group.target.image_set_id} is LOCKED")
            with suppress(ReadAgain):
                return self._join(job, group, group.target) if group.target else self._add(job, group, revision)

    def _add(self, job: ImportJob, group: Group, revision: int) -> Imported:
        id, instances = make_id(), list(group.instances.values())
        metadata = self._make_metadata(make_document(instances), job.datastore_id, id)
        frames = {id: content for each in instances for id, content in each.frames.items()}
        with self._store.change(set()) as change:
            _require_wanted(job, change)
            change.require_revision(revision)
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

    def _join(self, job: ImportJob, group: Group, target: ImageSet) -> Imported:
        """Add instances to a primary image set as its next version.

        Raises ``ReadAgain`` if others have changed it meanwhile.
        """
        instances = list(group.instances.values())
        stored = metadata_of(target.latest, target.datastore_id, target.image_set_id).parse()
        merged = merge_documents(stored, instances)
        metadata = self._make_metadata(merged, target.datastore_id, target.image_set_id)
        frames = {id: content for each in instances for id, content in each.frames.items()}
        with self._store.change(set()) as change:
            _require_wanted(job, change)
            if self._store.find(target.datastore_id, target.image_set_id) is not target:
                raise ReadAgain
            draft = change.image_set(target.datastore_id, target.image_set_id)
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

    def _make_metadata(self, document: dict[str, Any], datastore_id: str, image_set_id: str) -> Metadata:
        metadata = Metadata(document, datastore_id, image_set_id)
        if self._store.is_too_large(metadata):
            raise NotImportable(METADATA_TOO_LARGE)
        return metadata


def _limit_failure(error: LimitExceededError) -> Failure:
    return Failure(f"The emulator's limit is exceeded: {error.detail}.")


def _read_object(reader: FileReader, objects: ObjectStore, bucket: str, key: str) -> Instance:
    try:
        return reader.read(objects.read(bucket, key))
    except ObjectError as error:
        raise NotImportable(error.message) from None


def _list_seeded(seeded: SeededImport) -> Iterator[File]:
    """Yield the files that a seed gives. Raises ``_JobFailed``."""
    if seeded.failure is not None:
        raise _JobFailed(seeded.failure)
    for key, found in seeded.files.items():
        yield key, partial(_take_seeded, found)


def _take_seeded(found: Instance | str) -> Instance:
    if isinstance(found, str):
        raise NotImportable(found)
    return found


def _require_wanted(job: ImportJob, change: Change) -> None:
    """Raise ``_JobFailed`` for a job that a reset has dropped, or whose data store is deleted; under the lock."""
    if job.work.is_cancelled:
        raise _JobFailed(CANCELLED)
    if change.datastore(job.datastore_id).status != "ACTIVE":
        raise _JobFailed(NOT_ACTIVE)


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
