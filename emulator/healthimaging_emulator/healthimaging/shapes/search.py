"""Search criteria, and the attributes of DICOM that a search returns."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct, field

from ...aws.members import pattern, sensitive
from .identifiers import Timestamp


def _text(longest: int) -> Meta:
    return Meta(min_length=0, max_length=longest, extra={"is_sensitive": True})


DICOMPatientId = Annotated[str, _text(512)]
DICOMAccessionNumber = Annotated[str, _text(512)]
DICOMStudyId = Annotated[str, _text(512)]
DICOMStudyInstanceUID = Annotated[str, pattern("[0-9.]+", min_length=0, max_length=512), sensitive()]
DICOMSeriesInstanceUID = Annotated[str, pattern("[0-9.]+", min_length=0, max_length=512), sensitive()]
DICOMStudyDate = Annotated[str, _text(36)]
DICOMStudyTime = Annotated[str, _text(56)]
DICOMText512 = Annotated[str, _text(512)]
DICOMSeriesNumber = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1), sensitive()]
DICOMCount = Annotated[int, Meta(ge=0, le=1_000_000)]

Operator = Literal["EQUAL", "BETWEEN"]
SortOrder = Literal["ASC", "DESC"]
SortField = Literal["updatedAt", "createdAt", "DICOMStudyDateAndTime"]


class DICOMStudyDateAndTime(Struct, frozen=True, kw_only=True):
    """The date and time of a study, as DICOM writes them."""

    study_date: DICOMStudyDate = field(name="DICOMStudyDate")
    study_time: DICOMStudyTime | None = field(name="DICOMStudyTime", default=None)


class SearchByAttributeValue(Struct, frozen=True, kw_only=True, rename="camel"):
    """A value to search for: exactly one member."""

    is_union: ClassVar[bool] = True

    patient_id: DICOMPatientId | None = field(name="DICOMPatientId", default=None)
    accession_number: DICOMAccessionNumber | None = field(name="DICOMAccessionNumber", default=None)
    study_id: DICOMStudyId | None = field(name="DICOMStudyId", default=None)
    study_instance_uid: DICOMStudyInstanceUID | None = field(name="DICOMStudyInstanceUID", default=None)
    series_instance_uid: DICOMSeriesInstanceUID | None = field(name="DICOMSeriesInstanceUID", default=None)
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None
    study_date_and_time: DICOMStudyDateAndTime | None = field(name="DICOMStudyDateAndTime", default=None)
    is_primary: bool | None = None


class SearchFilter(Struct, frozen=True, kw_only=True, rename="camel"):
    """A condition: one value, or two that are the ends of a range."""

    values: Annotated[tuple[SearchByAttributeValue, ...], Meta(min_length=1, max_length=2)]
    operator: Operator


class Sort(Struct, frozen=True, kw_only=True, rename="camel"):
    """The order of the results."""

    sort_order: SortOrder
    sort_field: SortField


class SearchCriteria(Struct, frozen=True, kw_only=True, rename="camel"):
    """Conditions, all of which must hold, and the order of the results."""

    filters: Annotated[tuple[SearchFilter, ...], Meta(min_length=1, max_length=2)] | None = None
    sort: Sort | None = None


class DICOMTags(Struct, frozen=True, kw_only=True):
    """The attributes of an image set's latest version that a search returns."""

    patient_id: DICOMPatientId | None = field(name="DICOMPatientId", default=None)
    patient_name: DICOMText512 | None = field(name="DICOMPatientName", default=None)
    patient_birth_date: DICOMStudyDate | None = field(name="DICOMPatientBirthDate", default=None)
    patient_sex: Annotated[str, _text(16)] | None = field(name="DICOMPatientSex", default=None)
    study_instance_uid: DICOMStudyInstanceUID | None = field(name="DICOMStudyInstanceUID", default=None)
    study_id: DICOMStudyId | None = field(name="DICOMStudyId", default=None)
    study_description: DICOMText512 | None = field(name="DICOMStudyDescription", default=None)
    number_of_series: DICOMCount | None = field(name="DICOMNumberOfStudyRelatedSeries", default=None)
    number_of_instances: DICOMCount | None = field(name="DICOMNumberOfStudyRelatedInstances", default=None)
    accession_number: DICOMAccessionNumber | None = field(name="DICOMAccessionNumber", default=None)
    series_instance_uid: DICOMSeriesInstanceUID | None = field(name="DICOMSeriesInstanceUID", default=None)
    series_modality: Annotated[str, _text(32)] | None = field(name="DICOMSeriesModality", default=None)
    series_body_part: Annotated[str, _text(128)] | None = field(name="DICOMSeriesBodyPart", default=None)
    series_number: DICOMSeriesNumber | None = field(name="DICOMSeriesNumber", default=None)
    study_date: DICOMStudyDate | None = field(name="DICOMStudyDate", default=None)
    study_time: DICOMStudyTime | None = field(name="DICOMStudyTime", default=None)
