"""Image sets made from a few numbers: patients, studies, series and metadata, the same on every machine.

Nobody is real: names, ids and dates are made from numbers. Frames are not made, so the documents name none.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from random import Random
from typing import Any

from ..healthimaging.metadata import Metadata, make_uid
from ..healthimaging.records import ImageSet
from .document import GenerateImageSets
from .generate import make_history

SECONDS_APART = 61.0
"""Between the creation of one image set and the next."""

_MODALITIES = (
    ("CT", "1.2.840.10008.5.1.4.1.1.2", "CHEST", 512),
    ("MR", "1.2.840.10008.5.1.4.1.1.4", "HEAD", 256),
    ("US", "1.2.840.10008.5.1.4.1.1.6.1", "ABDOMEN", 480),
    ("DX", "1.2.840.10008.5.1.4.1.1.1.1", "KNEE", 2048),
)
"""Modality, SOP class, body part, rows and columns."""

_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


def make_image_sets(numbers: GenerateImageSets, datastore_id: str, created_at: float) -> Iterator[ImageSet]:
    """Yield image sets: one for each series, spread evenly over the studies, and these over the patients."""
    random = Random(numbers.seed).random  # of the module, only ``random`` gives the same numbers in every Python
    for index in range(numbers.image_sets):
        id = sha256(f"image set {numbers.seed} {index}".encode()).hexdigest()[:32]
        document = make_document(numbers, index)
        history = make_history(
            1 + int(random() * numbers.versions),
            seed=index,
            created_at=round(created_at + index * SECONDS_APART, 3),
            metadata=Metadata(document, datastore_id, id),
            is_primary=True,
        )
        yield ImageSet(datastore_id=datastore_id, image_set_id=id, history=history)


def make_document(numbers: GenerateImageSets, index: int) -> dict[str, Any]:
    """Return the metadata of one image set."""
    study = index % numbers.study_count
    patient = study % numbers.patient_count
    modality, sop_class, body_part, size = _MODALITIES[study % len(_MODALITIES)]
    uid = make_uid(f"series {numbers.seed}", str(index))
    series = {
        "BodyPartExamined": body_part,
        "Manufacturer": "EMULATOR",
        "Modality": modality,
        "SeriesDescription": f"{modality} series {index}",
        "SeriesInstanceUID": uid,
        "SeriesNumber": str(index // numbers.study_count + 1),
    }
    instances = dict(_make_instances(numbers, index, sop_class, size))
    return {
        "Patient": {"DICOM": _make_patient(patient)},
        "Study": {
            "DICOM": _make_study(numbers, study, modality),
            "Series": {uid: {"DICOM": series, "Instances": instances}},
        },
    }


def _make_patient(patient: int) -> dict[str, Any]:
    random = Random(f"patient {patient}").random
    return {
        "PatientBirthDate": _make_date(random, 1930, 80),
        "PatientID": f"P{patient:06}",
        "PatientName": f"SYNTHETIC^P{patient:06}",
        "PatientSex": "FMO"[int(random() * 3)],
    }


def _make_study(numbers: GenerateImageSets, study: int, modality: str) -> dict[str, Any]:
    random = Random(f"study {numbers.seed} {study}").random
    return {
        "AccessionNumber": f"A{study:06}",
        "ReferringPhysicianName": None,
        "StudyDate": _make_date(random, 2015, 10),
        "StudyDescription": f"{modality} study {study}",
        "StudyID": f"S{study:06}",
        "StudyInstanceUID": make_uid(f"study {numbers.seed}", str(study)),
        "StudyTime": f"{int(random() * 24):02}{int(random() * 60):02}{int(random() * 60):02}",
    }


def _make_date(random: Any, first_year: int, years: int) -> str:
    return f"{first_year + int(random() * years)}{1 + int(random() * 12):02}{1 + int(random() * 28):02}"


def _make_instances(
    numbers: GenerateImageSets, index: int, sop_class: str, size: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    for number in range(1, numbers.instances + 1):
        uid = make_uid(f"instance {numbers.seed} {index}", str(number))
        attributes = {
            "SOPClassUID": sop_class,
            "SOPInstanceUID": uid,
            "InstanceNumber": str(number),
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": size,
            "Columns": size,
            "BitsAllocated": 16,
            "BitsStored": 12,
            "HighBit": 11,
            "PixelRepresentation": 0,
        }
        yield (
            uid,
            {
                "DICOM": attributes,
                "DICOMVRs": {},
                "StoredTransferSyntaxUID": _EXPLICIT_LITTLE_ENDIAN,
                "ImageFrames": [],
            },
        )
