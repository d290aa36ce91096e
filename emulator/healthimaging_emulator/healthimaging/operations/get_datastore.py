"""GetDatastore: the properties of a data store.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_GetDatastore.html
"""

from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import label
from ...aws.operation import Operation
from ..context import Context
from ..shapes.datastore import DatastoreName, DatastoreStatus, KmsKeyArn, LambdaArn, LosslessStorageFormat
from ..shapes.identifiers import Arn, DatastoreId, Timestamp


class DatastoreProperties(Struct, frozen=True, kw_only=True, rename="camel"):
    """The properties of a data store."""

    datastore_id: DatastoreId
    datastore_name: DatastoreName | None
    datastore_status: DatastoreStatus
    kms_key_arn: KmsKeyArn | None = None
    lambda_authorizer_arn: LambdaArn | None = None
    lossless_storage_format: LosslessStorageFormat | None = None
    datastore_arn: Arn | None = None
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_id: Annotated[DatastoreId, label()]


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    datastore_properties: DatastoreProperties


def get_datastore(input: Input, context: Context) -> Output:
    """Return the properties of a data store, also of a deleted one. Raises ``ResourceNotFoundException``."""
    record = context.store.require_datastore(input.datastore_id)
    context.meet(record)
    properties = DatastoreProperties(
        datastore_id=record.datastore_id,
        datastore_name=record.name,
        datastore_status=record.status,
        kms_key_arn=record.kms_key_arn,
        lambda_authorizer_arn=record.lambda_authorizer_arn,
        lossless_storage_format=record.lossless_storage_format,
        datastore_arn=context.datastore_arn(record.datastore_id),
        created_at=record.created_at,
        updated_at=record.updated_at,
    )
    return Output(datastore_properties=properties)


GET_DATASTORE = Operation(
    name="GetDatastore",
    method="GET",
    path="/datastore/{datastoreId}",
    input=Input,
    output=Output,
    handler=get_datastore,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ResourceNotFoundException,
    ),
)
