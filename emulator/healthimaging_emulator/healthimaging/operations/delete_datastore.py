"""DeleteDatastore: delete a data store that is empty.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_DeleteDatastore.html
"""

from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import label
from ...aws.operation import Operation
from ..shapes.datastore import DatastoreStatus
from ..shapes.identifiers import DatastoreId


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_id: Annotated[DatastoreId, label()]


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    datastore_id: DatastoreId
    datastore_status: DatastoreStatus


DELETE_DATASTORE = Operation(
    name="DeleteDatastore",
    method="DELETE",
    path="/datastore/{datastoreId}",
    input=Input,
    output=Output,
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
