"""The DICOM attributes of a metadata document that a search finds and returns.

They are taken out when a document is stored, so that no search has to parse one. Padding is left out, and so is a value
that AWS's API does not allow in an answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .shapes.search import DICOMTags

_DATE = re.compile("[0-9]{8}")
_TIME = re.compile(r"([0-9]{2})([0-9]{2})?([0-9]{2})?(?:\.([0-9]{1,6}))?")
_UID = re.compile("[0-9.]{1,512}")
_INTEGER = re.compile("[+-]?[0-9]{1,10}")


def read_tags(document: Mapping[str, Any]) -> DICOMTags:
    """Return the attributes of a document. Those of the series are of the first one."""
    patient, study = (_attributes(document.get(level, {})) for level in ("Patient", "Study"))
    all_series = document.get("Study", {}).get("Series", {})
    first_uid, first = next(iter(all_series.items()), (None, {}))
    series = {"SeriesInstanceUID": first_uid, **_attributes(first)}
    return DICOMTags(
        patient_id=_read_text(patient, "PatientID"),
        patient_name=_read_text(patient, "PatientName"),
        patient_birth_date=_read_text(patient, "PatientBirthDate", 36),
        patient_sex=_read_text(patient, "PatientSex", 16),
        study_instance_uid=_read_uid(study, "StudyInstanceUID"),
        study_id=_read_text(study, "StudyID"),
        study_description=_read_text(study, "StudyDescription"),
        number_of_series=len(all_series),
        number_of_instances=sum(len(each.get("Instances", {})) for each in all_series.values()),
        accession_number=_read_text(study, "AccessionNumber"),
        series_instance_uid=_read_uid(series, "SeriesInstanceUID"),
        series_modality=_read_text(series, "Modality", 32),
        series_body_part=_read_text(series, "BodyPartExamined", 128),
        series_number=_read_integer(series, "SeriesNumber"),
        study_date=_read_text(study, "StudyDate", 36),
        study_time=_read_text(study, "StudyTime", 56),
    )


def _attributes(part: Mapping[str, Any]) -> Mapping[str, Any]:
    attributes: Mapping[str, Any] = part.get("DICOM", {})
    return attributes


def _read_uid(attributes: Mapping[str, Any], keyword: str) -> str | None:
    uid = _read_text(attributes, keyword)
    return uid if uid and _UID.fullmatch(uid) else None


def _read_text(attributes: Mapping[str, Any], keyword: str, longest: int = 512) -> str | None:
    value = attributes.get(keyword)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # as people write an id in YAML
    text = strip_padding(value) if isinstance(value, str) else ""
    return text if 0 < len(text) <= longest else None


def _read_integer(attributes: Mapping[str, Any], keyword: str) -> int | None:
    text = _read_text(attributes, keyword) or ""
    number = int(text) if _INTEGER.fullmatch(text) else None
    return number if number is not None and -(2**31) <= number < 2**31 else None


def strip_padding(text: str) -> str:
    """Return a value without the spaces and the NUL with which DICOM pads it."""
    return text.rstrip("\0").strip(" ")


def read_study_time(date: str | None, time: str | None) -> int | None:
    """Return a number that orders date and time, in microseconds; None without a valid date.

    A time that is absent or cannot be read is midnight.
    """
    if date is None or not _DATE.fullmatch(date):
        return None
    found = _TIME.fullmatch(time or "")
    digits = "".join([*found.groups("00")[:3], f"{found[4] or '':0<6}"]) if found else "0" * 12
    return int(date + digits)


def is_study_time(date: str, time: str | None) -> bool:
    """Whether date and time have the form that DICOM gives them."""
    return _DATE.fullmatch(date) is not None and (not time or _TIME.fullmatch(time) is not None)
