"""DICOM import jobs."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct, field

from ...aws.members import pattern
from .search import DICOMSeriesInstanceUID, DICOMStudyInstanceUID

JobName = Annotated[str, pattern("[A-Za-z0-9._/#-]+", min_length=1, max_length=64)]
JobStatus = Literal["SUBMITTED", "IN_PROGRESS", "COMPLETED", "FAILED"]
RoleArn = Annotated[str, pattern("arn:aws(-[^:]+)?:iam::[0-9]{12}:role/.+", min_length=20, max_length=2048)]
S3Uri = Annotated[str, pattern(r"s3://[a-z0-9][\.\-a-z0-9]{1,61}[a-z0-9](/.*)?", min_length=1, max_length=1024)]
MetadataFilePath = Annotated[
    str,
    pattern(
        "[a-zA-Z0-9!-~]+([a-zA-Z0-9!-~ ]*[a-zA-Z0-9!-~]+)*",
        linear="[!-~]([ -~]*[!-~])?",
        min_length=1,
        max_length=1024,
    ),
]


class DicomMetadataMapping(Struct, frozen=True, kw_only=True, rename="camel"):
    """The file that holds the metadata of a study or a series."""

    study_instance_uid: DICOMStudyInstanceUID = field(name="studyInstanceUID")
    series_instance_uid: DICOMSeriesInstanceUID | None = field(name="seriesInstanceUID", default=None)
    metadata_file_path: MetadataFilePath


class DicomJsonMetadataImportConfiguration(Struct, frozen=True, kw_only=True, rename="camel"):
    """Metadata that an import takes from files in DICOM JSON."""

    dicom_metadata_mappings: Annotated[tuple[DicomMetadataMapping, ...], Meta(min_length=1, max_length=1000)]


class ImportConfiguration(Struct, frozen=True, kw_only=True, rename="camel"):
    """How an import is done, beyond its defaults."""

    is_union: ClassVar[bool] = True

    dicom_json_metadata_import_configuration: DicomJsonMetadataImportConfiguration | None = None
