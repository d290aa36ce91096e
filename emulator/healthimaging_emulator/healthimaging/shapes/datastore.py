"""Data stores and tags."""

from typing import Annotated, Literal

from msgspec import Meta

from ...aws.members import pattern

DatastoreName = Annotated[str, pattern("[A-Za-z0-9._/#-]+", min_length=1, max_length=256)]
DatastoreStatus = Literal["CREATING", "CREATE_FAILED", "ACTIVE", "DELETING", "DELETED"]
LosslessStorageFormat = Literal["HTJ2K", "JPEG_2000_LOSSLESS"]
KmsKeyArn = Annotated[
    str,
    pattern(
        r"arn:aws[a-zA-Z-]{0,16}:kms:[a-z]{2}(-[a-z]{1,16}){1,3}-\d{1}:\d{12}:((key/[a-fA-F0-9]{8}-[a-fA-F0-9]{4}-"
        r"[a-fA-F0-9]{4}-[a-fA-F0-9]{4}-[a-fA-F0-9]{12})|(alias/[a-zA-Z0-9:/_-]{1,256}))",
        min_length=1,
        max_length=512,
    ),
]
LambdaArn = Annotated[
    str,
    pattern(
        r"arn:(aws[a-zA-Z-]*)?:lambda:[a-z]{2}((-gov)|(-iso(b?)))?-[a-z]+-\d{1}:\d{12}:function:[a-zA-Z0-9-_]+"
        r"(:(\$LATEST|[a-zA-Z0-9-_]+))?"
    ),
]
TagKey = Annotated[str, pattern("(?!aws:)[a-zA-Z+-=._:/]+", min_length=1, max_length=128)]
TagValue = Annotated[str, Meta(min_length=0, max_length=256)]
TagMap = dict[TagKey, TagValue]
