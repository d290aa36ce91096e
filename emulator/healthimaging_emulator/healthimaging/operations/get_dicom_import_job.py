"""GetDICOMImportJob: the state of an import job.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_GetDICOMImportJob.html
"""

from typing import Annotated

from msgspec import Struct, field

from ...aws import errors
from ...aws.members import label
from ...aws.operation import Operation
from ..context import Context
from ..messages import job_not_found
from ..shapes.identifiers import DatastoreId, JobId, Message, Timestamp
from ..shapes.import_job import ImportConfiguration, JobName, JobStatus, RoleArn, S3Uri


class DICOMImportJobProperties(Struct, frozen=True, kw_only=True, rename="camel"):
    """The properties of an import job."""

    job_id: JobId
    job_name: JobName | None
    job_status: JobStatus
    datastore_id: DatastoreId
    data_access_role_arn: RoleArn
    ended_at: Timestamp | None = None
    submitted_at: Timestamp | None = None
    input_s3_uri: S3Uri = field(name="inputS3Uri")
    output_s3_uri: S3Uri = field(name="outputS3Uri")
    message: Message | None = None
    import_configuration: ImportConfiguration | None = None


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_id: Annotated[DatastoreId, label()]
    job_id: Annotated[JobId, label()]


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    job_properties: DICOMImportJobProperties


def get_dicom_import_job(input: Input, context: Context) -> Output:
    """Return the properties of a job. Raises ``ResourceNotFoundException`` and ``ConflictException``."""
    context.require_active(input.datastore_id)
    job = context.store.find_job(input.datastore_id, input.job_id)
    if job is None:
        raise job_not_found(input.job_id, input.datastore_id)
    context.meet(job)
    properties = DICOMImportJobProperties(
        job_id=job.job_id,
        job_name=job.name,
        job_status=job.status,
        datastore_id=job.datastore_id,
        data_access_role_arn=job.data_access_role_arn,
        ended_at=job.ended_at,
        submitted_at=job.submitted_at,
        input_s3_uri=job.input_s3_uri,
        output_s3_uri=job.output_s3_uri,
        message=job.message,
        import_configuration=job.import_configuration,
    )
    return Output(job_properties=properties)


GET_DICOM_IMPORT_JOB = Operation(
    name="GetDICOMImportJob",
    method="GET",
    path="/getDICOMImportJob/datastore/{datastoreId}/job/{jobId}",
    input=Input,
    output=Output,
    handler=get_dicom_import_job,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ConflictException,
        errors.ResourceNotFoundException,
    ),
)
