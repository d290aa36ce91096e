"""The texts that a search returns, within the limits of AWS's model."""

from __future__ import annotations

from typing import Any

import botocore.session
import msgspec
import pytest

from healthimaging_emulator.healthimaging.dicom_tags import read_tags

pytestmark = pytest.mark.newest_boto3

MODEL = botocore.session.get_session().get_service_model("medical-imaging").shape_for("DICOMTags")
LEVELS = {
    "Patient": {
        "DICOMPatientId": "PatientID",
        "DICOMPatientName": "PatientName",
        "DICOMPatientSex": "PatientSex",
        "DICOMPatientBirthDate": "PatientBirthDate",
    },
    "Study": {
        "DICOMStudyInstanceUID": "StudyInstanceUID",
        "DICOMStudyId": "StudyID",
        "DICOMStudyDate": "StudyDate",
        "DICOMStudyTime": "StudyTime",
        "DICOMStudyDescription": "StudyDescription",
        "DICOMAccessionNumber": "AccessionNumber",
    },
    "Series": {
        "DICOMSeriesInstanceUID": "SeriesInstanceUID",
        "DICOMSeriesModality": "Modality",
        "DICOMSeriesBodyPart": "BodyPartExamined",
    },
}
MEMBERS = [(level, member) for level, members in LEVELS.items() for member in members]


def read(level: str, member: str, value: str) -> Any:
    """Return a member of an answer, read from a document that has a value for it."""
    attributes: dict[str, dict[str, str]] = {"Patient": {}, "Study": {}, "Series": {}}
    attributes[level][LEVELS[level][member]] = value
    series = {"1.2": {"DICOM": attributes["Series"], "Instances": {}}}
    study = {"DICOM": attributes["Study"], "Series": series}
    return msgspec.to_builtins(read_tags({"Patient": {"DICOM": attributes["Patient"]}, "Study": study}))[member]


def test_every_text_of_the_model_is_here() -> None:
    texts = {name for name, shape in MODEL.members.items() if shape.type_name == "string"}
    assert {member for _, member in MEMBERS} == texts


@pytest.mark.parametrize(("level", "member"), MEMBERS)
def test_a_text_is_returned_up_to_the_length_that_the_model_allows(level: str, member: str) -> None:
    longest = MODEL.members[member].metadata["max"]
    assert read(level, member, "1" * longest) == "1" * longest
    assert read(level, member, "1" * (longest + 1)) is None
