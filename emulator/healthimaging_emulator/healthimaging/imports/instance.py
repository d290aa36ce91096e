"""One DICOM file as an import reads it: a document of one instance, and its frames."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import requires_extra
from ..dicom import level_of
from .elements import read_elements
from .pixels import Frame, has_codecs, read_frames, read_layout

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

NOT_DICOM = "DICOM attributes does not exist"
MISSING = "DICOM attribute {} does not exist"
REQUIRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
DEFLATED = "1.2.840.10008.1.2.1.99"
VIDEO = "1.2.840.10008.1.2.4.10"
"""With this begin the transfer syntaxes that hold all frames in one stream."""

LARGEST = 512 * 1024 * 1024
"""Bytes of a file's data set, and of all its decoded frames; the emulator's own limit."""

PIECE = 1024 * 1024
"""Bytes of a deflated data set that are inflated at a time to measure it."""

LONGEST = {
    **dict.fromkeys(("PatientName", "PatientID", "StudyInstanceUID", "StudyID", "StudyDescription"), 256),
    **dict.fromkeys(("AccessionNumber", "SOPInstanceUID", "SeriesInstanceUID"), 256),
    **dict.fromkeys(("PatientBirthDate", "StudyDate"), 18),
    "PatientSex": 16,
    "StudyTime": 28,
}
"""Characters that a value may have (AWS's developer guide)."""


BROKEN: tuple[type[Exception], ...] = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, NotImplementedError, OSError),
    *(RuntimeError, TypeError, ValueError, struct.error, zlib.error),
)
"""Exceptions that pydicom and the codecs raise for a broken file, besides pydicom's own."""


