"""SearchImageSets: find image sets by their properties and DICOM attributes, page by page.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_SearchImageSets.html
"""

from typing import Annotated

from msgspec import Struct, field

from ...aws import errors
from ...aws.members import label, payload, query, sensitive
from ...aws.operation import Operation
from ..shapes.identifiers import DatastoreId, ImageSetId, MaxResults, NextToken, Timestamp
from ..shapes.image_set import StorageTier
from ..shapes.search import DICOMTags, SearchCriteria, Sort


class ImageSetsMetadataSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """An image set that was found."""

    image_set_id: ImageSetId
    version: int | None = None
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None
    last_accessed_at: Timestamp | None = None
    storage_tier: StorageTier | None = None
    dicom_tags: DICOMTags | None = field(name="DICOMTags", default=None)
    is_primary: bool | None = None


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_id: Annotated[DatastoreId, label()]
    search_criteria: Annotated[SearchCriteria | None, payload(), sensitive()] = None
    max_results: Annotated[MaxResults | None, query()] = None
    next_token: Annotated[NextToken | None, query()] = None


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    image_sets_metadata_summaries: tuple[ImageSetsMetadataSummary, ...]
    sort: Sort | None = None
    next_token: NextToken | None = None


SEARCH_IMAGE_SETS = Operation(
    name="SearchImageSets",
    method="POST",
    path="/datastore/{datastoreId}/searchImageSets",
    host_prefix="runtime-",
    input=Input,
    output=Output,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ConflictException,
        errors.ResourceNotFoundException,
    ),
)
