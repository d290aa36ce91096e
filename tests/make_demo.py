"""Make the pictures of the demo: ``python -m tests.make_demo`` writes them to ``demo.json`` and ``s3`` in ``fixtures``.

Nobody is real: the pictures are ellipses, and the patients have numbers for names.
"""

from __future__ import annotations

import base64
import io
import json
from copy import deepcopy
from datetime import datetime
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from healthimaging_emulator.healthimaging.imports.instance import Instance, make_document, read_instance
from healthimaging_emulator.healthimaging.metadata import make_uid

from .conftest import DEMO
from .demo import CHEST_CT, DUPLICATE_CT, HEAD_MR, HEAD_MR_COPY, KNEE_MR, OTHER_CT, OTHER_DATASTORE

BUCKET = DEMO.parent / "s3" / "demo"
SIZE = 64
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
COPY_FAILED = "INVALID_REQUEST:  Series of SourceImageSet and DestinationImageSet don't match."
UPDATE_FAILED = "INVALID_REQUEST:  Attribute to remove doesn't match."


def draw(ellipses: list[tuple[float, float, float, float, int]], background: int, kind: str) -> np.ndarray[Any, Any]:
    """Return a picture of ellipses: centre, half axes, and value of each; the later ones lie above."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    picture = np.full((SIZE, SIZE), background, kind)
    for centre_x, centre_y, width, height, value in ellipses:
        picture[((x - centre_x) / width) ** 2 + ((y - centre_y) / height) ** 2 <= 1] = value
    return picture


def draw_chest(level: int) -> np.ndarray[Any, Any]:
    lung = 0.14 + 0.02 * level
    ellipses = [(0.5, 0.5, 0.42, 0.34, 40), (0.32, 0.48, lung, 0.22, -800), (0.68, 0.48, lung, 0.22, -800)]
    return draw([*ellipses, (0.5, 0.72, 0.06, 0.06, 700), (0.46, 0.5, 0.08, 0.1, 60)], -1000, "<i2")


def draw_head(level: int) -> np.ndarray[Any, Any]:
    ventricle = 0.04 + 0.02 * level
    ellipses = [(0.5, 0.5, 0.34, 0.42, 900), (0.5, 0.5, 0.3, 0.38, 420), (0.44, 0.48, ventricle, 0.12, 120)]
    return draw([*ellipses, (0.56, 0.48, ventricle, 0.12, 120)], 0, "<u2")


def draw_knee(_: int) -> np.ndarray[Any, Any]:
    return draw([(0.5, 0.5, 0.3, 0.5, 500), (0.5, 0.24, 0.2, 0.2, 250), (0.5, 0.76, 0.18, 0.2, 260)], 0, "<u2")


def make_instance(*arguments: Any) -> Instance:
    """Read a DICOM file of one picture, as an import would."""
    return read_instance(make_file(*arguments))


def make_file(name: str, modality: str, number: int, pixels: np.ndarray[Any, Any], attributes: dict[str, str]) -> bytes:
    """Return a DICOM file of one picture."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = UID(CT if modality == "CT" else MR)
    dataset.SOPInstanceUID = make_uid(f"instance {number}", name)
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = make_uid("series", name), make_uid("study", name)
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = modality, "1", str(number)
    dataset.Rows = dataset.Columns = SIZE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, int(pixels.dtype.kind == "i")
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = pixels.tobytes()
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def describe(
    patient: int, sex: str, born: str, accession: str, date: str, study: str, body_part: str
) -> dict[str, str]:
    """Return attributes of a patient, a study and a series."""
    return {
        "PatientID": f"DEMO-{patient}",
        "PatientName": f"DEMO^PATIENT {patient}",
        "PatientSex": sex,
        "PatientBirthDate": born,
        "AccessionNumber": accession,
        "StudyID": accession[-1],
        "StudyDate": date,
        "StudyTime": "101500",
        "StudyDescription": study,
        "BodyPartExamined": body_part,
        "SeriesDescription": f"{body_part} axial",
        "Manufacturer": "EMULATOR",
    }


def version(number: int, status: str, at: str, created: str, **members: Any) -> dict[str, Any]:
    state = "DELETED" if status == "DELETED" else "ACTIVE"
    times = {"createdAt": to_epoch(created)} | ({"updatedAt": to_epoch(at)} if number > 1 else {})
    return {"versionId": str(number), "imageSetState": state, "ImageSetWorkflowStatus": status, **times, **members}


def to_epoch(time: str) -> float:
    return datetime.fromisoformat(f"2024-{time}+00:00").timestamp()