class NotImportable(Exception):
    """A file cannot be imported. ``message`` is the one of its failure."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class Instance(NamedTuple):
    """The parts of a document that one file gives, and its frames by their ids."""

    patient: dict[str, Any]
    study: dict[str, Any]
    series: dict[str, Any]
    content: dict[str, Any]
    frames: dict[str, bytes]

    @property
    def uid(self) -> str:
        """The SOP Instance UID."""
        return str(self.content["DICOM"]["SOPInstanceUID"])

    @property
    def series_uid(self) -> str:
        """The Series Instance UID."""
        return str(self.series["SeriesInstanceUID"])


def is_same_study(one: Instance, other: Instance) -> bool:
    """Whether two instances are of the same patient and study."""
    return (one.patient.get("PatientID"), one.study.get("StudyInstanceUID")) == (
        other.patient.get("PatientID"),
        other.study.get("StudyInstanceUID"),
    )


def make_document(instances: list[Instance]) -> dict[str, Any]:
    """Return the document of instances; the attributes of a patient, a study and a series are those of the first."""
    all_series: dict[str, Any] = {}
    for instance in instances:
        series = all_series.setdefault(instance.series_uid, {"DICOM": instance.series, "Instances": {}})
        series["Instances"][instance.uid] = instance.content
    return {
        "Patient": {"DICOM": instances[0].patient},
        "Study": {"DICOM": instances[0].study, "Series": all_series},
    }


def read_instance(content: bytes) -> Instance:
    """Read a DICOM file. Raises ``NotImportable``, and ``ImportError`` without the extra ``dicom``."""
    with requires_extra("dicom"):
        from pydicom.errors import BytesLengthException
    broken: tuple[type[Exception], ...] = (*BROKEN, BytesLengthException)

    with _warnings_ignored():
        try:
            dataset = _parse(content)
            return _read(dataset)
        except broken as error:
            raise NotImportable(f"DICOM file cannot be read: {error}"[:500]) from error


_is_reading: ContextVar[bool] = ContextVar("_is_reading", default=False)


class _WarningsOfOthers:
    """Takes the place of the module ``warnings`` in pydicom: drops the warnings of files that are read here.

    The filters of that module belong to the whole process: ignoring by them would also lose the warnings of a user's
    test, and with ``-W error`` an unusual value would fail its file.
    """

    @staticmethod
    def warn(message: str, category: type[Warning] | None = None, stacklevel: int = 1) -> None:
        if not _is_reading.get():
            warnings.warn(message, category, stacklevel=stacklevel + 1)


@contextmanager
def _warnings_ignored() -> Iterator[None]:
    import pydicom.misc  # through which all its warnings go

    pydicom.misc.warnings = _WarningsOfOthers  # type: ignore[assignment, attr-defined]
    token = _is_reading.set(True)
    try:
        yield
    finally:
        _is_reading.reset(token)


def _parse(content: bytes) -> FileDataset:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_dataset, read_preamble

    file = io.BytesIO(content)
    try:
        if DEFLATED.encode() in content:  # measure it before pydicom inflates it
            read_preamble(file, force=False)
            meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
            if meta.get("TransferSyntaxUID") == DEFLATED:
                _check_inflated_size(file.read())
            file.seek(0)
        dataset = dcmread(file)
    except InvalidDicomError:
        raise NotImportable(NOT_DICOM) from None
    if not dataset.file_meta.get("TransferSyntaxUID"):
        raise NotImportable(MISSING.format("TransferSyntaxUID"))
    return dataset


def _check_inflated_size(content: bytes) -> None:
    """Inflate a data set piece by piece, and keep none of them."""
    inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while content and not inflater.eof:
        size += len(inflater.decompress(content, PIECE))
        _check_size(size)
        content = inflater.unconsumed_tail


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise NotImportable(f"DICOM file is too large: expected at most {LARGEST} bytes")


def _read(dataset: FileDataset) -> Instance:
    for keyword in REQUIRED:
        if not dataset.get(keyword):
            raise NotImportable(MISSING.format(keyword))
    levels: dict[str, dict[str, Any]] = {"Patient": {}, "Study": {}, "Series": {}, "Instance": {}}
    private_vrs = {}
    for element in (*read_elements(dataset.file_meta), *read_elements(dataset)):
        levels[level_of(element.key)][element.key] = element.value
        if element.private_vr:
            private_vrs[element.key] = element.private_vr
    for name in ("Patient", "Study", "Series"):
        levels[name] = dict(sorted(levels[name].items()))
        _check_lengths(levels[name])
    _check_lengths(levels["Instance"])
    frames = _read_frames(dataset)
    stored = frames[0].transfer_syntax if frames else str(dataset.file_meta.TransferSyntaxUID)
    content = {
        "DICOM": levels["Instance"],
        "DICOMVRs": private_vrs,
        "StoredTransferSyntaxUID": stored,
        "ChecksumType": "DECOMPRESSED",
        "ImageFrames": [frame.entry for frame in frames],
    }
    by_id = {frame.id: frame.content for frame in frames}
    return Instance(levels["Patient"], levels["Study"], levels["Series"], content, by_id)


def _check_lengths(attributes: Mapping[str, Any]) -> None:
    for keyword in LONGEST.keys() & attributes.keys():
        if len(str(attributes[keyword] or "")) > LONGEST[keyword]:
            raise NotImportable(f"DICOM attribute {keyword} is longer than {LONGEST[keyword]} characters")


def _read_frames(dataset: FileDataset) -> list[Frame]:
    if "PixelData" not in dataset:
        return []
    layout, syntax = read_layout(dataset), str(dataset.file_meta.TransferSyntaxUID)
    _check_size(layout.frame_size * layout.frames)
    frames = list(read_frames(dataset, syntax, can_encode=has_codecs()))
    if len({frame.transfer_syntax for frame in frames}) > 1:  # one frame of several cannot be encoded: store all alike
        frames = list(read_frames(dataset, syntax, can_encode=False))
    if len(frames) < layout.frames and not syntax.startswith(VIDEO):
        raise ValueError(f"{len(frames)} of {layout.frames} frames are there")
    return frames
