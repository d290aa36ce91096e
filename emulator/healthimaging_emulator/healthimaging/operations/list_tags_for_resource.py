"""ListTagsForResource: the tags of a data store or an image set.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_ListTagsForResource.html
"""

from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import label
from ...aws.operation import Operation
from ..context import Context
from ..shapes.datastore import TagMap
from ..shapes.identifiers import Arn
from ..tags import read_tags_of


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    resource_arn: Annotated[Arn, label(is_greedy=True)]


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    tags: TagMap


def list_tags_for_resource(input: Input, context: Context) -> Output:
    """Return the tags of a resource. Raises ``ResourceNotFoundException``."""
    return Output(tags=read_tags_of(context, input.resource_arn))


LIST_TAGS_FOR_RESOURCE = Operation(
    name="ListTagsForResource",
    method="GET",
    path="/tags/{resourceArn}",
    input=Input,
    output=Output,
    handler=list_tags_for_resource,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ResourceNotFoundException,
    ),
)
