"""ListDICOMImportJobs: the import jobs of a data store, page by page.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_ListDICOMImportJobs.html
"""

from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import label, query
from ...aws.operation import Operation
from ...aws.pagination import Rank
from ..context import Context
from ..records import ImportJob
from ..shapes.identifiers import DatastoreId, JobId, MaxResults, Message, NextToken, Timestamp
from ..shapes.import_job import JobName, JobStatus, RoleArn


class DICOMImportJobSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """An import job in a list."""

    job_id: JobId
    job_name: JobName | None
    job_status: JobStatus
    datastore_id: DatastoreId
    data_access_role_arn: RoleArn | None = None
    ended_at: Timestamp | None = None
    submitted_at: Timestamp | None = None
    message: Message | None = None


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_id: Annotated[DatastoreId, label()]
    job_status: Annotated[JobStatus | None, query()] = None
    next_token: Annotated[NextToken | None, query()] = None
    max_results: Annotated[MaxResults | None, query()] = None


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    job_summaries: tuple[DICOMImportJobSummary, ...]
    next_token: NextToken | None = None


def list_dicom_import_jobs(input: Input, context: Context) -> Output:
    """Return one page of the jobs of a data store, the newest first.

    Raises ``ValidationException`` for a wrong token, ``ResourceNotFoundException`` and ``ConflictException``.
    """
    context.listing.start_key()  # a wrong token comes before the checks of the data store
    context.require_active(input.datastore_id)
    found = (each for each in context.store.jobs(input.datastore_id) if input.job_status in (None, each.status))
    page, next_token = context.listing.page_of(found, _rank, input.max_results)
    for job in page:
        context.meet(job)
    return Output(job_summaries=tuple([_summarize(job) for job in page]), next_token=next_token)


def _rank(job: ImportJob) -> Rank:
    return -round(job.submitted_at * 1000), job.job_id


def _summarize(job: ImportJob) -> DICOMImportJobSummary:
    return DICOMImportJobSummary(
        job_id=job.job_id,
        job_name=job.name,
        job_status=job.status,
        datastore_id=job.datastore_id,
        data_access_role_arn=job.data_access_role_arn,
        ended_at=job.ended_at,
        submitted_at=job.submitted_at,
        message=job.message,
    )


LIST_DICOM_IMPORT_JOBS = Operation(
    name="ListDICOMImportJobs",
    method="GET",
    path="/listDICOMImportJobs/datastore/{datastoreId}",
    input=Input,
    output=Output,
    handler=list_dicom_import_jobs,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ConflictException,
        errors.ResourceNotFoundException,
    ),
)
