"""StartDICOMImportJob: import DICOM files from S3 into a data store.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_StartDICOMImportJob.html
"""

from typing import Annotated

from msgspec import Struct, field

from ...aws import errors
from ...aws.members import idempotency_token, label
from ...aws.operation import Operation
from ..shapes.identifiers import AwsAccountId, ClientToken, DatastoreId, JobId, Timestamp
from ..shapes.import_job import ImportConfiguration, JobName, JobStatus, RoleArn, S3Uri


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    job_name: JobName | None = None
    data_access_role_arn: RoleArn
    client_token: Annotated[ClientToken, idempotency_token()]
    datastore_id: Annotated[DatastoreId, label()]
    input_s3_uri: S3Uri = field(name="inputS3Uri")
    output_s3_uri: S3Uri = field(name="outputS3Uri")
    input_owner_account_id: AwsAccountId | None = None
    import_configuration: ImportConfiguration | None = None


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    datastore_id: DatastoreId
    job_id: JobId
    job_status: JobStatus
    submitted_at: Timestamp


START_DICOM_IMPORT_JOB = Operation(
    name="StartDICOMImportJob",
    method="POST",
    path="/startDICOMImportJob/datastore/{datastoreId}",
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
