"""TagResource: add tags to a data store or an image set.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_TagResource.html
"""

from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import label
from ...aws.operation import Operation
from ..context import Context
from ..shapes.datastore import TagMap
from ..shapes.identifiers import Arn
from ..tags import change_tags


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    resource_arn: Annotated[Arn, label(is_greedy=True)]
    tags: TagMap


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer, which has no members."""


def tag_resource(input: Input, context: Context) -> Output:
    """Add tags, and replace those of the same keys.

    Raises ``ResourceNotFoundException``, and ``ValidationException`` for more tags than a resource can have.
    """
    change_tags(context, input.resource_arn, lambda tags: {**tags, **input.tags})
    return Output()


TAG_RESOURCE = Operation(
    name="TagResource",
    method="POST",
    path="/tags/{resourceArn}",
    status=204,  # AWS sends it, although the model says 200
    input=Input,
    output=Output,
    handler=tag_resource,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ResourceNotFoundException,
    ),
)
