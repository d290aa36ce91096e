"""CreateDatastore: make a data store, which becomes ACTIVE by itself.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_CreateDatastore.html
"""

from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import idempotency_token
from ...aws.operation import Operation
from ..shapes.datastore import DatastoreName, DatastoreStatus, KmsKeyArn, LambdaArn, LosslessStorageFormat, TagMap
from ..shapes.identifiers import ClientToken, DatastoreId


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


CREATE_DATASTORE = Operation(
    name="CreateDatastore",
    method="POST",
    path="/datastore",
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
        errors.ServiceQuotaExceededException,
    ),
)
