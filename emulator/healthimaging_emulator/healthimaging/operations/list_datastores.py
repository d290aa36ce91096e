"""ListDatastores: the data stores of an account, page by page.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_ListDatastores.html
"""

from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import query
from ...aws.operation import Operation
from ..shapes.datastore import DatastoreName, DatastoreStatus
from ..shapes.identifiers import Arn, DatastoreId, MaxResults, NextToken, Timestamp


class DatastoreSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """A data store in a list."""

    datastore_id: DatastoreId
    datastore_name: DatastoreName
    datastore_status: DatastoreStatus
    datastore_arn: Arn | None = None
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_status: Annotated[DatastoreStatus | None, query()] = None
    next_token: Annotated[NextToken | None, query()] = None
    max_results: Annotated[MaxResults | None, query()] = None


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    datastore_summaries: tuple[DatastoreSummary, ...] = ()
    next_token: NextToken | None = None


LIST_DATASTORES = Operation(
    name="ListDatastores",
    method="GET",
    path="/datastore",
    input=Input,
    output=Output,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
    ),
)
