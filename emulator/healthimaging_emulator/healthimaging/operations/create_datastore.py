"""CreateDatastore: make a data store, which becomes ACTIVE by itself.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_CreateDatastore.html
"""

from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import idempotency_token
from ...aws.operation import Operation
from ...identifiers import make_id
from ..context import Context
from ..records import Datastore
from ..shapes.datastore import DatastoreName, DatastoreStatus, KmsKeyArn, LambdaArn, LosslessStorageFormat, TagMap
from ..shapes.identifiers import ClientToken, DatastoreId
from ..tags import check_tags


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_name: DatastoreName | None = None
    client_token: Annotated[ClientToken, idempotency_token()]
    tags: TagMap | None = None
    kms_key_arn: KmsKeyArn | None = None
    lambda_authorizer_arn: LambdaArn | None = None
    lossless_storage_format: LosslessStorageFormat | None = None


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    datastore_id: DatastoreId
    datastore_status: DatastoreStatus


def create_datastore(input: Input, context: Context) -> Output:
    """Begin to create a data store: it is CREATING, and becomes ACTIVE by itself. Names need not be unique.

    Raises ``ConflictException`` for a client token that came with another request, and
    ``ServiceQuotaExceededException``.
    """
    with context.change() as change:
        earlier: Output | None = change.recall("CreateDatastore", input.client_token, input)
        if earlier is not None:
            return earlier
        date = change.moment.date
        record = Datastore(
            datastore_id=make_id(),
            name=input.datastore_name,
            status="CREATING",
            created_at=date,
            updated_at=date,
            kms_key_arn=input.kms_key_arn,
            lambda_authorizer_arn=input.lambda_authorizer_arn,
            lossless_storage_format=input.lossless_storage_format or "HTJ2K",
            tags=check_tags(input.tags or {}),
        )
        change.require_quota("datastores", lambda: 1 + context.store.count_existing_datastores())
        end: DatastoreStatus = "CREATE_FAILED" if context.workflow.failure else "ACTIVE"
        change.begin_datastore_transition("CreateDatastore", context.workflow.pace, record, end)
        output = Output(datastore_id=record.datastore_id, datastore_status="CREATING")
        change.remember("CreateDatastore", input.client_token, input, output)
    return output


CREATE_DATASTORE = Operation(
    name="CreateDatastore",
    method="POST",
    path="/datastore",
    input=Input,
    output=Output,
    handler=create_datastore,
    is_asynchronous=True,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ConflictException,
        errors.ResourceNotFoundException,
        errors.ServiceQuotaExceededException,
    ),
)
