"""StartDICOMImportJob: import DICOM files from S3 into a data store.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_StartDICOMImportJob.html
"""

from collections.abc import Callable
from random import Random
from typing import Annotated

from msgspec import Struct, field

from ...aws import errors
from ...aws.members import idempotency_token, label
from ...aws.operation import Operation
from ...identifiers import make_id
from ..context import Context, Workflow
from ..records import ImportJob, Work
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


def start_dicom_import_job(input: Input, context: Context) -> Output:
    """Submit an import job, which goes on by itself.

    Raises ``ResourceNotFoundException``, and ``ConflictException`` for a data store that is not ACTIVE, or for a client
    token that came with another request, and ``ServiceQuotaExceededException``.
    """
    context.require_active(input.datastore_id)
    with context.change() as change:
        earlier: Output | None = change.recall("StartDICOMImportJob", input.client_token, input)
        if earlier is not None:
            return earlier
        change.require_quota("import-jobs", lambda: 1 + context.store.count_jobs_under_way())
        job = _make_job(input, change.moment.date)
        change.add_job(context.store.pace, context.workflow.pace, job)
        output = Output(
            datastore_id=input.datastore_id, job_id=job.job_id, job_status="SUBMITTED", submitted_at=job.submitted_at
        )
        change.remember("StartDICOMImportJob", input.client_token, input, output)
    if context.workflow.failure:
        context.store.finish_work(job.work, context.workflow.failure, None)
    else:
        context.imports.start(job, _choose_files(context.workflow))
    return output


def _choose_files(workflow: Workflow) -> Callable[[], bool]:
    """Return a function that says for one file after another whether it fails."""
    random = Random(workflow.seed).random
    return lambda: workflow.failed_files > 0 and random() < workflow.failed_files


def _make_job(input: Input, date: float) -> ImportJob:
    id = make_id()
    separator = "" if input.output_s3_uri.endswith("/") else "/"
    return ImportJob(
        job_id=id,
        datastore_id=input.datastore_id,
        name=input.job_name,
        status="SUBMITTED",
        data_access_role_arn=input.data_access_role_arn,
        input_s3_uri=input.input_s3_uri,
        output_s3_uri=f"{input.output_s3_uri}{separator}{input.datastore_id}-DicomImport-{id}/",
        submitted_at=date,
        work=Work(),
        import_configuration=input.import_configuration,
    )


START_DICOM_IMPORT_JOB = Operation(
    name="StartDICOMImportJob",
    method="POST",
    path="/startDICOMImportJob/datastore/{datastoreId}",
    input=Input,
    output=Output,
    handler=start_dicom_import_job,
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
