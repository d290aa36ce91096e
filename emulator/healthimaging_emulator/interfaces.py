"""The interface of an account, the same in this process (``Account``) and over HTTP (``RemoteAccount``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .faults.engine import FaultStatus
from .faults.fault import Fault
from .healthimaging.records import NewVersionMembers, Version, VersionMembers
from .healthimaging.shapes.image_set import ImageSetState
from .journal import JournalSnapshot

if TYPE_CHECKING:
    from typing_extensions import Unpack

ResetScope = Literal["changes", "faults", "calls", "clock"]
RESET_SCOPES: tuple[ResetScope, ...] = ("changes", "faults", "calls", "clock")


class FaultsInterface(Protocol):
    """The faults of an account, in the order in which they are tried."""

    def add(self, *faults: Fault | Mapping[str, Any]) -> list[FaultStatus]:
        """Add faults at the end, all or none, and return them with their ids.

        A fault may be a mapping in the wire's spelling. Raises ``InvalidError``, ``ConflictError`` for an id that is
        taken, or ``LimitExceededError``.
        """
        ...

    def remove(self, id: str) -> None:
        """Remove a fault, and end the stalls and delays that it causes. Raises ``NotFoundError``."""
        ...

    def switch(self, id: str, *, on: bool) -> None:
        """Switch a fault on or off. Off, its stalls and delays end, and it keeps its place and its counts.

        Raises ``NotFoundError``.
        """
        ...

    def move(self, id: str, position: int) -> None:
        """Move a fault to a place in the order, from 1; a larger number than there are faults means the end.

        Raises ``NotFoundError``, and ``InvalidError`` for a place below 1.
        """
        ...

    def clear(self) -> None:
        """Remove all faults."""
        ...

    def __getitem__(self, id: str) -> FaultStatus:
        """Return a fault with its counts. Raises ``NotFoundError``."""
        ...

    def __iter__(self) -> Iterator[FaultStatus]: ...

    def __len__(self) -> int: ...


class ClockInterface(Protocol):
    """The clock of an account. All times and durations follow it, except those of the network."""

    def now(self) -> float:
        """Return the date, in epoch seconds with milliseconds."""
        ...

    @property
    def is_frozen(self) -> bool:
        """Whether time stands still."""
        ...

    def freeze(self, at: float | datetime | str | None = None) -> None:
        """Stop at a date, or at the present one. Raises ``InvalidError`` for a date out of range.

        Only the date changes: a fault, a transition or a version that is due in 60 seconds is still due in 60 seconds.
        """
        ...

    def advance(self, seconds: float) -> None:
        """Let time pass, frozen or running. Raises ``InvalidError`` for a step back or past the year 9999."""
        ...

    def run(self) -> None:
        """Run on from the present date."""
        ...


class ImageSetInterface(Protocol):
    """An image set that a test reads and changes.

    Every member raises ``NotFoundError`` if there is no such image set. Reading through it ends no transition.
    """

    @property
    def datastore_id(self) -> str:
        """The id of the data store."""
        ...

    @property
    def image_set_id(self) -> str:
        """The id of the image set."""
        ...

    @property
    def state(self) -> ImageSetState:
        """The state of the latest version: ACTIVE, LOCKED or DELETED."""
        ...

    @property
    def versions(self) -> tuple[Version, ...]:
        """All versions, newest first."""
        ...

    def metadata(self, version_id: str | None = None) -> dict[str, Any]:
        """Return the metadata document of a version, by default of the latest.

        Raises ``NotFoundError`` if there is no such version, or if the image set is deleted.
        """
        ...

    def append(self, *, after: float = 0.0, **members: Unpack[NewVersionMembers]) -> Version | None:
        """Add the next version and return it, or None if it appears only in ``after`` seconds of the account's clock.

        ``image_set_state`` is needed. By default ``version_id`` is the next number, ``created_at`` that of the image
        set, and ``updated_at`` the time when the version appears. Raises ``InvalidError`` for members that break AWS's
        model.
        """
        ...

    def replace(self, version_id: str, *, after: float = 0.0, **members: Unpack[VersionMembers]) -> Version | None:
        """Replace a version completely: no member of the old one is kept. See ``append``.

        Raises ``NotFoundError`` if there is no such version.
        """
        ...

    def remove_version(self, version_id: str) -> None:
        """Remove a version as if it had never been.

        Raises ``NotFoundError`` if there is no such version, and ``InvalidError`` for the only one.
        """
        ...

    def remove(self) -> None:
        """Remove the image set as if it had never been: clients get ResourceNotFoundException."""
        ...

    def finish(self) -> None:
        """Finish now the operation that has locked the image set, if one is under way."""
        ...


class DatastoreInterface(Protocol):
    """A data store that a test reads and fills. Its members raise ``NotFoundError`` if there is no such data store."""

    @property
    def datastore_id(self) -> str:
        """The id of the data store."""
        ...

    @property
    def image_sets(self) -> Iterator[ImageSetInterface]:
        """All image sets in the order of their ids, deleted ones too; fetched page by page from another process."""
        ...

    def image_set(self, image_set_id: str) -> ImageSetInterface:
        """Return a handle to read and change an image set."""
        ...

    def add_image_set(self, image_set_id: str, **members: Unpack[NewVersionMembers]) -> ImageSetInterface:
        """Add an image set; see ``AccountInterface.add_image_set``."""
        ...


class AccountInterface(Protocol):
    """One AWS account: it begins with the seed, and has its own changes, faults, calls and clock."""

    @property
    def id(self) -> str:
        """The account's id, 12 digits."""
        ...

    @property
    def faults(self) -> FaultsInterface:
        """The faults of the account."""
        ...

    @property
    def clock(self) -> ClockInterface:
        """The clock of the account."""
        ...

    @property
    def calls(self) -> JournalSnapshot:
        """The call journal as it is now, oldest call first."""
        ...

    @property
    def events(self) -> Sequence[dict[str, Any]]:
        """The events that the service would have sent to EventBridge, oldest first, as EventBridge delivers them."""
        ...

    @property
    def datastores(self) -> Sequence[DatastoreInterface]:
        """All data stores."""
        ...

    def datastore(self, datastore_id: str) -> DatastoreInterface:
        """Return a handle to read and fill a data store.

        Raises ``NotFoundError`` for an unknown id; in another process, when the handle is first used.
        """
        ...

    def image_set(self, datastore_id: str, image_set_id: str) -> ImageSetInterface:
        """Return a handle to read and change an image set."""
        ...

    def add_image_set(
        self, datastore_id: str, image_set_id: str, **members: Unpack[NewVersionMembers]
    ) -> ImageSetInterface:
        """Add an image set with its version 1, and return a handle.

        By default the version is ACTIVE, CREATED, and created now. Raises ``ConflictError`` if there is one.
        """
        ...

    def reset(self, *only: ResetScope) -> None:
        """Return to the seed, or to the last one put; with ``only``, reset just these parts."""
        ...

    def put_seed(self, *sources: str | Path | Mapping[str, Any]) -> None:
        """Replace the whole state by a seed (files, folders or documents). Later resets return to this seed."""
        ...

    def export_seed(self) -> bytes:
        """Return the present state as a seed, in JSON."""
        ...

    def finish_transitions(self) -> None:
        """Finish now all operations that have answered LOCKED and are still under way."""
        ...

    def forget(self) -> None:
        """Remove the account. Its next use starts from the initial seed."""
        ...
