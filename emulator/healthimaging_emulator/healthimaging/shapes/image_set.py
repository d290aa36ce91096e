"""Image sets and their versions."""

from typing import Literal

from msgspec import Struct

ImageSetState = Literal["ACTIVE", "LOCKED", "DELETED"]
ImageSetWorkflowStatus = Literal[
    "CREATED",
    "COPIED",
    "COPYING",
    "COPYING_WITH_READ_ONLY_ACCESS",
    "COPY_FAILED",
    "UPDATING",
    "UPDATING_FOR_STUDY_CONSISTENCY",
    "UPDATED",
    "UPDATE_FAILED",
    "DELETING",
    "DELETED",
    "IMPORTING",
    "IMPORTED",
    "IMPORT_FAILED",
]
StorageTier = Literal["FREQUENT_ACCESS", "ARCHIVE_INSTANT_ACCESS"]


class Overrides(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Whether force was used to make a version."""

    forced: bool | None = None
