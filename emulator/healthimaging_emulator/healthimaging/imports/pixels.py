"""Frames of a DICOM file: decoded, measured, and stored without loss.

A frame is stored as HTJ2K if the extra ``frames`` is installed, and otherwise as its pixels in little endian. Lossy
frames and videos are kept as they came; so is a frame that cannot be decoded.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy import ndarray
    from pydicom.dataset import Dataset

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.202"
BY_PYDICOM = frozenset(
    {"1.2.840.10008.1.2", EXPLICIT_LITTLE_ENDIAN, "1.2.840.10008.1.2.1.99", BIG_ENDIAN, "1.2.840.10008.1.2.5"}
)
"""Transfer syntaxes that pydicom decodes by itself: uncompressed, deflated, RLE."""

_JPEG = "1.2.840.10008.1.2.4"
_DECODERS = {
    f"{_JPEG}.57": "ljpeg_decode",
    f"{_JPEG}.70": "ljpeg_decode",
    f"{_JPEG}.80": "jpegls_decode",
    f"{_JPEG}.90": "jpeg2k_decode",
    f"{_JPEG}.201": "htj2k_decode",
    HTJ2K_LOSSLESS: "htj2k_decode",
}
"""Functions of imagecodecs that decode lossless frames."""


def has_codecs() -> bool:
    """Whether the extra ``frames`` is installed."""
    return find_spec("imagecodecs") is not None and find_spec("numpy") is not None


class Frame(NamedTuple):
    """A frame as it is stored, its entry in a document, and the transfer syntax in which it is stored."""

    id: str
    content: bytes
    entry: dict[str, Any]
    transfer_syntax: str


class Layout(NamedTuple):
    """The size and the kind of the frames of a file."""

    rows: int
    columns: int
    samples: int
    bits: int
    is_signed: bool
    frames: int

    @property
    def frame_size(self) -> int:
        """Bytes of a decoded frame; of one bit a pixel, eight share a byte."""
        return (self.rows * self.columns * self.samples * self.bits + 7) // 8


def read_layout(dataset: Dataset) -> Layout:
    """Return the layout of the frames of a file. Raises ``ValueError`` for numbers that cannot be."""
    numbers = [
        int(dataset.get(name, default) or default)
        for name, default in (
            ("Rows", 0),
            ("Columns", 0),
            ("SamplesPerPixel", 1),
            ("BitsAllocated", 8),
            ("PixelRepresentation", 0),
            ("NumberOfFrames", 1),
        )
    ]
    if min(numbers) < 0 or 0 in numbers[:4]:
        raise ValueError("the size of the frames is not a number above 0")
    rows, columns, samples, bits, signed, frames = numbers
    return Layout(rows, columns, samples, bits, bool(signed), frames)


def read_frames(dataset: Dataset, transfer_syntax: str, can_encode: bool) -> Iterator[Frame]:
    """Yield the frames of a file. Raises ``ValueError`` for pixel data that is not whole."""
    layout = read_layout(dataset)
    uid = str(dataset.SOPInstanceUID)
    for index, (raw, decoded) in enumerate(_decode_frames(dataset, transfer_syntax, layout, can_encode)):
        stored, syntax = raw, EXPLICIT_LITTLE_ENDIAN if transfer_syntax in BY_PYDICOM else transfer_syntax
        if decoded is not None:
            encoded = _encode(decoded, layout) if can_encode else None
            stored, syntax = (decoded, EXPLICIT_LITTLE_ENDIAN) if encoded is None else (encoded, HTJ2K_LOSSLESS)
        id = sha256(b"%s %d %s" % (uid.encode(), index, stored)).hexdigest()[:32]
        yield Frame(id, stored, {"ID": id} | _describe(decoded, layout, len(stored)), syntax)


def _describe(decoded: bytes | None, layout: Layout, size: int) -> dict[str, Any]:
    if decoded is None:
        return {"PixelDataChecksumFromBaseToFullResolution": [], "FrameSizeInBytes": size}
    lowest, highest = _find_range(decoded, layout)
    checksum = {"Width": layout.columns, "Height": layout.rows, "Checksum": zlib.crc32(decoded)}
    return {
        "PixelDataChecksumFromBaseToFullResolution": [checksum],
        "MinPixelValue": lowest,
        "MaxPixelValue": highest,
        "FrameSizeInBytes": size,
    }


def _find_range(decoded: bytes, layout: Layout) -> tuple[int, int]:
    kind = {8: "b", 16: "h", 32: "i"}.get(layout.bits, "b")
    values = array(kind if layout.is_signed else kind.upper(), decoded)
    if sys.byteorder == "big":
        values.byteswap()
    return min(values), max(values)


def _decode_frames(
    dataset: Dataset, transfer_syntax: str, layout: Layout, can_decode: bool
) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield each frame as it came, and decoded: little endian, with the samples of a pixel side by side."""
    if transfer_syntax in BY_PYDICOM:
        from pydicom.pixels import get_decoder  # type: ignore[attr-defined]  # documented, not listed
        from pydicom.uid import UID

        if transfer_syntax == BIG_ENDIAN:
            _swap_bytes(dataset, layout)
            dataset.file_meta.TransferSyntaxUID = transfer_syntax = UID(EXPLICIT_LITTLE_ENDIAN)
        for buffer, details in get_decoder(transfer_syntax).iter_buffer(dataset, raw=True, allow_excess_frames=False):
            raw = bytes(buffer[: layout.frame_size])
            is_whole = len(raw) == layout.frame_size and layout.bits % 8 == 0  # not so if pixels share their chroma
            is_planar = layout.samples > 1 and details["planar_configuration"] == 1
            yield raw, (_interleave(raw, layout) if is_planar else raw) if is_whole else None
        return
    from pydicom.encaps import generate_frames

    decode = _find_decoder(transfer_syntax, layout, can_decode)
    for raw in generate_frames(dataset.PixelData, number_of_frames=layout.frames):
        yield raw, decode(raw)


