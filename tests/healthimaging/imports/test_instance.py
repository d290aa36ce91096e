"""DICOM files as an import reads them: those that pydicom ships, and small ones made here. Nobody is real."""

from __future__ import annotations

import base64
import io
import json
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLSLossless,
)

from healthimaging_emulator.healthimaging.dicom import find_attribute, is_private, level_of
from healthimaging_emulator.healthimaging.imports import instance as reader
from healthimaging_emulator.healthimaging.imports.instance import Instance, NotImportable, make_document, read_instance
from healthimaging_emulator.healthimaging.metadata import Metadata

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
FILES = sorted(path for path in SHIPPED.rglob("*") if path.is_file())
HAS_CODECS = find_spec("imagecodecs") is not None
HTJ2K, LITTLE_ENDIAN = "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.1"
NO_IMAGE = "DICOM attributes does not exist"

NO_CLASS, NO_STUDY = (f"DICOM attribute {keyword} does not exist" for keyword in ("SOPClassUID", "StudyInstanceUID"))
DIRECTORIES = ("", "-bigEnd", "-empty.dcm", "-implicit", "-nooffset", "-nopatient", "-reordered")
REFUSED = {
    **dict.fromkeys(("ExplVR_BigEndNoMeta.dcm", "ExplVR_LitEndNoMeta.dcm", "no_meta.dcm", "rtstruct.dcm"), NO_IMAGE),
    **dict.fromkeys(("README.txt", "README", "crayons.icc", "rtplan.dump", "rtstruct.dump", "zipMR.gz"), NO_IMAGE),
    **dict.fromkeys(("test1.json", "test_PN.json"), NO_IMAGE),
    **dict.fromkeys(("JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm"), NO_STUDY),
    **dict.fromkeys(("SC_rgb_jls_lossy_line.dcm", "SC_rgb_jls_lossy_sample.dcm"), NO_STUDY),
    **dict.fromkeys(("UN_sequence.dcm", "empty_charset_LEI.dcm", "no_meta_group_length.dcm"), NO_CLASS),
    **dict.fromkeys(("nested_priv_SQ.dcm", "priv_SQ.dcm"), NO_CLASS),
    **{f"DICOMDIR{ending}": NO_CLASS for ending in DIRECTORIES},
    "badVR.dcm": "DICOM file cannot be read: invalid literal for int() with base 10: '1A'",
    "meta_missing_tsyntax.dcm": "DICOM attribute TransferSyntaxUID does not exist",
    "MR_truncated.dcm": "DICOM file cannot be read: The number of bytes of pixel data is less than expected (8130 vs "
    "8192 bytes) - the dataset may be corrupted, have an invalid group 0028 element value, or the transfer syntax may "
    "be incorrect",
}
"""Files that cannot be imported, and the message of each."""


def outcome(path: Path) -> Instance | str:
    try:
        return read_instance(path.read_bytes())
    except NotImportable as error:
        return error.message


def relative(path: Path) -> str:
    return str(path.relative_to(SHIPPED))


# The files that pydicom ships.


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_every_shipped_file_is_read_or_refused_with_a_message(path: Path) -> None:
    found = outcome(path)
    if path.name in REFUSED:
        assert found == REFUSED[path.name]
        return
    assert not isinstance(found, str)
    document = make_document([found])
    metadata = Metadata(document, "d" * 32, "a" * 32)
    assert metadata.parse()["Study"] == json.loads(json.dumps(document))["Study"]
    assert list(metadata.frames) == list(found.frames)


def as_pydicom_reads(element: Any) -> list[Any]:
    """Return the values of an element in pydicom's own reading, as JSON."""
    value = element.value
    if element.VR == "SQ":
        return [None] * len(value or ())
    many = list(value) if hasattr(value, "append") else [] if value in (None, "", b"") else [value]
    if element.VR == "AT":
        return [f"{int(each):08X}" for each in many]
    return [base64.b64encode(each).decode() if isinstance(each, bytes) else each for each in many]


def is_same(ours: Any, theirs: Any) -> bool:
    """Compare a value with pydicom's, which takes text without padding, and numbers in text as numbers."""
    if not isinstance(ours, str):
        return bool(ours == theirs)
    if isinstance(theirs, (int, float)):
        return float(ours) == float(theirs)
    return ours.rstrip("\0").strip() == str(theirs).strip()


