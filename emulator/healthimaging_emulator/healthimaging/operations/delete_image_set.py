"""DeleteImageSet: delete an image set with all its versions.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_DeleteImageSet.html
"""

from functools import partial
from typing import Annotated

from msgspec import Struct, structs

from ...aws import errors
from ...aws.errors import ServiceQuotaExceededException, ThrottlingException
from ...aws.members import label
from ...aws.operation import Operation
from ..context import Context
from ..records import Version
from ..shapes.identifiers import DatastoreId, ImageSetId
from ..shapes.image_set import ImageSetState, ImageSetWorkflowStatus


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_id: Annotated[DatastoreId, label()]
    image_set_id: Annotated[ImageSetId, label()]


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    datastore_id: DatastoreId
    image_set_id: ImageSetId
    image_set_state: ImageSetState
    image_set_workflow_status: ImageSetWorkflowStatus


def delete_image_set(input: Input, context: Context) -> Output:
    """Begin to delete an image set: its latest version is LOCKED and DELETING, and becomes DELETED by itself.

    Raises ``ResourceNotFoundException``, also for an image set that is deleted, ``ConflictException``, and
    ``ThrottlingException`` if a quota is exceeded.
    """
    context.require_active(input.datastore_id)
    with context.change() as change:
        image_set = change.image_set(input.datastore_id, input.image_set_id)
        image_set.require_existing()
        image_set.require_unlocked()
        try:
            change.require_quota_under_way("deletions", "DeleteImageSet", input.datastore_id)
        except ServiceQuotaExceededException as error:  # which AWS's model does not have for this operation
            raise ThrottlingException(error.message) from None
        before, date = image_set.latest, change.moment.date
        deleting = structs.replace(
            before, image_set_state="LOCKED", image_set_workflow_status="DELETING", updated_at=date, message=None
        )
        image_set.replace_latest(deleting)
        end = partial(_keep, before) if context.workflow.failure else partial(_delete, deleting)
        change.begin_transition("DeleteImageSet", context.workflow.pace, {image_set: end})
    return Output(
        datastore_id=input.datastore_id,
        image_set_id=input.image_set_id,
        image_set_state="LOCKED",
        image_set_workflow_status="DELETING",
    )


def _delete(version: Version, date: float) -> Version:
    return structs.replace(
        version, image_set_state="DELETED", image_set_workflow_status="DELETED", updated_at=date, deleted_at=date
    )


def _keep(version: Version, _: float) -> Version:
    return version


DELETE_IMAGE_SET = Operation(
    name="DeleteImageSet",
    method="POST",
    path="/datastore/{datastoreId}/imageSet/{imageSetId}/deleteImageSet",
    host_prefix="runtime-",
    input=Input,
    output=Output,
    is_asynchronous=True,
    handler=delete_image_set,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ConflictException,
        errors.ResourceNotFoundException,
    ),
)
