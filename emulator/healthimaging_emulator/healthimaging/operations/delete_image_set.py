"""DeleteImageSet: delete an image set with all its versions.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_DeleteImageSet.html
"""

from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import label
from ...aws.operation import Operation
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


DELETE_IMAGE_SET = Operation(
    name="DeleteImageSet",
    method="POST",
    path="/datastore/{datastoreId}/imageSet/{imageSetId}/deleteImageSet",
    host_prefix="runtime-",
    input=Input,
    output=Output,
    is_asynchronous=True,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ConflictException,
        errors.ResourceNotFoundException,
    ),
)
