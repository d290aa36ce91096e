"""ListDICOMImportJobs: the import jobs of a data store, page by page.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_ListDICOMImportJobs.html
"""

from typing import Annotated

from msgspec import Struct

from ...aws import errors
from ...aws.members import label, query
from ...aws.operation import Operation
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


LIST_DICOM_IMPORT_JOBS = Operation(
    name="ListDICOMImportJobs",
    method="GET",
    path="/listDICOMImportJobs/datastore/{datastoreId}",
    input=Input,
    output=Output,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ConflictException,
        errors.ResourceNotFoundException,
    ),
)
