"""Data stores, image sets and versions as they are stored: frozen values, replaced whole; no shape of a response."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import msgspec
from msgspec import Struct, structs

from ..clock import timestamp
from ..documents import explain
from ..errors import InvalidError, invalid, suggestion
from .history import History
from .metadata import Metadata
from .shapes.datastore import DatastoreStatus, LosslessStorageFormat
from .shapes.identifiers import DatastoreId, ImageSetExternalVersionId, ImageSetId, Message, Timestamp
from .shapes.image_set import ImageSetState, ImageSetWorkflowStatus, Overrides
from .shapes.import_job import ImportConfiguration, JobStatus

if TYPE_CHECKING:
    from datetime import datetime

    from .transitions import Transition


BEING_WRITTEN = ("COPYING", "IMPORTING", "UPDATING", "UPDATING_FOR_STUDY_CONSISTENCY")
"""Statuses of a LOCKED version whose metadata is not there yet."""


class Version(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, rename="camel"):
    """One version of an image set. Times are epoch seconds.

    ``created_at`` is the creation of the image set, the same on all its versions; ``updated_at`` is when this version
    last changed. Without ``metadata``, a small document is made from the ids when it is read.
    """

    version_id: ImageSetExternalVersionId
    image_set_state: ImageSetState
    image_set_workflow_status: ImageSetWorkflowStatus | None = msgspec.field(
        default=None, name="ImageSetWorkflowStatus"
    )
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None
    deleted_at: Timestamp | None = None
    message: Message | None = None
    overrides: Overrides | None = None
    is_primary: bool | None = None
    metadata: Metadata | None = None

    @property
    def number(self) -> int:
        """The place in the history: versions are ordered by it."""
        return int(self.version_id)

    @property
    def is_being_written(self) -> bool:
        """Whether the metadata of the version is not there yet."""
        return self.image_set_state == "LOCKED" and self.image_set_workflow_status in BEING_WRITTEN


class VersionMembers(TypedDict, total=False):
    """The members of a ``Version`` that a test may set. Times are also datetimes, or strings in RFC 3339."""

    image_set_state: ImageSetState
    image_set_workflow_status: ImageSetWorkflowStatus | None
    created_at: float | datetime | str | None
    updated_at: float | datetime | str | None
    deleted_at: float | datetime | str | None
    message: str | None
    overrides: Overrides | None
    is_primary: bool | None
    metadata: Any


class Datastore(Struct, frozen=True, kw_only=True, gc=False):
    """A data store. ``transition`` is the one under way, while it is CREATING or DELETING."""

    datastore_id: str
    name: str | None = None
    status: DatastoreStatus = "ACTIVE"
    created_at: float | None = None
    updated_at: float | None = None
    kms_key_arn: str | None = None
    lambda_authorizer_arn: str | None = None
    lossless_storage_format: LosslessStorageFormat = "HTJ2K"
    tags: Mapping[str, str] = {}
    transition: Transition | None = None


class Work:
    """Work that goes on in a thread, and whether anybody still wants it. The lock of the store guards its fields."""

    __slots__ = ("_waiting", "done", "failure", "is_cancelled", "message")

    def __init__(self) -> None:
        self._waiting: set[threading.Event] = set()
        self.done = threading.Event()
        self.is_cancelled = False
        self.failure: str | None = None
        self.message: str | None = None

    @contextmanager
    def waiting(self) -> Iterator[threading.Event]:
        """Yield an event for one request, which is set when the work has ended; a server that stops sets it, too."""
        ended = threading.Event()
        self._waiting.add(ended)
        if self.done.is_set():
            ended.set()
        try:
            yield ended
        finally:
            self._waiting.discard(ended)

    def wake(self) -> None:
        """End the waits for the work, which is done."""
        for ended in [*self._waiting]:
            ended.set()


class ImportJob(Struct, frozen=True, kw_only=True, gc=False):
    """An import job, and its ``work``. ``transition`` is the one under way, until it has ended."""

    job_id: str
    datastore_id: str
    name: str | None
    status: JobStatus
    data_access_role_arn: str
    input_s3_uri: str
    output_s3_uri: str
    submitted_at: float
    work: Work
    ended_at: float | None = None
    message: str | None = None
    import_configuration: ImportConfiguration | None = None
    transition: Transition | None = None


class Copy(Struct, frozen=True, gc=False, rename="camel"):
    """A copy between a version of an image set and a version of another: ``to`` the other, or ``from`` it."""

    version_id: str
    direction: Literal["from", "to"]
    other_image_set_id: str
    other_version_id: str


MOST_COPIES = 100
"""Copies that an image set remembers; older ones are forgotten."""


class ImageSet(Struct, frozen=True, kw_only=True, gc=False):
    """An image set. ``transition`` is the one under way, if an operation locked the latest version.

    ``frames`` are the bytes of its frames by their ids, shared with all copies and accounts. ``copies`` are the last
    copies from it and to it, oldest first.
    """

    datastore_id: str
    image_set_id: str
    history: History[Version]
    transition: Transition | None = None
    frames: Mapping[str, bytes] = {}
    tags: Mapping[str, str] = {}
    copies: tuple[Copy, ...] = ()

    @property
    def latest(self) -> Version:
        """The latest version."""
        return self.history.last

    def version(self, version_id: str | None) -> Version | None:
        """Return a version, by default the latest; None if there is no such version."""
        return self.latest if version_id is None else find_version(self.history, version_id)


def without_contents(record: ImageSet, original: ImageSet | None) -> ImageSet:
    """Return an image set without frames, and without the documents of versions that ``original`` does not share.

    This takes time in proportion to the versions that the account has added, or to all, if a test has replaced or
    removed one.
    """
    history = record.history.map_own(_without_metadata, original.history if original else None)
    return structs.replace(record, history=history, frames={})


def _without_metadata(version: Version) -> Version:
    return version if version.metadata is None else structs.replace(version, metadata=None)


def find_version(history: History[Version], version_id: str) -> Version | None:
    """Return the version of an id, or None. Raises ``InvalidError`` for an id that is no string."""
    if not isinstance(version_id, str):
        raise invalid("version_id", version_id, "a string of digits")
    found = history.find(int(version_id)) if re.fullmatch("[0-9]{1,18}", version_id) else None
    return found if found is not None and found.version_id == version_id else None


class NewVersionMembers(VersionMembers, total=False):
    """The members of a new version; by default it has the next number."""

    version_id: str


def check_ids(datastore_id: Any, image_set_id: Any) -> None:
    """Check the ids of an image set that a test adds. Raises ``InvalidError`` for one that breaks AWS's model."""
    for name, id, type in (("data store", datastore_id, DatastoreId), ("image set", image_set_id, ImageSetId)):
        try:
            msgspec.convert(id, type)
        except msgspec.ValidationError:
            raise invalid(f"{name} id", id, "32 digits or lower-case letters") from None


