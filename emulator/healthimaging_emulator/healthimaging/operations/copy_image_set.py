"""CopyImageSet: copy an image set, or some instances of it, to a new or an existing one.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_CopyImageSet.html
"""

from typing import Annotated

from msgspec import Meta, Struct, field

from ...aws import errors
from ...aws.members import label, payload, query, sensitive
from ...aws.operation import Operation
from ..shapes.identifiers import Arn, DatastoreId, ImageSetExternalVersionId, ImageSetId, Timestamp
from ..shapes.image_set import ImageSetState, ImageSetWorkflowStatus


class MetadataCopies(Struct, frozen=True, kw_only=True, rename="camel"):
    """The instances to copy, in JSON."""

    copiable_attributes: Annotated[str, Meta(min_length=1, max_length=260_000), sensitive()]


class CopySourceImageSetInformation(Struct, frozen=True, kw_only=True, rename="camel"):
    """The version to copy."""

    latest_version_id: ImageSetExternalVersionId
    dicom_copies: MetadataCopies | None = field(name="DICOMCopies", default=None)


class CopyDestinationImageSet(Struct, frozen=True, kw_only=True, rename="camel"):
    """The image set to copy to."""

    image_set_id: ImageSetId
    latest_version_id: ImageSetExternalVersionId


class CopyImageSetInformation(Struct, frozen=True, kw_only=True, rename="camel"):
    """The source and the destination; without a destination, a new image set."""

    source_image_set: CopySourceImageSetInformation
    destination_image_set: CopyDestinationImageSet | None = None


class CopyImageSetProperties(Struct, frozen=True, kw_only=True, rename="camel"):
    """The state of the source or the destination while the copy goes on."""

    image_set_id: ImageSetId
    latest_version_id: ImageSetExternalVersionId
    image_set_state: ImageSetState | None = None
    image_set_workflow_status: ImageSetWorkflowStatus | None = None
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None
    image_set_arn: Arn | None = None


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_id: Annotated[DatastoreId, label()]
    source_image_set_id: Annotated[ImageSetId, label()]
    copy_image_set_information: Annotated[CopyImageSetInformation, payload()]
    force: Annotated[bool | None, query()] = None
    promote_to_primary: Annotated[bool | None, query()] = None


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    datastore_id: DatastoreId
    source_image_set_properties: CopyImageSetProperties
    destination_image_set_properties: CopyImageSetProperties


COPY_IMAGE_SET = Operation(
    name="CopyImageSet",
    method="POST",
    path="/datastore/{datastoreId}/imageSet/{sourceImageSetId}/copyImageSet",
    host_prefix="runtime-",
    input=Input,
    output=Output,
    identifiers={
        "datastoreId": ("datastore_id",),
        "imageSetId": ("source_image_set_id", "copy_image_set_information.destination_image_set.image_set_id"),
    },
    is_asynchronous=True,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ConflictException,
        errors.ResourceNotFoundException,
        errors.ServiceQuotaExceededException,
    ),
)
