"""DeleteDatastore: delete a data store that is empty.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_DeleteDatastore.html
"""

from typing import Annotated

from msgspec import Struct, structs

from ...aws import errors
from ...aws.members import label
from ...aws.operation import Operation
from ..context import Context
from ..messages import datastore_not_active, datastore_not_empty
from ..shapes.datastore import DatastoreStatus
from ..shapes.identifiers import DatastoreId


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_id: Annotated[DatastoreId, label()]


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    datastore_id: DatastoreId
    datastore_status: DatastoreStatus


def delete_datastore(input: Input, context: Context) -> Output:
    """Begin to delete a data store: it is DELETING, and becomes DELETED by itself.

    Raises ``ResourceNotFoundException``, and ``ConflictException`` unless it is empty.
    """
    with context.change() as change:
        record = change.datastore(input.datastore_id)
        if record.status in ("CREATING", "DELETING"):
            change.meet(record.transition)
            raise datastore_not_active(input.datastore_id)
        if not change.is_empty(input.datastore_id) or change.has_jobs(input.datastore_id):
            raise datastore_not_empty(input.datastore_id)
        end = record.status if context.workflow.failure else "DELETED"
        deleting = structs.replace(record, status="DELETING", updated_at=change.moment.date)
        change.begin_datastore_transition("DeleteDatastore", context.workflow.pace, deleting, end)
    return Output(datastore_id=input.datastore_id, datastore_status="DELETING")


DELETE_DATASTORE = Operation(
    name="DeleteDatastore",
    method="DELETE",
    path="/datastore/{datastoreId}",
    input=Input,
    output=Output,
    handler=delete_datastore,
    is_asynchronous=True,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ConflictException,
        errors.ResourceNotFoundException,
    ),
)
