"""Draw stored frames as PNG pictures, which every browser shows. Needs the extra ``frames``.

The lowest and the highest value of a frame become black and white: enough to recognise it, not for reading it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import InvalidError, NotFoundError, requires_extra
from .records import ImageSet

if TYPE_CHECKING:
    from numpy import ndarray

_JPEG = "1.2.840.10008.1.2.4"
_DECODERS = {
    f"{_JPEG}.50": "jpeg_decode",
    f"{_JPEG}.51": "jpeg_decode",
    f"{_JPEG}.81": "jpegls_decode",
    f"{_JPEG}.91": "jpeg2k_decode",
    f"{_JPEG}.112": "jpegxl_decode",
    f"{_JPEG}.202": "htj2k_decode",
    f"{_JPEG}.203": "htj2k_decode",
}
"""Functions of imagecodecs, by transfer syntax."""

_RAW = "1.2.840.10008.1.2.1"
_HTJ2K = f"{_JPEG}.202"


def draw_frame(image_set: ImageSet, frame_id: str) -> bytes:
    """Return a frame as a PNG picture.

    Raises ``NotFoundError`` if there is no such frame, and ``InvalidError`` if it cannot be drawn.
    """
    content = image_set.frames.get(frame_id)
    instance = _find_instance(image_set, frame_id)
    if content is None or instance is None:
        raise NotFoundError(f"there is no frame {frame_id}")
    try:
        with requires_extra("frames"):
            import imagecodecs
            import numpy
    except ImportError as error:
        raise InvalidError(str(error)) from None
    try:
        pixels = _decode(content, instance.get("StoredTransferSyntaxUID") or _HTJ2K, instance.get("DICOM", {}))
        return bytes(imagecodecs.png_encode(numpy.ascontiguousarray(_to_grey_levels(pixels, instance))))
    except Exception as error:  # the frame may be any bytes, and each codec raises errors of its own
        raise InvalidError(f"frame {frame_id} cannot be drawn: {error}") from None


def _find_instance(image_set: ImageSet, frame_id: str) -> Mapping[str, Any] | None:
    """Return the instance that names a frame, in the newest version that does."""
    seen = None
    for version in reversed(image_set.history[:]):
        metadata = version.metadata
        if metadata is not None and metadata is not seen and frame_id in metadata.frames:
            for series in metadata.parse()["Study"]["Series"].values():
                for instance in series.get("Instances", {}).values():
                    if any(frame.get("ID") == frame_id for frame in instance.get("ImageFrames") or ()):
                        return instance  # type: ignore[no-any-return]
        seen = metadata
    return None


def _decode(content: bytes, transfer_syntax: str, attributes: Mapping[str, Any]) -> ndarray[Any, Any]:
    import imagecodecs
    import numpy

    if transfer_syntax in _DECODERS:
        return getattr(imagecodecs, _DECODERS[transfer_syntax])(content)  # type: ignore[no-any-return]
    if transfer_syntax != _RAW:
        raise ValueError(f"transfer syntax {transfer_syntax} is not supported")
    rows, columns, samples, bits, is_signed = (
        int(attributes.get(name) or default)
        for name, default in (
            ("Rows", 0),
            ("Columns", 0),
            ("SamplesPerPixel", 1),
            ("BitsAllocated", 8),
            ("PixelRepresentation", 0),
        )
    )
    kind = f"<{'i' if is_signed else 'u'}{bits // 8}"
    return numpy.frombuffer(content, kind).reshape((rows, columns) if samples == 1 else (rows, columns, samples))


def _to_grey_levels(pixels: ndarray[Any, Any], instance: Mapping[str, Any]) -> ndarray[Any, Any]:
    """Return pixels of 8 bits: colours as they are, grey ones from the lowest value to the highest."""
    if pixels.dtype == "uint8" and pixels.ndim == 3:
        return pixels
    values = pixels.astype("float64")
    lowest, highest = values.min(), values.max()
    levels: ndarray[Any, Any] = ((values - lowest) * (255 / max(highest - lowest, 1))).astype("uint8")
    is_inverted = instance.get("DICOM", {}).get("PhotometricInterpretation") == "MONOCHROME1"
    return 255 - levels if is_inverted else levels
