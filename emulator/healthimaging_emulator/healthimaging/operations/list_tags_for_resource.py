"""ListTagsForResource: the tags of a data store or an image set.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_ListTagsForResource.html
"""

from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import label
from ...aws.operation import Operation
from ..shapes.datastore import TagMap
from ..shapes.identifiers import Arn


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    resource_arn: Annotated[Arn, label(is_greedy=True)]


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    tags: TagMap


LIST_TAGS_FOR_RESOURCE = Operation(
    name="ListTagsForResource",
    method="GET",
    path="/tags/{resourceArn}",
    input=Input,
    output=Output,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ResourceNotFoundException,
    ),
)
