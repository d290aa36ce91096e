"""ListImageSetVersions: the history of one image set, newest version first, page by page.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_ListImageSetVersions.html
"""

from __future__ import annotations

from msgspec import Struct

from healthimaging_emulator.aws import errors
from healthimaging_emulator.aws.pagination import Listing
from healthimaging_emulator.aws.rest_json import Operation
from healthimaging_emulator.healthimaging.shapes import (
    DatastoreId,
    ImageSetId,
    ImageSetProperties,
    MaxResults,
    NextToken,
)
from healthimaging_emulator.healthimaging.store import Store


class ListImageSetVersionsInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """Members in the order in which their violations are reported."""

    datastore_id: DatastoreId
    image_set_id: ImageSetId
    next_token: NextToken | None = None
    max_results: MaxResults | None = None


class ListImageSetVersionsOutput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One page; without ``next_token``, the last."""

    image_set_properties_list: tuple[ImageSetProperties, ...]
    next_token: NextToken | None = None


def list_image_set_versions(
    input: ListImageSetVersionsInput, store: Store, listing: Listing
) -> ListImageSetVersionsOutput:
    """Return one page. Raises ``ResourceNotFoundException``, and ``ValidationException`` for a foreign token."""
    history = store.history(input.datastore_id, input.image_set_id)
    entries, next_token = listing.cut(history, input.max_results)
    return ListImageSetVersionsOutput(image_set_properties_list=entries, next_token=next_token)


LIST_IMAGE_SET_VERSIONS = Operation(
    name="ListImageSetVersions",
    method="POST",
    path="/datastore/{datastoreId}/imageSet/{imageSetId}/listImageSetVersions",
    host_prefix="runtime-",
    input=ListImageSetVersionsInput,
    output=ListImageSetVersionsOutput,
    errors=(
        errors.ThrottlingException,
        errors.ConflictException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ResourceNotFoundException,
    ),
    handler=list_image_set_versions,
)
