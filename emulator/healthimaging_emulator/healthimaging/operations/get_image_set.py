"""GetImageSet: the properties of an image set, of its latest version or of another one.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_GetImageSet.html
"""

from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import label, query
from ...aws.operation import Operation
from ..context import Context
from ..messages import version_not_found
from ..shapes.identifiers import Arn, DatastoreId, ImageSetExternalVersionId, ImageSetId, Message, Timestamp
from ..shapes.image_set import ImageSetState, ImageSetWorkflowStatus, Overrides, StorageTier


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_id: Annotated[DatastoreId, label()]
    image_set_id: Annotated[ImageSetId, label()]
    version_id: Annotated[ImageSetExternalVersionId | None, query("version")] = None


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    datastore_id: DatastoreId
    image_set_id: ImageSetId
    version_id: ImageSetExternalVersionId
    image_set_state: ImageSetState
    image_set_workflow_status: ImageSetWorkflowStatus | None = None
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None
    deleted_at: Timestamp | None = None
    message: Message | None = None
    image_set_arn: Arn | None = None
    overrides: Overrides | None = None
    is_primary: bool | None = None
    last_accessed_at: Timestamp | None = None
    storage_tier: StorageTier | None = None


def get_image_set(input: Input, context: Context) -> Output:
    """Return the properties of one version. Raises ``ResourceNotFoundException``."""
    image_set = context.image_set(input.datastore_id, input.image_set_id)
    version = image_set.version(input.version_id)
    if version is None:
        raise version_not_found(str(input.version_id), input.image_set_id)
    if version is image_set.latest:
        context.meet(image_set)
    return Output(
        datastore_id=input.datastore_id,
        image_set_id=input.image_set_id,
        version_id=version.version_id,
        image_set_state=version.image_set_state,
        image_set_workflow_status=version.image_set_workflow_status,
        created_at=version.created_at,
        updated_at=version.created_at if version.updated_at is None else version.updated_at,
        deleted_at=version.deleted_at,
        message=version.message,
        image_set_arn=context.image_set_arn(image_set),
        overrides=version.overrides,
        is_primary=version.is_primary,
        last_accessed_at=context.store.last_accessed((input.datastore_id, input.image_set_id)),
        storage_tier="FREQUENT_ACCESS",
    )


GET_IMAGE_SET = Operation(
    name="GetImageSet",
    method="POST",
    path="/datastore/{datastoreId}/imageSet/{imageSetId}/getImageSet",
    host_prefix="runtime-",
    input=Input,
    output=Output,
    handler=get_image_set,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ConflictException,
        errors.ResourceNotFoundException,
    ),
)
