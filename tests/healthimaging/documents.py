"""Metadata documents for tests: a patient, a study, and series with instances. Nobody real."""

from __future__ import annotations

from typing import Any

STUDY, SERIES, INSTANCE, OTHER_INSTANCE = (f"1.2.840.99999.{number}" for number in (1, 1.1, 111, 112))


def document(**patient: Any) -> dict[str, Any]:
    """Return a document of one series with two instances; ``patient`` are attributes of the patient."""
    instances = {
        uid: {"DICOM": {"SOPInstanceUID": uid, "InstanceNumber": "1 ", "Rows": 640}, "DICOMVRs": {}, "ImageFrames": []}
        for uid in (INSTANCE, OTHER_INSTANCE)
    }
    return {
        "Patient": {"DICOM": {"PatientID": "P-1", "PatientName": "TEST^ONE", "PatientSex": None} | patient},
        "Study": {
            "DICOM": {"StudyInstanceUID": STUDY, "StudyDescription": "first"},
            "Series": {SERIES: {"DICOM": {"SeriesInstanceUID": SERIES, "Modality": "CT"}, "Instances": instances}},
        },
    }