def check_version(members: dict[str, Any], datastore_id: str, image_set_id: str) -> Version:
    """Build a version from members that a test gives. Raises ``InvalidError`` for one that breaks AWS's model."""
    for name in members.keys() - set(Version.__struct_fields__):
        raise InvalidError(f"invalid member {name!r}{suggestion(name, Version.__struct_fields__)}")
    times = {name: timestamp(time) for name, time in members.items() if name.endswith("_at") and time is not None}
    metadata = read_metadata(members.get("metadata"), datastore_id, image_set_id)
    try:
        version = Version(**(members | times | {"metadata": None}))
        checked = msgspec.convert(msgspec.to_builtins(version), Version)
    except msgspec.ValidationError as error:
        rule, path = explain(error, Version)
        raise InvalidError(rule, path=path) from None
    except TypeError as error:
        raise InvalidError(f"invalid version: {error}") from None
    return structs.replace(checked, metadata=metadata)


def read_metadata(given: Any, datastore_id: str, image_set_id: str) -> Metadata | None:
    """Return the document of a version that a test gives. Raises ``InvalidError``."""
    if given is None or isinstance(given, Metadata):
        return given
    try:
        return Metadata(given, datastore_id, image_set_id)
    except InvalidError as error:
        raise InvalidError(error.message, path=error.path.replace("$", "$.metadata", 1)) from None


msgspec.json.Decoder(Version)  # two threads that prepare a type at the same time crash Python (msgspec 0.22)