def _swap_bytes(dataset: Dataset, layout: Layout) -> None:
    """Turn pixel data in big endian around; bytes of 8-bit pixels are swapped too if they lie in words."""
    width = layout.bits // 8 if layout.bits > 8 else 2 if dataset["PixelData"].VR == "OW" else 1
    if width > 1:
        words = array({2: "H", 4: "I", 8: "Q"}[width], dataset.PixelData)
        words.byteswap()
        dataset.PixelData = words.tobytes()


def _interleave(raw: bytes, layout: Layout) -> bytes:
    """Put the samples of a pixel side by side."""
    width, plane = layout.bits // 8, len(raw) // layout.samples
    interleaved = bytearray(len(raw))
    for sample in range(layout.samples):
        for byte in range(width):
            start = sample * width + byte
            interleaved[start :: layout.samples * width] = raw[sample * plane + byte : (sample + 1) * plane : width]
    return bytes(interleaved)


def _find_decoder(transfer_syntax: str, layout: Layout, can_decode: bool) -> Callable[[bytes], bytes | None]:
    """Return a function that decodes a lossless frame; it returns None for all others."""
    if transfer_syntax not in _DECODERS or not can_decode:
        return lambda _: None
    import imagecodecs

    decode = getattr(imagecodecs, _DECODERS[transfer_syntax])
    return lambda raw: _to_bytes(decode(raw), layout)


def _to_bytes(pixels: ndarray[Any, Any], layout: Layout) -> bytes | None:
    """Return decoded pixels in little endian; None if they are not those that the file announces."""
    wanted = (layout.rows, layout.columns) if layout.samples == 1 else (layout.rows, layout.columns, layout.samples)
    if pixels.shape != wanted or pixels.dtype.itemsize * 8 != layout.bits:
        return None
    return pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()


def _encode(decoded: bytes, layout: Layout) -> bytes | None:
    """Return a frame in HTJ2K, or None if it cannot be encoded without loss."""
    if layout.bits not in (8, 16) or layout.samples not in (1, 3):
        return None
    import numpy

    from .jph import encode_jph

    shape = (layout.rows, layout.columns) if layout.samples == 1 else (layout.rows, layout.columns, layout.samples)
    kind = f"<{'i' if layout.is_signed else 'u'}{layout.bits // 8}"
    return encode_jph(numpy.frombuffer(decoded, kind).reshape(shape))
