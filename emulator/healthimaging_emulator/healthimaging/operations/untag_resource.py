"""UntagResource: remove tags from a data store or an image set.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_UntagResource.html
"""

from typing import Annotated

from msgspec import Meta, Struct

from ...aws import errors
from ...aws.members import label, query
from ...aws.operation import Operation
from ..shapes.datastore import TagKey
from ..shapes.identifiers import Arn


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    resource_arn: Annotated[Arn, label(is_greedy=True)]
    tag_keys: Annotated[tuple[TagKey, ...], Meta(min_length=0, max_length=200), query()]


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer, which has no members."""


UNTAG_RESOURCE = Operation(
    name="UntagResource",
    method="DELETE",
    path="/tags/{resourceArn}",
    status=204,  # AWS sends it, although the model says 200
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
