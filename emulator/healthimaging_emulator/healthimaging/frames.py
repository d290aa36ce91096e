"""Content types of image frames, by the transfer syntax in which they are stored.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_GetImageFrame.html
"""

from __future__ import annotations

HTJ2K = "image/jph"
"""The type of frames that an import has transcoded: High-Throughput JPEG 2000, lossless."""

OTHER = "application/octet-stream"

_UID = "1.2.840.10008.1.2.4"
_MPEG2 = ("100", "101")
_MPEG4 = ("102", "103", "104", "105", "106")
_HEVC = ("107", "108")

CONTENT_TYPES = {
    f"{_UID}.50": "image/jpeg",
    f"{_UID}.91": "image/j2c",
    f"{_UID}.112": "image/jxl",
    f"{_UID}.202": HTJ2K,
    f"{_UID}.203": "image/jphc",
    **{f"{_UID}.{number}{ending}": "video/mpeg" for number in _MPEG2 for ending in ("", ".1")},
    **{f"{_UID}.{number}{ending}": "video/mp4" for number in _MPEG4 for ending in ("", ".1")},
    **{f"{_UID}.{number}": "video/H256" for number in _HEVC},
}


def content_type_of(transfer_syntax: str | None) -> str:
    """Return the content type of a frame; without a transfer syntax it is that of an import."""
    return HTJ2K if transfer_syntax is None else CONTENT_TYPES.get(transfer_syntax, OTHER)
