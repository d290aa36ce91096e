"""ListDatastores: the data stores of an account, page by page.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_ListDatastores.html
"""

import math
from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import query
from ...aws.operation import Operation
from ...aws.pagination import Rank
from ..context import Context
from ..records import Datastore
from ..shapes.datastore import DatastoreName, DatastoreStatus
from ..shapes.identifiers import Arn, DatastoreId, MaxResults, NextToken, Timestamp


class DatastoreSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """A data store in a list."""

    datastore_id: DatastoreId
    datastore_name: DatastoreName | None
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


def list_datastores(input: Input, context: Context) -> Output:
    """Return one page of the data stores, the newest first. Raises ``ValidationException`` for a wrong token."""
    status = input.datastore_status
    found = (each for each in context.store.datastores() if status in (None, each.status))
    page, next_token = context.listing.page_of(found, _rank, input.max_results)
    for record in page:
        context.meet(record)
    return Output(
        datastore_summaries=tuple([_summarize(record, context) for record in page]),
        next_token=next_token,
    )


def _rank(record: Datastore) -> Rank:
    return math.inf if record.created_at is None else -round(record.created_at * 1000), record.datastore_id


def _summarize(record: Datastore, context: Context) -> DatastoreSummary:
    return DatastoreSummary(
        datastore_id=record.datastore_id,
        datastore_name=record.name,
        datastore_status=record.status,
        datastore_arn=context.datastore_arn(record.datastore_id),
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


LIST_DATASTORES = Operation(
    name="ListDatastores",
    method="GET",
    path="/datastore",
    input=Input,
    output=Output,
    handler=list_datastores,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
    ),
)
