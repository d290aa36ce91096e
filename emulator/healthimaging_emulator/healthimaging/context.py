"""The context of one request: everything that an operation may use besides its input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from msgspec import Struct

from ..aws.authorization import Caller
from ..aws.errors import ServiceError, ServiceQuotaExceededException
from ..aws.operation import In, Operation, Out
from ..aws.pagination import Listing
from ..clock import Moment
from ..errors import LimitExceededError
from .change import Change, ReadAgain
from .imports.job import Imports
from .messages import datastore_not_active, image_set_not_found, resource_arn
from .metadata import Metadata
from .records import Datastore, ImageSet, ImportJob
from .store import Store
from .transitions import Pace, Transition


class Workflow(Struct, frozen=True):
    """When an operation that continues after its answer ends, and the message of its ``failure`` if it fails.

    A ``failed_files`` from 0 to 1 is the probability for each file of an import to fail, by a generator with ``seed``.
    """

    pace: Pace
    failure: str | None = None
    failed_files: float = 0.0
    seed: float = 0.0


@dataclass(slots=True)
class Context:
    """The caller, the account's store, the moment, the place in a list, how a workflow ends, and the import jobs."""

    caller: Caller
    store: Store
    moment: Moment
    listing: Listing
    workflow: Workflow
    imports: Imports
    met: set[Transition] = field(default_factory=set)
    ended: list[Transition] = field(default_factory=list)

    def meet(self, record: ImageSet | Datastore | ImportJob) -> None:
        """Note that the answer shows a state that ends by itself, or is a refusal because of it."""
        if record.transition is not None:
            self.met.add(record.transition)

    def require_active(self, datastore_id: str) -> None:
        """Raise ``ResourceNotFoundException`` or ``ConflictException`` unless a data store is ACTIVE."""
        datastore = self.store.existing_datastore(datastore_id)
        if datastore.status != "ACTIVE":
            self.meet(datastore)
            raise datastore_not_active(datastore_id)

    def image_set(self, datastore_id: str, image_set_id: str) -> ImageSet:
        """Return an image set of a data store that is ACTIVE; the image set may be deleted.

        Raises ``ResourceNotFoundException`` and ``ConflictException``.
        """
        self.require_active(datastore_id)
        return self.store.image_set(datastore_id, image_set_id)

    def existing_image_set(self, datastore_id: str, image_set_id: str) -> ImageSet:
        """Return an image set that is not deleted. Raises ``ResourceNotFoundException`` and ``ConflictException``."""
        image_set = self.image_set(datastore_id, image_set_id)
        if image_set.latest.image_set_state == "DELETED":
            raise image_set_not_found(datastore_id, image_set_id)
        return image_set

    def primaries(self, datastore_id: str) -> Iterator[tuple[ImageSet, Metadata]]:
        """Yield the primary image sets of a data store that are not deleted, each with its latest metadata."""
        for each in self.store.image_sets_of(datastore_id):
            latest = each.latest
            if latest.is_primary and latest.image_set_state != "DELETED" and latest.metadata is not None:
                yield each, latest.metadata

    @contextmanager
    def change(self) -> Iterator[Change]:
        """Check and write in one step; see ``Store.change``.

        Raises ``ServiceQuotaExceededException`` if a limit of the emulator would be exceeded.
        """
        try:
            with self.store.change(self.met) as change:
                yield change
        except LimitExceededError as error:
            raise ServiceQuotaExceededException(f"The emulator's limit is exceeded: {error.detail}.") from None

    def datastore_arn(self, datastore_id: str) -> str:
        """Return the ARN of a data store."""
        return resource_arn(self.caller, {"datastoreId": [datastore_id]})

    def image_set_arn(self, image_set: ImageSet) -> str:
        """Return the ARN of an image set."""
        identifiers = {"datastoreId": [image_set.datastore_id], "imageSetId": [image_set.image_set_id]}
        return resource_arn(self.caller, identifiers)


MAX_TRIES = 5
"""How often an operation is run before it keeps others from writing."""


def run_operation(operation: Operation[In, Out], input: In, context: Context) -> Out:
    """Run an operation, and run it again if others have changed its data meanwhile. Raises ``ServiceError``."""
    for _ in range(MAX_TRIES):
        with suppress(ReadAgain):
            return _try_operation(operation, input, context)
    with context.store.hold():  # others are too fast: keep them from writing, for once
        while True:  # until no transition that is due comes between
            with suppress(ReadAgain):
                return _try_operation(operation, input, context)


def _try_operation(operation: Operation[In, Out], input: In, context: Context) -> Out:
    context.met.clear()
    context.store.settle(context.moment)
    refusal: ServiceError | None = None
    try:
        output = operation.handler(input, context)
    except ServiceError as error:
        refusal = error
    if context.met:
        ended = context.store.count_reads(context.met)
        if ended is None:
            raise ReadAgain
        context.ended = ended
    if refusal:
        raise refusal
    return output
