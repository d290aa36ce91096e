"""Draw stored frames as PNG pictures, which every browser shows. Needs the extra ``frames``.

The lowest and the highest value of a frame become black and white: enough to recognise it, not for reading it.

A frame may be any bytes, and some small ones decode into gigabytes, or for ever. So each is drawn in a child process
with limits of time and memory.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..errors import InvalidError, NotFoundError, requires_extra
from .metadata import Metadata
from .records import ImageSet

if TYPE_CHECKING:
    from numpy import ndarray

MAX_SECONDS = 10.0
MAX_MEMORY = 1 << 30
"""Bytes of memory for drawing a frame, where the system has such a limit."""

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
    instance = next(_find_instances(image_set, frame_id), None)
    if content is None or instance is None:
        raise NotFoundError(f"there is no frame {frame_id}")
    try:
        with requires_extra("frames"):
            if find_spec("imagecodecs") is None:
                raise ModuleNotFoundError(name="imagecodecs")
    except ImportError as error:
        raise InvalidError(str(error)) from None
    try:
        return _draw_in_child(content, instance)
    except ValueError as error:
        raise InvalidError(f"frame {frame_id} cannot be drawn: {error}") from None


def _find_instances(image_set: ImageSet, frame_id: str) -> Iterator[Mapping[str, Any]]:
    """Yield the instances that name a frame, of the newest version first."""
    documents: dict[Metadata, None] = {
        version.metadata: None for version in reversed(image_set.history[:]) if version.metadata is not None
    }
    for metadata in documents:
        if frame_id in metadata.frames:
            for series in metadata.parse()["Study"]["Series"].values():
                for instance in series.get("Instances", {}).values():
                    frames = instance.get("ImageFrames") or ()
                    if any(isinstance(each, dict) and each.get("ID") == frame_id for each in frames):
                        yield instance


def _draw_in_child(content: bytes, instance: Mapping[str, Any]) -> bytes:
    """Return the picture. Raises ``ValueError``."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    program = f"import sys; sys.path[:1] = []; from {__name__} import draw_for_parent; draw_for_parent()"
    try:
        child = subprocess.run(
            [sys.executable, "-c", program],
            input=pickle.dumps((content, instance)),
            capture_output=True,
            env=environment,
            timeout=MAX_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"it takes more than {MAX_SECONDS:g} s") from None
    if child.returncode:
        raise ValueError(child.stderr.decode(errors="replace").strip().rpartition("\n")[2] or "its decoder failed")
    return child.stdout


def draw_for_parent() -> None:
    """Draw the frame that the parent process sends, and write the picture to standard output."""
    with suppress(ImportError):  # Windows has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    content, instance = pickle.load(sys.stdin.buffer)  # the parent has written it
    try:
        picture = _draw(content, instance)
    except Exception as error:  # each codec raises errors of its own
        sys.exit(str(error) or type(error).__name__)
    sys.stdout.buffer.write(picture)


def _draw(content: bytes, instance: Mapping[str, Any]) -> bytes:
    import imagecodecs
    import numpy

    pixels = _decode(content, instance.get("StoredTransferSyntaxUID") or _HTJ2K, instance.get("DICOM", {}))
    return bytes(imagecodecs.png_encode(numpy.ascontiguousarray(_to_8_bits(pixels, instance))))


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


def _to_8_bits(pixels: ndarray[Any, Any], instance: Mapping[str, Any]) -> ndarray[Any, Any]:
    """Return pixels of 8 bits: colours as they are, grey ones from the lowest value to the highest."""
    if pixels.dtype == "uint8" and pixels.ndim == 3:
        return pixels
    values = pixels.astype("float64")
    lowest, highest = values.min(), values.max()
    levels: ndarray[Any, Any] = ((values - lowest) * (255 / max(highest - lowest, 1))).astype("uint8")
    is_inverted = instance.get("DICOM", {}).get("PhotometricInterpretation") == "MONOCHROME1"
    return 255 - levels if is_inverted else levels
