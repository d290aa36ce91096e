"""Identifiers, tokens and texts."""

from typing import Annotated

from msgspec import Meta

from ...aws.members import pattern
from ...clock import YEAR_10000

DatastoreId = Annotated[str, pattern("[0-9a-z]{32}")]
ImageSetId = Annotated[str, pattern("[0-9a-z]{32}")]
ImageFrameId = Annotated[str, pattern("[0-9a-z]{32}")]
JobId = Annotated[str, pattern("[0-9a-z]+", min_length=1, max_length=32)]
ImageSetExternalVersionId = Annotated[str, pattern(r"\d+", max_length=18)]  # the length is ours: tokens hold it
ClientToken = Annotated[str, pattern("[A-Za-z0-9._-]+", min_length=1, max_length=64)]
Arn = Annotated[
    str,
    pattern(
        "arn:aws((-us-gov)|(-iso)|(-iso-b)|(-cn))?:medical-imaging:[a-z0-9-]+:[0-9]{12}:datastore/[0-9a-z]{32}"
        "(/imageset/[0-9a-z]{32})?"
    ),
]
AwsAccountId = Annotated[str, pattern(r"\d+", min_length=12, max_length=12)]
NextToken = Annotated[str, pattern(r"\p{ASCII}{0,8192}", min_length=1, max_length=8192)]
MaxResults = Annotated[int, Meta(ge=1, le=50)]
Message = Annotated[str, pattern(r"[\w -:`]+", min_length=1, max_length=2048)]
Timestamp = Annotated[float, Meta(ge=0, lt=YEAR_10000)]
