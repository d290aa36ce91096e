"""SearchImageSets: find image sets by their properties and DICOM attributes, page by page.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_SearchImageSets.html
"""

from typing import Annotated

from msgspec import Struct, field

from ...aws import errors
from ...aws.members import label, payload, query, sensitive
from ...aws.operation import Operation
from ...aws.pagination import read_rank, write_rank
from ..context import Context
from ..search import read_criteria
from ..search_index import Entry
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


def search_image_sets(input: Input, context: Context) -> Output:
    """Return one page of the image sets that satisfy all filters.

    A token names the place of the last entry, so an image set that is added or changed between two pages shifts no
    other. Raises ``ValidationException`` for filters that cannot be, and ``ResourceNotFoundException``.
    """
    query = read_criteria(input.search_criteria)
    start = context.listing.start_key()
    context.require_active(input.datastore_id)
    size = input.max_results or context.listing.page_size
    found = context.store.search(input.datastore_id, query, read_rank(start), size + 1)
    page = found[:size]
    return Output(
        image_sets_metadata_summaries=tuple([_summarize(entry, input, context) for entry in page]),
        sort=input.search_criteria.sort if input.search_criteria else None,
        next_token=context.listing.next_token(write_rank(query.order.rank(page[-1]))) if len(found) > size else None,
    )


def _summarize(entry: Entry, input: Input, context: Context) -> ImageSetsMetadataSummary:
    latest = entry.latest
    return ImageSetsMetadataSummary(
        image_set_id=entry.image_set_id,
        version=entry.version.number,
        created_at=latest.created_at,
        updated_at=latest.created_at if latest.updated_at is None else latest.updated_at,
        last_accessed_at=context.store.last_accessed((input.datastore_id, entry.image_set_id)),
        storage_tier="FREQUENT_ACCESS",
        dicom_tags=entry.tags,
        is_primary=latest.is_primary,
    )


SEARCH_IMAGE_SETS = Operation(
    name="SearchImageSets",
    method="POST",
    path="/datastore/{datastoreId}/searchImageSets",
    host_prefix="runtime-",
    input=Input,
    output=Output,
    handler=search_image_sets,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ConflictException,
        errors.ResourceNotFoundException,
    ),
)
