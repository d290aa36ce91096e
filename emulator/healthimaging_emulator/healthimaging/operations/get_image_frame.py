"""GetImageFrame: the pixels of one frame, as they are stored.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_GetImageFrame.html
"""

from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import header, label, payload
from ...aws.operation import Operation
from ..shapes.identifiers import DatastoreId, ImageFrameId, ImageSetId


class ImageFrameInformation(Struct, frozen=True, kw_only=True, rename="camel"):
    """The frame."""

    image_frame_id: ImageFrameId


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_id: Annotated[DatastoreId, label()]
    image_set_id: Annotated[ImageSetId, label()]
    image_frame_information: Annotated[ImageFrameInformation, payload()]


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    image_frame_blob: Annotated[bytes, payload()]
    content_type: Annotated[str | None, header("Content-Type")] = None


GET_IMAGE_FRAME = Operation(
    name="GetImageFrame",
    method="POST",
    path="/datastore/{datastoreId}/imageSet/{imageSetId}/getImageFrame",
    host_prefix="runtime-",
    input=Input,
    output=Output,
    identifiers={
        "datastoreId": ("datastore_id",),
        "imageSetId": ("image_set_id",),
        "imageFrameId": ("image_frame_information.image_frame_id",),
    },
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ConflictException,
        errors.ResourceNotFoundException,
        errors.NotAcceptableException,
        errors.BadRequestException,
    ),
)
