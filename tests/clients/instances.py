"""DICOM instances with random pixels, and the metadata document and the frames that an import makes of them."""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VM
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from healthimaging_emulator.healthimaging.dicom import level_of

NUMBERS = ("US", "SS", "UL", "SL", "FL", "FD")
"""VRs whose values a metadata document holds as numbers."""


def make_instance(folder: Path, number: int, shape: Sequence[int], signed: bool = False, frames: int = 1) -> Dataset:
    """Write an instance, of 16 bits if it is grey and of 8 bits if ``shape`` ends in 3 for its colours; read it."""
    rows, columns, *colours = shape
    bits = 8 if colours else 16
    item, instance = Dataset(), Dataset()
    item.CodeMeaning = "Invented"
    attributes = {
        "PatientID": "P1",
        "PatientName": "Doe^Jane",
        "PatientSex": None,
        "StudyInstanceUID": "1.2.3",
        "StudyDate": "20230328",
        "SeriesInstanceUID": "1.2.3.4",
        "SeriesNumber": "1",
        "Modality": "OT",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.3",
        "SOPInstanceUID": f"1.2.3.4.{number}",
        "InstanceNumber": str(number),
        "ImageType": ["DERIVED", "SECONDARY"],
        "DerivationCodeSequence": [item],
        "PixelSpacing": ["0.5", "0.25"],
        "WindowCenter": "40",
        "LargestImagePixelValue": 32767 if signed else 65535,
        "Rows": rows,
        "Columns": columns,
        "NumberOfFrames": str(frames),
        "SamplesPerPixel": 3 if colours else 1,
        "PhotometricInterpretation": "RGB" if colours else "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(signed),
    }
    for keyword, value in attributes.items():
        setattr(instance, keyword, value)
    instance.private_block(0x19, "EMULATOR", create=True).add_new(0xF9, "DS", "97")
    size = rows * columns * (3 if colours else 2) * frames
    instance.add_new("PixelData", "OW", random.Random(number).randbytes(size))
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = folder / f"{instance.SOPInstanceUID}.dcm"
    instance.save_as(file, enforce_file_format=True)
    return dcmread(file)


def describe(instances: Sequence[Dataset]) -> dict[str, Any]:
    """Return the metadata document of the image set of some instances of one series."""
    levels: dict[str, dict[str, Any]] = {"Patient": {}, "Study": {}, "Series": {}}
    described = {}
    for instance in instances:
        own: dict[str, Any] = {}
        for element in instance:
            if element.keyword != "PixelData":
                levels.get(level_of(element.keyword), own)[_key(element)] = _value(element)
        private = {_key(element): element.VR for element in instance if element.tag.is_private}
        frames = [{"ID": id} for id in _frame_ids(instance)]
        described[instance.SOPInstanceUID] = {"DICOM": own, "DICOMVRs": private, "ImageFrames": frames}
    series = {"DICOM": levels["Series"], "Instances": described}
    return {
        "Patient": {"DICOM": levels["Patient"]},
        "Study": {"DICOM": levels["Study"], "Series": {instances[0].SeriesInstanceUID: series}},
    }


def _key(element: Any) -> str:
    return f"{element.tag:08X}" if element.tag.is_private else str(element.keyword)


def _value(element: Any) -> Any:
    if element.VR == "SQ":
        return [{each.keyword: _value(each) for each in item} for item in element]
    if element.is_empty:
        return None
    values = element.value if element.VM > 1 else [element.value]
    written = [value if element.VR in NUMBERS else str(value) for value in values]
    return written[0] if element.tag.is_private or dictionary_VM(element.tag) == "1" else written


def _frame_ids(instance: Dataset) -> list[str]:
    return [f"{instance.InstanceNumber}{number:04}".rjust(32, "0") for number in range(instance.NumberOfFrames)]


def raw_frames(instances: Sequence[Dataset]) -> dict[str, dict[str, Any]]:
    """Return every frame by its id: its pixels in base64, and their shape and type in NumPy's words."""
    frames = {}
    for instance in instances:
        colours = [3] if instance.SamplesPerPixel == 3 else []
        kind = "<i2" if instance.PixelRepresentation else "|u1" if colours else "<u2"
        size = len(instance.PixelData) // instance.NumberOfFrames
        for number, id in enumerate(_frame_ids(instance)):
            pixels = base64.b64encode(instance.PixelData[number * size : (number + 1) * size]).decode()
            frames[id] = {"base64": pixels, "shape": [instance.Rows, instance.Columns, *colours], "type": kind}
    return frames