@pytest.mark.parametrize("path", FILES, ids=relative)
@pytest.mark.filterwarnings("ignore")
def test_the_metadata_is_what_pydicom_reads(path: Path) -> None:
    found = outcome(path)
    if isinstance(found, str):
        return
    dataset = pydicom.dcmread(path)
    parts = {"Patient": found.patient, "Study": found.study, "Series": found.series, "Instance": found.content["DICOM"]}
    seen = 0
    for element in (*dataset.file_meta, *dataset):
        if element.tag in (0x7FE00010, 0xFFFCFFFC) or (element.tag.element == 0 and element.tag.group != 2):
            continue
        seen += 1
        key = element.keyword if element.keyword and find_attribute(element.keyword) else f"{element.tag:08X}"
        value = parts[level_of(key)][key]
        ours = value if isinstance(value, list) else [] if value is None else [value]
        theirs = as_pydicom_reads(element)
        assert len(ours) == len(theirs), (key, ours, theirs)
        if element.VR != "SQ":
            assert all(each is None or is_same(each, other) for each, other in zip(ours, theirs, strict=True)), key
        assert (found.content["DICOMVRs"].get(key) is not None) == is_private(key)
    assert seen == sum(map(len, parts.values()))


@pytest.mark.frames
@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".dcm"], ids=relative)
@pytest.mark.filterwarnings("ignore")
def test_every_frame_has_the_pixels_that_pydicom_reads(path: Path) -> None:
    import imagecodecs
    import numpy
    from pydicom.encaps import generate_frames

    found = outcome(path)
    if isinstance(found, str) or not found.frames:
        return
    dataset = pydicom.dcmread(path)
    try:
        pixels = dataset.pixel_array if "YBR" not in dataset.PhotometricInterpretation else None
    except (RuntimeError, ValueError):  # pydicom has no decoder for it here
        pixels = None
    entries = found.content["ImageFrames"]
    if found.content["StoredTransferSyntaxUID"] not in (HTJ2K, "1.2.840.10008.1.2.1"):  # lossy: kept as it came
        came = list(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames", 1))))
        assert [found.frames[entry["ID"]] for entry in entries] == came
        return
    if pixels is None:
        assert len(entries) == dataset.get("NumberOfFrames", 1)
        return
    expected = pixels if dataset.get("NumberOfFrames", 1) > 1 else pixels[None]
    for entry, wanted in zip(entries, expected, strict=True):
        stored = found.frames[entry["ID"]]
        assert entry["FrameSizeInBytes"] == len(stored)
        if found.content["StoredTransferSyntaxUID"] == HTJ2K:
            assert stored[:12] == b"\0\0\0\x0cjP  \r\n\x87\n"
            decoded = imagecodecs.htj2k_decode(stored[stored.index(b"jp2c") + 4 :])
        elif dataset.BitsAllocated == 1:
            decoded = numpy.unpackbits(numpy.frombuffer(stored, "u1"), bitorder="little")[: wanted.size].reshape(
                wanted.shape
            )
        else:
            decoded = numpy.frombuffer(stored, wanted.dtype.newbyteorder("<")).reshape(wanted.shape)
        assert numpy.array_equal(decoded, wanted)
        if "MinPixelValue" in entry:
            assert (entry["MinPixelValue"], entry["MaxPixelValue"]) == (wanted.min(), wanted.max())
            (checksum,) = entry["PixelDataChecksumFromBaseToFullResolution"]
            little = numpy.ascontiguousarray(wanted.astype(wanted.dtype.newbyteorder("<")))
            assert checksum == {
                "Width": dataset.Columns,
                "Height": dataset.Rows,
                "Checksum": zlib.crc32(little.tobytes()),
            }


# Values, by the rules of a real document.


def make_file(change: Callable[[Dataset], None] = lambda _: None, *, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """Return a DICOM file of four pixels, after a change of its dataset."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2", "1.2.3"
    dataset.PatientID = "P-1"
    dataset.Rows = dataset.Columns = 2
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PixelData = bytes([1, 0, 2, 0, 3, 0, 0, 1])
    change(dataset)
    file = io.BytesIO()
    pydicom.dcmwrite(
        file, dataset, enforce_file_format=True, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True
    )
    return file.getvalue()


def read(**attributes: Any) -> dict[str, Any]:
    def change(dataset: Dataset) -> None:
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)

    found = read_instance(make_file(change))
    return {**found.patient, **found.study, **found.series, **found.content["DICOM"]}


@pytest.mark.parametrize(
    ("keyword", "given", "expected"),
    [
        ("PatientSex", None, None),
        ("PatientSex", "O", "O "),
        ("PatientName", "TEST^ONE", "TEST^ONE"),
        ("StudyInstanceUID", "1.2.9", "1.2.9"),
        ("SeriesNumber", "1", "1 "),
        ("RescaleSlope", "1", "1 "),
        ("WindowCenter", "40", ["40"]),
        ("WindowCenter", ["40", "300"], ["40", "300"]),
        ("ImageType", ["ORIGINAL", "PRIMARY"], ["ORIGINAL", "PRIMARY"]),
        ("Rows", 2, 2),
        ("SmallestImagePixelValue", 1, 1),
        ("DiffusionBValue", 0.5, 0.5),
        ("ImagePositionPatient", ["1", "2", "3"], ["1", "2", "3 "]),
        ("FrameIncrementPointer", 0x00181063, ["00181063"]),
        ("ICCProfile", b"\x01\x02", "AQI="),
        ("PatientComments", "a\\b", "a\\b "),
        ("ReferencedStudySequence", [], None),
    ],
)
def test_a_value_is_written_by_the_rules_of_its_vr(keyword: str, given: Any, expected: Any) -> None:
    value = Sequence(given) if keyword.endswith("Sequence") else given
    assert read(**{keyword: value})[keyword] == expected


def test_a_sequence_is_a_list_of_objects_also_inside_another() -> None:
    inner, outer = Dataset(), Dataset()
    inner.CodeValue, inner.CodingSchemeDesignator = "A", "SCHEME"
    outer.CodeMeaning, outer.ConceptNameCodeSequence = "outer", Sequence([inner])
    assert read(ProcedureCodeSequence=Sequence([outer]))["ProcedureCodeSequence"] == [
        {"CodeMeaning": "outer ", "ConceptNameCodeSequence": [{"CodeValue": "A ", "CodingSchemeDesignator": "SCHEME"}]}
    ]


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192"])
def test_text_is_decoded_by_the_character_set(charset: str) -> None:
    assert (
        read(SpecificCharacterSet=charset, StudyDescription="Sch\u00e4del")["StudyDescription"].strip()
        == "Sch\u00e4del"
    )


def test_a_private_element_has_its_tag_as_key_and_its_vr_beside_it() -> None:
    def change(dataset: Dataset) -> None:
        block = dataset.private_block(0x0019, "EMULATOR", create=True)
        block.add_new(0x10, "DS", "97")

    content = read_instance(make_file(change)).content
    assert (content["DICOM"]["00190010"], content["DICOM"]["00191010"]) == ("EMULATOR", "97")
    assert content["DICOMVRs"] == {"00190010": "LO", "00191010": "DS"}


def test_attributes_lie_at_their_levels_in_their_order() -> None:
    def change(dataset: Dataset) -> None:
        dataset.PatientName, dataset.StudyID, dataset.Modality = "TEST^ONE", "S", "OT"

    found = read_instance(make_file(change))
    assert list(found.patient) == ["PatientID", "PatientName"]
    assert list(found.study) == ["StudyID", "StudyInstanceUID"]
    assert list(found.series) == ["Modality", "SeriesInstanceUID"]
    keys = list(found.content["DICOM"])
    assert keys[:4] == [
        *("FileMetaInformationGroupLength", "FileMetaInformationVersion"),
        *("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID"),
    ]
    assert keys[-4:] == ["BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"]
    assert found.content["DICOM"]["FileMetaInformationVersion"] == "AAE="
    assert found.content["DICOM"]["TransferSyntaxUID"] == LITTLE_ENDIAN


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_the_vr_of_an_implicit_element_is_found(syntax: UID) -> None:
    content = read_instance(make_file(syntax=syntax)).content["DICOM"]
    assert (content["Rows"], content["BitsAllocated"], content["SOPInstanceUID"]) == (2, 16, "1.2.3.4")


# Frames.


@pytest.mark.frames
def test_with_the_extra_a_frame_is_a_jph_file() -> None:
    content = read_instance(make_file()).content
    (entry,) = content["ImageFrames"]
    assert (content["StoredTransferSyntaxUID"], content["ChecksumType"]) == (HTJ2K, "DECOMPRESSED")
    assert (entry["MinPixelValue"], entry["MaxPixelValue"]) == (1, 256)


@pytest.mark.frames
@pytest.mark.parametrize(
    ("syntax", "encoder", "samples"),
    [
        (JPEGLossless, "ljpeg_encode", 1),
        (JPEGLSLossless, "jpegls_encode", 1),
        (JPEGLSLossless, "jpegls_encode", 3),
        (JPEG2000Lossless, "jpeg2k_encode", 1),
        (JPEG2000Lossless, "jpeg2k_encode", 3),
    ],
)
def test_a_frame_that_was_compressed_without_loss_keeps_its_pixels(syntax: UID, encoder: str, samples: int) -> None:
    import imagecodecs
    import numpy

    shape = (16, 24) if samples == 1 else (16, 24, samples)
    pixels = (numpy.arange(16 * 24 * samples) % 251).astype("u1").reshape(shape)
    options: dict[str, Any] = {"codecformat": "j2k", "reversible": True} if encoder == "jpeg2k_encode" else {}

    def compress(dataset: Dataset) -> None:
        dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 16, 24, samples
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
        dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "MONOCHROME2" if samples == 1 else "RGB", 0
        dataset.PixelData = encapsulate([getattr(imagecodecs, encoder)(pixels, **options)])

    found = read_instance(make_file(compress, syntax=syntax))
    (entry,), (stored,) = found.content["ImageFrames"], found.frames.values()
    assert found.content["StoredTransferSyntaxUID"] == HTJ2K
    assert numpy.array_equal(imagecodecs.htj2k_decode(stored[stored.index(b"jp2c") + 4 :]), pixels)
    assert entry["PixelDataChecksumFromBaseToFullResolution"] == [
        {"Width": 24, "Height": 16, "Checksum": zlib.crc32(pixels.tobytes())}
    ]


def test_without_the_extra_a_frame_is_its_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "has_codecs", lambda: False)
    found = read_instance(make_file())
    (entry,) = found.content["ImageFrames"]
    pixels = bytes([1, 0, 2, 0, 3, 0, 0, 1])
    assert found.content["StoredTransferSyntaxUID"] == LITTLE_ENDIAN
    assert found.frames == {entry["ID"]: pixels}
    assert entry == {
        "ID": entry["ID"],
        "PixelDataChecksumFromBaseToFullResolution": [{"Width": 2, "Height": 2, "Checksum": zlib.crc32(pixels)}],
        "MinPixelValue": 1,
        "MaxPixelValue": 256,
        "FrameSizeInBytes": 8,
    }


def test_the_id_of_a_frame_changes_with_its_pixels_only() -> None:
    def brighten(dataset: Dataset) -> None:
        dataset.PixelData = bytes(8)

    def rename(dataset: Dataset) -> None:
        dataset.PatientName = "TEST^TWO"

    ids = [list(read_instance(make_file(change)).frames) for change in (lambda _: None, rename, brighten)]
    assert ids[0] == ids[1] != ids[2]


def test_samples_in_planes_are_put_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(dataset: Dataset) -> None:
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 1
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.PixelData = b"rstuGHIJ1234"

    monkeypatch.setattr(reader, "has_codecs", lambda: False)
    assert list(read_instance(make_file(change)).frames.values()) == [b"rG1sH2tI3uJ4"]


# Files that cannot be imported.


def without(keyword: str) -> Callable[[Dataset], None]:
    return lambda dataset: delattr(dataset, keyword)


def with_value(keyword: str, value: Any) -> Callable[[Dataset], None]:
    return lambda dataset: setattr(dataset, keyword, value)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_a_file_without_a_uid_is_refused(keyword: str) -> None:
    with pytest.raises(NotImportable) as raised:
        read_instance(make_file(without(keyword)))
    assert raised.value.message == f"DICOM attribute {keyword} does not exist"


@pytest.mark.parametrize(
    ("keyword", "longest"),
    [
        *((keyword, 256) for keyword in ("PatientName", "PatientID", "StudyID", "StudyDescription", "AccessionNumber")),
        *(("PatientBirthDate", 18), ("StudyDate", 18), ("PatientSex", 16), ("StudyTime", 28)),
    ],
)
@pytest.mark.filterwarnings("ignore:The value length")
@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.filterwarnings("ignore:The PN component length")
def test_a_value_that_is_too_long_is_refused(keyword: str, longest: int) -> None:
    read_instance(make_file(with_value(keyword, "1" * longest)))
    with pytest.raises(NotImportable) as raised:
        read_instance(make_file(with_value(keyword, "1" * (longest + 1))))
    assert raised.value.message == f"DICOM attribute {keyword} is longer than {longest} characters"


def test_pixel_data_that_is_cut_is_refused() -> None:
    with pytest.raises(NotImportable, match=r"^DICOM file cannot be read: The number of bytes of pixel data is less"):
        read_instance(make_file(with_value("PixelData", b"\0\0")))


@pytest.mark.parametrize("numbers", [{"Rows": 60000, "Columns": 60000}, {"NumberOfFrames": "2000000000"}])
def test_frames_that_would_be_too_large_are_refused_before_they_are_made(numbers: dict[str, Any]) -> None:
    def change(dataset: Dataset) -> None:
        for keyword, value in numbers.items():
            setattr(dataset, keyword, value)

    with pytest.raises(NotImportable, match=r"^DICOM file is too large: expected at most 536870912 bytes$"):
        read_instance(make_file(change))


def test_a_deflated_file_that_grows_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LARGEST", 1000)
    content = (SHIPPED / "image_dfl.dcm").read_bytes()
    with pytest.raises(NotImportable, match=r"^DICOM file is too large"):
        read_instance(content)


@pytest.mark.filterwarnings("ignore:The value length")
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_deflated_file_is_measured_wherever_it_names_its_syntax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LARGEST", 1000)
    dataset = pydicom.dcmread(SHIPPED / "image_dfl.dcm")
    dataset.file_meta.MediaStorageSOPInstanceUID = UID("1" * 5000)
    meta = DicomBytesIO()
    write_file_meta_info(meta, dataset.file_meta)
    content = (SHIPPED / "image_dfl.dcm").read_bytes()
    length = 144 + int.from_bytes(content[140:144], "little")
    monkeypatch.setattr(pydicom, "dcmread", lambda _: pytest.fail("it was inflated"))
    with pytest.raises(NotImportable, match=r"^DICOM file is too large"):
        read_instance(content[:132] + meta.getvalue() + content[length:])


def test_a_file_with_fewer_frames_than_it_says_is_refused() -> None:
    dataset = pydicom.dcmread(SHIPPED / "MR_small_RLE.dcm")
    dataset.NumberOfFrames = "3"
    file = io.BytesIO()
    dataset.save_as(file)
    with pytest.raises(NotImportable, match=r"^DICOM file cannot be read: .*frame"):
        read_instance(file.getvalue())


@pytest.mark.filterwarnings("error")
def test_warnings_of_unusual_values_are_dropped_and_those_of_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse_and_see(file: Any) -> Dataset:
        seen.append(list(warnings.filters))  # which belong to all threads
        return parse(file)

    seen: list[Any] = []
    parse = pydicom.dcmread
    monkeypatch.setattr(pydicom, "dcmread", parse_and_see)
    dataset = pydicom.Dataset()
    with pytest.warns(UserWarning, match="Invalid value for VR UI"):
        dataset.StudyInstanceUID = "1.2.x"
    content = make_file().replace(b"1.2.3.4", b"1.2.x.4")
    filters = list(warnings.filters)
    assert read_instance(content).uid == "1.2.x.4"
    assert seen == [filters]
    with pytest.warns(UserWarning, match="Invalid value for VR UI"):
        dataset.StudyInstanceUID = "1.2.x"


@pytest.mark.parametrize(
    "content", [b"", b"x", bytes(200), b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 99]
)
def test_bytes_that_are_no_file_are_refused(content: bytes) -> None:
    with pytest.raises(
        NotImportable, match=r"^DICOM (attributes does not exist|attribute \w+ does not exist|file cannot)"
    ):
        read_instance(content)


def test_every_cut_of_a_file_is_read_or_refused() -> None:
    def change(dataset: Dataset) -> None:
        item = Dataset()
        item.CodeValue = "1"
        dataset.ConceptNameCodeSequence = [item]
        dataset["ConceptNameCodeSequence"].is_undefined_length = True

    content = make_file(change)
    for end in range(len(content)):
        with suppress(NotImportable):
            read_instance(content[:end])
