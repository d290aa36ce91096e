"""Encode frames as HealthImaging stores them, HTJ2K without loss in a JPH file; print them in base64."""

import base64
import json
import struct
import sys

import imagecodecs
import numpy as np


def box(kind, content):
    return struct.pack(">I4s", 8 + len(content), kind) + content


def encode(array):
    """Return a JPH file of a frame of 8 or 16 bits, whose shape is (rows, columns) or (rows, columns, 3)."""
    rows, columns, *colours = array.shape
    levels = ((max(rows, columns) - 1) // 64).bit_length()  # the smallest resolution has at most 64 rows and columns
    stream = imagecodecs.htj2k_encode(array, reversible=True, resolutions=levels, tlm=True, tilepart=1)
    depth = 8 * array.dtype.itemsize - 1 | (0x80 if array.dtype.kind == "i" else 0)
    header = box(b"ihdr", struct.pack(">IIH4B", rows, columns, *(colours or [1]), depth, 7, 0, 0))
    colour = box(b"colr", struct.pack(">3BI", 1, 0, 0, 16 if colours else 17))  # sRGB, grey
    head = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jph \0\0\0\0jph ") + box(b"jp2h", header + colour)
    return head + box(b"jp2c", stream)


def main(job):
    frames = [np.frombuffer(base64.b64decode(each["base64"]), each["type"]) for each in job["frames"]]
    shapes = [each["shape"] for each in job["frames"]]
    encoded = [encode(frame.reshape(shape)) for frame, shape in zip(frames, shapes, strict=True)]
    print(json.dumps({"frames": [base64.b64encode(each).decode() for each in encoded]}))


main(json.loads(sys.argv[1]))
