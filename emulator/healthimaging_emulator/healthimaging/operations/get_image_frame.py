"""GetImageFrame: the pixels of one frame, as they are stored.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_GetImageFrame.html
"""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import header, label, payload
from ...aws.operation import Operation
from ..context import Context
from ..frames import content_type_of
from ..messages import frame_not_found
from ..metadata import Metadata
from ..records import ImageSet
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


def get_image_frame(input: Input, context: Context) -> Output:
    """Return a frame that any version of the image set names. Raises ``ResourceNotFoundException``."""
    image_set = context.existing_image_set(input.datastore_id, input.image_set_id)
    frame_id = input.image_frame_information.image_frame_id
    for metadata in _documents(image_set):
        if frame_id in metadata.frames and frame_id in image_set.frames:
            context.store.touch((input.datastore_id, input.image_set_id), context.moment.date)
            content_type = content_type_of(metadata.frames[frame_id])
            return Output(image_frame_blob=image_set.frames[frame_id], content_type=content_type)
    raise frame_not_found(frame_id, input.image_set_id)


def _documents(image_set: ImageSet) -> Iterator[Metadata]:
    """Yield the different documents of an image set, newest first."""
    before: Metadata | None = None
    for index in range(len(image_set.history) - 1, -1, -1):
        metadata = image_set.history[index].metadata
        if metadata is not None and metadata is not before:
            yield metadata
        before = metadata


GET_IMAGE_FRAME = Operation(
    name="GetImageFrame",
    method="POST",
    path="/datastore/{datastoreId}/imageSet/{imageSetId}/getImageFrame",
    host_prefix="runtime-",
    input=Input,
    output=Output,
    handler=get_image_frame,
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
