"""GetDatastore: the properties of a data store.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_GetDatastore.html
"""

from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import label
from ...aws.operation import Operation
from ..shapes.datastore import DatastoreName, DatastoreStatus, KmsKeyArn, LambdaArn, LosslessStorageFormat
from ..shapes.identifiers import Arn, DatastoreId, Timestamp


class DatastoreProperties(Struct, frozen=True, kw_only=True, rename="camel"):
    """The properties of a data store."""

    datastore_id: DatastoreId
    datastore_name: DatastoreName
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


GET_DATASTORE = Operation(
    name="GetDatastore",
    method="GET",
    path="/datastore/{datastoreId}",
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
