"""Frames drawn as PNG pictures."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from healthimaging_emulator import Emulator, InvalidError, NotFoundError
from healthimaging_emulator.healthimaging import pictures
from healthimaging_emulator.healthimaging.pictures import draw_frame
from healthimaging_emulator.healthimaging.records import ImageSet
from tests.demo import CHEST_CT, DATASTORE, OTHER_DATASTORE, SAMPLE

FRAME = "0123456789abcdef0123456789abcdef"
SYNTAX = "1.2.840.10008.1.2.1"


def image_set_with(content: bytes, syntax: str | None, **attributes: Any) -> ImageSet:
    """Return an image set with one frame."""
    instance = {"DICOM": attributes, "ImageFrames": [{"ID": FRAME}]} | (
        {"StoredTransferSyntaxUID": syntax} if syntax else {}
    )
    instances = {"1.2.1": {"DICOM": {}}, "1.2.3": instance}  # the first one has no frames
    document = {"Study": {"Series": {"1.2": {"Instances": instances}}}}
    emulator = Emulator.from_seed(
        {
            "datastores": [
                {
                    "datastoreId": DATASTORE,
                    "imageSets": [
                        {
                            "imageSetId": SAMPLE,
                            "versions": [{"versionId": "1", "imageSetState": "ACTIVE"}],
                            "metadata": document,
                            "frames": {FRAME: {"base64": encode(content)}},
                        }
                    ],
                }
            ]
        }
    )
    return emulator.image_set(DATASTORE, SAMPLE).record


def encode(content: bytes) -> str:
    from base64 import b64encode

    return b64encode(content).decode()


def decode(png: bytes) -> Any:
    import imagecodecs

    return imagecodecs.png_decode(png).tolist()


SIZE = {"Rows": 2, "Columns": "2"}


@pytest.mark.frames
@pytest.mark.parametrize(
    ("content", "attributes", "levels"),
    [
        (bytes([0, 1, 2, 3]), SIZE, [[0, 85], [170, 255]]),
        (bytes([0, 0, 0, 1, 0, 2, 0, 3]), SIZE | {"BitsAllocated": 16}, [[0, 85], [170, 255]]),
        (bytes([255, 0, 1, 2]), SIZE | {"PixelRepresentation": 1}, [[0, 85], [170, 255]]),
        (bytes([0, 1, 2, 3]), SIZE | {"PhotometricInterpretation": "MONOCHROME1"}, [[255, 170], [85, 0]]),
        (bytes([7, 7, 7, 7]), SIZE, [[0, 0], [0, 0]]),
        (bytes(range(12)), SIZE | {"SamplesPerPixel": 3}, [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]),
    ],
)
def test_pixels_become_grey_levels_or_colours(content: bytes, attributes: Any, levels: Any) -> None:
    assert decode(draw_frame(image_set_with(content, SYNTAX, **attributes), FRAME)) == levels


@pytest.mark.frames
@pytest.mark.parametrize(
    ("codec", "syntax"),
    [
        ("htj2k_encode", None),
        ("jpeg2k_encode", "1.2.840.10008.1.2.4.91"),
        ("jpegls_encode", "1.2.840.10008.1.2.4.81"),
        ("jpegxl_encode", "1.2.840.10008.1.2.4.112"),
    ],
)
def test_compressed_frames_are_decoded(codec: str, syntax: str | None) -> None:
    import imagecodecs
    import numpy

    pixels = numpy.arange(64 * 64, dtype="uint8").reshape(64, 64)
    png = draw_frame(image_set_with(bytes(getattr(imagecodecs, codec)(pixels)), syntax), FRAME)
    assert [len(row) for row in decode(png)] == [64] * 64


@pytest.mark.frames
@pytest.mark.parametrize(
    ("content", "syntax", "attributes", "reason"),
    [
        (b"no image", None, {}, "OpenJPH error"),
        (b"abc", SYNTAX, SIZE, "cannot reshape array of size 3 into shape (2,2)"),
        (b"abcd", SYNTAX, SIZE | {"Rows": "x"}, "invalid literal for int() with base 10: 'x'"),
        (b"", "1.2.840.10008.1.2.4.100", {}, "transfer syntax 1.2.840.10008.1.2.4.100 is not supported"),
    ],
)
def test_what_cannot_be_drawn_is_refused(content: bytes, syntax: str | None, attributes: Any, reason: str) -> None:
    with pytest.raises(InvalidError) as refused:
        draw_frame(image_set_with(content, syntax, **attributes), FRAME)
    assert refused.value.message.startswith(f"frame {FRAME} cannot be drawn: {reason}")


@pytest.mark.frames
def test_a_frame_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_SECONDS", 0.001)
    with pytest.raises(InvalidError) as refused:
        draw_frame(image_set_with(b"abcd", SYNTAX, **SIZE), FRAME)
    assert refused.value.message == f"frame {FRAME} cannot be drawn: it takes more than 0.001 s"


@pytest.mark.frames
def test_a_small_frame_that_claims_to_be_large_is_refused() -> None:
    import imagecodecs
    import numpy

    content = bytearray(imagecodecs.jpeg_encode(numpy.zeros((8, 8), "uint8")))
    size = content.index(b"\xff\xc0") + 5
    content[size : size + 4] = b"\xff\xdc\xff\xdc"  # 65,500 rows and columns
    with pytest.raises(InvalidError) as refused:
        draw_frame(image_set_with(bytes(content), "1.2.840.10008.1.2.4.50"), FRAME)
    assert refused.value.message.startswith(f"frame {FRAME} cannot be drawn: ")


def test_an_unknown_frame_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="there is no frame other"):
        draw_frame(image_set_with(b"", SYNTAX), "other")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(InvalidError) as refused:
        draw_frame(image_set_with(b"abcd", SYNTAX, **SIZE), FRAME)
    assert refused.value.message == "imagecodecs is needed: pip install 'healthimaging-emulator[frames]'"


@pytest.mark.frames
def test_the_control_api_answers_with_a_picture() -> None:
    emulator = Emulator.from_seed()
    frame = next(iter(emulator.image_set(OTHER_DATASTORE, CHEST_CT).record.frames))
    path = f"/_emulator/datastores/{OTHER_DATASTORE}/imageSets/{CHEST_CT}/frames/{frame}.png"
    answer = emulator.app.test_client().get(path)
    assert (answer.status_code, answer.content_type) == (200, "image/png")
    assert answer.data.startswith(b"\x89PNG\r\n")
