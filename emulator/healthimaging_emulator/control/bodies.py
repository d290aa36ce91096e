"""Bodies of the control API's requests and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, structs

from ..faults.engine import FaultStatus
from ..healthimaging.records import Version
from ..healthimaging.shapes.identifiers import ImageSetExternalVersionId
from ..interfaces import ResetScope
from ..journal import Call
from ..seeds.document import SeedVersion, SeedVersionMembers, Time


class _Body(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    pass


class Health(_Body, frozen=True):
    """The emulator is ready: it listens only when every seed is loaded."""

    status: str


class Reset(_Body, frozen=True):
    """The parts to reset; by default all."""

    only: list[ResetScope] | None = None


class AccountName(_Body, frozen=True):
    """The name of the test that opens its account."""

    name: Annotated[str, Meta(min_length=1, max_length=1000)]


class StrayRequest(_Body, frozen=True):
    """A request of a test account that was not open, and the test that had it before, if one had."""

    account: str
    test: str | None
    method: str
    path: str


class StrayList(_Body, frozen=True):
    """The last strays, oldest first."""

    strays: list[StrayRequest]


class FaultList(_Body, frozen=True):
    """Faults in the order in which they are tried; of those that never fired, the nearest miss by their ids."""

    faults: list[FaultStatus]
    misses: dict[str, str] = {}


class CallList(_Body, frozen=True):
    """Calls, newest last, and how many older ones were dropped."""

    calls: list[Call]
    dropped: int


class EventList(_Body, frozen=True):
    """Events as EventBridge delivers them, oldest first."""

    events: list[dict[str, Any]]


class ClockState(_Body, frozen=True):
    """The date of the account in epoch seconds, and whether time stands still."""

    now: float
    is_frozen: bool


class ClockChange(_Body, frozen=True):
    """One of three: stop at a date (or at the present one), advance by seconds, or run on."""

    freeze: Time | bool | None = None
    advance: float | None = None
    run: bool | None = None


class NewVersion(SeedVersionMembers, frozen=True, kw_only=True):
    """A version to append, or to put in the place of another, now or in ``after`` seconds of the account's clock."""

    version_id: ImageSetExternalVersionId | None = None
    metadata: dict[str, Any] | None = None
    after: Annotated[float, Meta(ge=0)] = 0.0

    def members(self) -> dict[str, Any]:
        """Return the members that are given, in Python's spelling."""
        given = {name: value for name, value in structs.asdict(self).items() if value is not None}
        return {name: value for name, value in given.items() if name != "after"}


class DatastoreSummary(_Body, frozen=True):
    """A data store."""

    datastore_id: str


class DatastoreList(_Body, frozen=True):
    """All data stores."""

    datastores: list[DatastoreSummary]


class ImageSetSummary(_Body, frozen=True, kw_only=True):
    """An image set, with its latest version."""

    image_set_id: str
    latest: SeedVersion


class ImageSetList(_Body, frozen=True):
    """A page of image sets in the order of their ids; ``next`` is the ``after`` of the next page, if there is one."""

    image_sets: list[ImageSetSummary]
    next: str | None = None


class VersionList(_Body, frozen=True):
    """The versions of an image set, newest first, without their metadata."""

    versions: list[SeedVersion]


class TransitionState(_Body, frozen=True):
    """A transition under way: how many more requests may see it, and in how many seconds it is due.

    One of a data store or a job has its id as ``resource_id``.
    """

    operation: str
    image_set_ids: list[str]
    reads: int | None
    seconds: float | None
    resource_id: str | None = None


class TransitionList(_Body, frozen=True):
    """Transitions under way, oldest first."""

    transitions: list[TransitionState]


class ErrorDetail(_Body, frozen=True):
    """The mistake, and the path to it inside the body."""

    code: Literal["BadRequest", "LimitExceeded", "Forbidden", "NotFound", "Conflict", "InternalError"]
    message: str
    path: str | None = None


class ErrorBody(_Body, frozen=True):
    """Every error of the control API."""

    error: ErrorDetail


def show_version(version: Version, image_set_id: str) -> SeedVersion:
    """Return a version in the spelling of seeds, without its metadata."""
    members = msgspec.to_builtins(structs.replace(version, metadata=None))
    return msgspec.convert({"imageSetId": image_set_id} | members, SeedVersion)