def image_set(id: str, instances: list[Instance], versions: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
    frames = {id: content for instance in instances for id, content in instance.frames.items()}
    encoded = {id: {"base64": base64.b64encode(content).decode()} for id, content in frames.items()}
    return {"imageSetId": id, "versions": versions, "metadata": make_document(instances), **members, "frames": encoded}


def make_image_sets() -> list[dict[str, Any]]:
    """Return the image sets with pixels, as they stand in the demo."""
    chest = describe(1, "F", "19600102", "DEMO0001", "20240110", "Chest CT", "CHEST")
    chest_ct = [make_instance("chest", "CT", n, draw_chest(n), chest) for n in (1, 2, 3)]
    head = describe(1, "F", "19600102", "DEMO0002", "20240205", "Head MR", "HEAD")
    head_mr = [make_instance("head", "MR", n, draw_head(n), head) for n in (1, 2)]
    other = describe(2, "M", "19751130", "DEMO0003", "20240301", "Chest CT", "CHEST")
    other_ct = [make_instance("other", "CT", 1, draw_chest(0), other)]
    knee = describe(3, "O", "19880615", "DEMO0004", "20240315", "Knee MR", "KNEE")
    knee_mr = [make_instance("knee", "MR", 1, draw_knee(1), knee)]
    at = {
        "chest": "01-10T10:20:00",
        "head": "02-05T10:20:00",
        "copy": "02-06T09:00:00",
        "other": "03-01T10:20:00",
        "knee": "03-15T10:20:00",
    }
    primary: dict[str, Any] = {"isPrimary": True}
    copy: dict[str, Any] = {"isPrimary": False}
    failed: dict[str, Any] = {"message": UPDATE_FAILED}
    before, renamed = deepcopy(make_document(chest_ct)), deepcopy(make_document(head_mr))
    before["Study"]["DICOM"]["StudyDescription"] = "Chest"
    renamed["Patient"]["DICOM"]["PatientName"] = "DEMO^PATIENT 1^CORRECTED"
    return [
        image_set(
            CHEST_CT,
            chest_ct,
            [
                version(3, "UPDATED", "01-11T08:05:00", at["chest"], **primary),
                version(2, "UPDATE_FAILED", "01-11T08:00:00", at["chest"], **failed, **primary, metadata=before),
                version(1, "CREATED", at["chest"], at["chest"], **primary, metadata=before),
            ],
        ),
        image_set(HEAD_MR, head_mr, [version(1, "COPIED", at["head"], at["head"], **primary)]),
        image_set(
            HEAD_MR_COPY,
            head_mr,
            [
                version(2, "UPDATED", "02-06T09:01:00", at["copy"], **copy, metadata=renamed),
                version(1, "COPIED", at["copy"], at["copy"], **copy),
            ],
        ),
        image_set(
            OTHER_CT,
            other_ct,
            [
                version(2, "COPY_FAILED", "03-02T12:00:00", at["other"], **primary, message=COPY_FAILED),
                version(1, "CREATED", at["other"], at["other"], **primary),
            ],
        ),
        image_set(
            DUPLICATE_CT,
            other_ct,
            [version(1, "DELETED", at["other"], at["other"], **copy, deletedAt=to_epoch("03-01T11:00:00"))],
        ),
        image_set(KNEE_MR, knee_mr, [version(1, "CREATED", at["knee"], at["knee"], **primary)]),
    ]


def make_bucket() -> dict[str, bytes]:
    """Return the files of the bucket that ships with the demo, by their keys."""
    chest = describe(4, "F", "19930721", "DEMO0005", "20240401", "Chest CT", "CHEST")
    head = describe(5, "M", "19801004", "DEMO0006", "20240402", "Head MR", "HEAD")
    return {
        "chest/ct-1.dcm": make_file("new chest", "CT", 1, draw_chest(1), chest),
        "chest/ct-2.dcm": make_file("new chest", "CT", 2, draw_chest(2), chest),
        "head/mr-1.dcm": make_file("new head", "MR", 1, draw_head(1), head),
        "notes.txt": b"This file is no DICOM, so its import fails.\n",
    }


def main() -> None:
    """Write the files into the bucket, and the image sets into the demo, one on a line."""
    for key, content in make_bucket().items():
        (BUCKET / key).parent.mkdir(parents=True, exist_ok=True)
        (BUCKET / key).write_bytes(content)
    lines = DEMO.read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if f'"{OTHER_DATASTORE}"' in line)
    made = make_image_sets()
    ids = {each["imageSetId"] for each in made}
    kept = [
        each for each in json.loads(DEMO.read_text())["datastores"][1]["imageSets"] if each["imageSetId"] not in ids
    ]
    written = ",\n".join(f"    {json.dumps(each)}" for each in kept + made)
    DEMO.write_text("\n".join([*lines[: start + 1], written, "  ]}", "]}"]) + "\n")


if __name__ == "__main__":
    main()
