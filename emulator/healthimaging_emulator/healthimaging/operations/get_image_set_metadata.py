"""GetImageSetMetadata: the metadata document of an image set, compressed.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_GetImageSetMetadata.html
"""

from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import header, label, payload, query
from ...aws.operation import Operation
from ..context import Context
from ..messages import metadata_not_consistent, version_not_found
from ..metadata import metadata_of
from ..shapes.identifiers import DatastoreId, ImageSetExternalVersionId, ImageSetId


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_id: Annotated[DatastoreId, label()]
    image_set_id: Annotated[ImageSetId, label()]
    version_id: Annotated[ImageSetExternalVersionId | None, query("version")] = None


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The document. It is always in gzip, also if the request does not accept that."""

    image_set_metadata_blob: Annotated[bytes, payload()]
    content_type: Annotated[str | None, header("Content-Type")] = None
    content_encoding: Annotated[str | None, header("Content-Encoding")] = None


def get_image_set_metadata(input: Input, context: Context) -> Output:
    """Return the document of one version.

    Raises ``ResourceNotFoundException``, and ``ConflictException`` while the version is being written.
    """
    image_set = context.existing_image_set(input.datastore_id, input.image_set_id)
    version = image_set.version(input.version_id)
    if version is None:
        raise version_not_found(str(input.version_id), input.image_set_id)
    if version.is_being_written:
        if version is image_set.latest:
            context.meet(image_set)
        raise metadata_not_consistent()
    context.store.touch((input.datastore_id, input.image_set_id), context.moment.date)
    return Output(
        image_set_metadata_blob=metadata_of(version, input.datastore_id, input.image_set_id).compressed,
        content_type="application/json",
        content_encoding="gzip",
    )


GET_IMAGE_SET_METADATA = Operation(
    name="GetImageSetMetadata",
    method="POST",
    path="/datastore/{datastoreId}/imageSet/{imageSetId}/getImageSetMetadata",
    host_prefix="runtime-",
    input=Input,
    output=Output,
    handler=get_image_set_metadata,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ConflictException,
        errors.ResourceNotFoundException,
    ),
)
