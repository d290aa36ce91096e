"""UntagResource: remove tags from a data store or an image set.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_UntagResource.html
"""

from typing import Annotated

from msgspec import Meta, Struct

from ...aws import errors
from ...aws.members import label, query
from ...aws.operation import Operation
from ..context import Context
from ..shapes.datastore import TagKey
from ..shapes.identifiers import Arn
from ..tags import change_tags


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    resource_arn: Annotated[Arn, label(is_greedy=True)]
    tag_keys: Annotated[tuple[TagKey, ...], Meta(min_length=0, max_length=200), query()]


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer, which has no members."""


def untag_resource(input: Input, context: Context) -> Output:
    """Remove tags, as far as they are there. Raises ``ResourceNotFoundException``."""
    keys = frozenset(input.tag_keys)
    change_tags(context, input.resource_arn, lambda tags: {key: tags[key] for key in tags if key not in keys})
    return Output()


UNTAG_RESOURCE = Operation(
    name="UntagResource",
    method="DELETE",
    path="/tags/{resourceArn}",
    status=204,  # AWS sends it, although the model says 200
    input=Input,
    output=Output,
    handler=untag_resource,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ResourceNotFoundException,
    ),
)
