"""Histories made from a few numbers: the same numbers give the same history on every machine."""

from __future__ import annotations

from random import Random

from ..errors import InvalidError
from ..healthimaging.history import History
from ..healthimaging.metadata import Metadata
from ..healthimaging.records import Version
from ..healthimaging.shapes.image_set import ImageSetWorkflowStatus
from .document import DEFAULT_CREATED_AT

LONGEST_SPAN = 366 * 86400.0
"""Seconds from the first version to the last are fewer than this."""

_LONGEST_PAUSE = 3600.0
_SUCCESS: tuple[ImageSetWorkflowStatus, None] = ("UPDATED", None)
_FAILURES: tuple[tuple[ImageSetWorkflowStatus, str], ...] = (
    ("UPDATE_FAILED", "INVALID_REQUEST:  The update of the ImageSet metadata is not valid."),
    ("COPY_FAILED", "INVALID_REQUEST:  Series of SourceImageSet and DestinationImageSet don't match."),
)


def make_history(
    versions: int,
    *,
    failed: int = 0,
    seed: int = 0,
    created_at: float = DEFAULT_CREATED_AT,
    metadata: Metadata | None = None,
    is_primary: bool | None = None,
) -> History[Version]:
    """Return a history in which ``failed`` versions record a failed action; it spans a year at most.

    It keeps to AWS's sample: one ``createdAt``, no ``updatedAt`` on version 1, a failure as a version of its own that
    is ACTIVE and has a message. Raises ``InvalidError`` if ``failed`` is not less than ``versions``.
    """
    if failed >= versions:
        raise InvalidError("failed must be less than versions, since version 1 never fails")
    random = Random(seed).random  # of the module, only ``random`` gives the same numbers in every Python
    longest_pause = min(_LONGEST_PAUSE, 365 * 86400 / versions)
    updated_at = created_at
    first = Version(
        version_id="1",
        image_set_state="ACTIVE",
        image_set_workflow_status="CREATED",
        created_at=created_at,
        metadata=metadata,
        is_primary=is_primary,
    )
    made = [first]
    for number in range(2, versions + 1):
        updated_at += 0.001 + random() * longest_pause
        fails = random() * (versions + 1 - number) < failed  # chooses exactly ``failed`` of them, evenly
        failed -= fails
        status, message = _FAILURES[int(random() * len(_FAILURES))] if fails else _SUCCESS
        made.append(
            Version(
                version_id=str(number),
                image_set_state="ACTIVE",
                image_set_workflow_status=status,
                created_at=created_at,
                updated_at=round(updated_at, 3),
                message=message,
                metadata=metadata,
                is_primary=is_primary,
            )
        )
    return History.of(made)
