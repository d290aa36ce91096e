"""Bodies of the control API's requests and answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, structs

from ..faults.engine import FaultStatus
from ..healthimaging.records import Copy, Version
from ..healthimaging.shapes.datastore import DatastoreStatus
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
    """Calls, newest last, and how many older ones were dropped.

    ``first`` is the id of the oldest call, or the next id if there is none. Pass ``last`` as ``after`` to get only
    later changes. With ``is_whole``, all calls are listed: of another journal if the account or the emulator has begun
    anew.
    """

    calls: list[Call]
    dropped: int
    first: int
    last: str
    is_whole: bool = False


class EventList(_Body, frozen=True):
    """Events as EventBridge delivers them, oldest first."""

    events: list[dict[str, Any]]


class FaultChange(_Body, frozen=True):
    """Switch a fault on or off, or move it to a place in the order, from 1."""

    is_on: bool | None = None
    position: Annotated[int, Meta(ge=1)] | None = None


class AccountSummary(_Body, frozen=True):
    """An account, and the name of the test that has opened it, if one has."""

    id: str
    test: str | None = None


class AccountList(_Body, frozen=True):
    """The accounts that have been used."""

    accounts: list[AccountSummary]


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
    status: DatastoreStatus
    name: str | None = None


class DatastoreList(_Body, frozen=True):
    """All data stores."""

    datastores: list[DatastoreSummary]


class ImageSetSummary(_Body, frozen=True, kw_only=True):
    """An image set, with its latest version, and the DICOM attributes by which a search finds it."""

    image_set_id: str
    latest: SeedVersion
    tags: dict[str, str | int]


class ImageSetList(_Body, frozen=True):
    """A page of image sets in the order of their ids; ``next`` is the ``after`` of the next page, if there is one."""

    image_sets: list[ImageSetSummary]
    next: str | None = None


class VersionList(_Body, frozen=True):
    """The versions of an image set, newest first, without their metadata; and its last copies, oldest first."""

    versions: list[SeedVersion]
    copies: Sequence[Copy] = ()


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
