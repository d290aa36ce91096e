"""HTJ2K in a JPH file: the format in which the service stores lossless frames.

The codestream meets the rules of the DICOM transfer syntax 1.2.840.10008.1.2.4.202: reversible, progression by
resolution, and a smallest resolution of at most 64 pixels. The boxes are those of ISO/IEC 15444-15, annex D.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy import ndarray

_GREY, _RGB = 17, 16
"""Enumerated colour spaces of the box ``colr``."""


def encode_jph(pixels: ndarray[Any, Any]) -> bytes | None:
    """Encode one frame, of rows, columns and perhaps three samples, each of 8 or 16 bits; None if it would be lossy."""
    import imagecodecs
    import numpy

    rows, columns, *samples = pixels.shape
    levels = ((max(rows, columns) - 1) // 64).bit_length()
    stream = bytes(
        imagecodecs.htj2k_encode(
            pixels, reversible=True, resolutions=levels, tlm=True, tilepart=1, rgb=bool(samples)
        )  # tile-part 1: one for each resolution
    )
    if not numpy.array_equal(imagecodecs.htj2k_decode(stream), pixels):  # some versions lose a value of tiny frames
        return None
    depth = pixels.dtype.itemsize * 8 - 1 | (0x80 if pixels.dtype.kind == "i" else 0)
    header = _box(b"ihdr", struct.pack(">IIHBBBB", rows, columns, *(samples or [1]), depth, 7, 0, 0))
    colour = _box(b"colr", struct.pack(">BBBI", 1, 0, 0, _RGB if samples else _GREY))
    start = _box(b"jP  ", b"\r\n\x87\n") + _box(b"ftyp", b"jph \0\0\0\0jph ")
    return start + _box(b"jp2h", header + colour) + _box(b"jp2c", stream)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content
