"""The shapes that operations and seeds share, each with its constraints.

Names, members and constraints are those of AWS's model (service id ``medical-imaging``, API version 2023-07-19).
A constraint is declared here once: msgspec enforces it where a document is decoded, ``validation`` reads it back for
a request's input.
"""

from __future__ import annotations

import functools
from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, convert, field, inspect, json


def matching(pattern: str, **limits: Any) -> Meta:
    r"""Hold a whole string to a model's pattern, which ``extra`` keeps as AWS prints it.

    The anchors are needed because msgspec searches, and ``$`` would let a final newline pass. Java's ``\w`` and ``\d``
    are ASCII, and ``\p{ASCII}`` is unknown to Python's ``re`` and to JSON Schema.
    """
    portable = pattern.replace(r"\p{ASCII}", r"[\x00-\x7F]").replace(r"\w", "A-Za-z0-9_").replace(r"\d", "[0-9]")
    return Meta(pattern=rf"^(?:{portable})(?![\s\S])", extra={"pattern": pattern}, **limits)


DatastoreId = Annotated[str, matching("[0-9a-z]{32}")]
ImageSetId = Annotated[str, matching("[0-9a-z]{32}")]
ImageSetExternalVersionId = Annotated[str, matching(r"\d+", max_length=18)]  # the length is ours: tokens hold it
Message = Annotated[str, matching(r"[\w -:`]+", min_length=1, max_length=2048)]
NextToken = Annotated[str, matching(r"\p{ASCII}{0,8192}", min_length=1, max_length=8192)]
MaxResults = Annotated[int, Meta(ge=1, le=50)]
YEAR_10000 = 253402300800  # in epoch seconds: Python, and so boto3, knows no later year
Timestamp = Annotated[float, Meta(ge=0, lt=YEAR_10000)]

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


class Overrides(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Whether force was used to make a version."""

    forced: bool | None = None


class ImageSetProperties(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """One version of an image set, as ``ListImageSetVersions`` returns it. Times are epoch seconds.

    ``created_at`` is the image set's creation, the same on all its versions; ``updated_at`` is when this version last
    changed, and absent on version 1 (AWS's documentation sample). The capital I on the wire is AWS's, in this
    operation only.
    """

    image_set_id: ImageSetId
    version_id: ImageSetExternalVersionId
    image_set_state: ImageSetState
    image_set_workflow_status: ImageSetWorkflowStatus | None = field(default=None, name="ImageSetWorkflowStatus")
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None
    deleted_at: Timestamp | None = None
    message: Message | None = None
    overrides: Overrides | None = None
    is_primary: bool | None = None

    @property
    def number(self) -> int:
        """The version's place in the history: versions are ordered by it."""
        return int(self.version_id)


def is_text(value: str) -> bool:
    """Whether a string is Unicode text, which can be sent: half of a surrogate pair is none."""
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


_parsed = functools.partial(convert, type=datetime)  # the real one, whatever freezegun puts in its place


def timestamp(time: float | datetime | str) -> float:
    """Return epoch seconds as the wire has them, to the millisecond; a text is in RFC 3339.

    Raises ``ValueError`` for a time without an offset, or outside the years 1970 to 9999.
    """
    if type(time) is not float:
        time = _parsed(time) if isinstance(time, str) else time
        if isinstance(time, datetime):
            if time.tzinfo is None:
                raise ValueError("a time needs an offset from UTC")
            time = time.timestamp()
    if not 0 <= time < YEAR_10000 - 0.0005:  # which rounds up
        raise ValueError("a time must lie in the years 1970 to 9999, in epoch seconds")
    return int(float(time) * 1000 + 0.5) / 1000  # as round(time, 3) but for ties, in a third of its time


@functools.cache
def members(shape: type[Struct]) -> tuple[inspect.Field, ...]:
    """Return what a shape declares of each member: its names, its type and its constraints."""
    type_info = inspect.type_info(shape)
    assert isinstance(type_info, inspect.StructType)
    return type_info.fields


def prepare(*types: Any) -> None:
    """Let msgspec get to know types before there are threads: two that do so at once crash Python (seen with 0.22)."""
    for type in types:
        json.Decoder(type)


prepare(ImageSetProperties)
