"""ListImageSetVersions: the history of one image set, newest version first, page by page.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_ListImageSetVersions.html
"""

from typing import Annotated

from msgspec import Struct, field

from ...aws import errors
from ...aws.members import label, query
from ...aws.operation import Operation
from ..context import Context
from ..records import Version
from ..shapes.identifiers import (
    DatastoreId,
    ImageSetExternalVersionId,
    ImageSetId,
    MaxResults,
    Message,
    NextToken,
    Timestamp,
)
from ..shapes.image_set import ImageSetState, ImageSetWorkflowStatus, Overrides


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_id: Annotated[DatastoreId, label()]
    image_set_id: Annotated[ImageSetId, label()]
    next_token: Annotated[NextToken | None, query()] = None
    max_results: Annotated[MaxResults | None, query()] = None


class ImageSetProperties(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One version. The capital I on the wire is AWS's, in this operation only."""

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


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """One page; the last one has no token."""

    image_set_properties_list: tuple[ImageSetProperties, ...]
    next_token: NextToken | None = None


def list_image_set_versions(input: Input, context: Context) -> Output:
    """Return one page. Raises ``ResourceNotFoundException``, and ``ValidationException`` for a token of another list.

    A token names a version and not an offset, so a version added between two pages repeats and skips no entry.
    """
    start = context.listing.start_key()
    image_set = context.image_set(input.datastore_id, input.image_set_id)
    history = image_set.history
    end = history.index_of(int(start)) if start else len(history)
    first = max(0, end - (input.max_results or context.listing.page_size))
    if end == len(history):
        context.meet(image_set)
    versions = history[first:end][::-1]
    return Output(
        image_set_properties_list=tuple([_entry(version, input.image_set_id) for version in versions]),
        next_token=context.listing.next_token(versions[-1].version_id) if first else None,
    )


def _entry(version: Version, image_set_id: str) -> ImageSetProperties:
    return ImageSetProperties(
        image_set_id=image_set_id,
        version_id=version.version_id,
        image_set_state=version.image_set_state,
        image_set_workflow_status=version.image_set_workflow_status,
        created_at=version.created_at,
        updated_at=None if version.version_id == "1" else version.updated_at,  # as AWS's sample shows it
        deleted_at=version.deleted_at,
        message=version.message,
        overrides=version.overrides,
        is_primary=version.is_primary,
    )


LIST_IMAGE_SET_VERSIONS = Operation(
    name="ListImageSetVersions",
    method="POST",
    path="/datastore/{datastoreId}/imageSet/{imageSetId}/listImageSetVersions",
    host_prefix="runtime-",
    input=Input,
    output=Output,
    handler=list_image_set_versions,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ConflictException,
        errors.ResourceNotFoundException,
    ),
)
