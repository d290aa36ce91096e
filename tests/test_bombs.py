"""Small inputs that grow large are refused in words, or carried out, within a bound of memory.

Each group runs in a process of its own, and the system tells its peak of memory: about 40 MB without any input, 65 MB
with pydicom. The bounds leave room for other versions and machines.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.demo import SAMPLE
from tests.raw import HANG_SECONDS

NOT_JSON = "400 The request body is not valid JSON."
TOO_MANY = "FILE: $: aliases repeat more than 1,000,000 nodes"
TOO_LARGE = "DICOM file is too large: expected at most 536870912 bytes"

REFUSED: dict[str, str | tuple[str, str]] = {
    "gzip_request": NOT_JSON,
    "gzip_seed": "FILE: $: JSON is malformed: invalid character (byte 0): the file is compressed by gzip",
    "gzip_capture": f"metadata of version 1 of {SAMPLE}: the document is too large: expected at most 268435456 bytes",
    "json_depth": NOT_JSON,
    "json_depth_of_a_seed": "400 Expected `object`, got `array`",
    "json_digits": NOT_JSON,
    "json_digits_of_a_seed": "400 Integer value out of range",
    "json_keys": "200 None",  # which nobody knows, so they are ignored
    "json_keys_of_a_document": "204 ",
    "yaml_aliases": TOO_MANY,
    "yaml_merges": TOO_MANY,
    "yaml_depth": (
        "FILE: $: the document is nested too deeply",
        "FILE: $: while increasing flow level exceeded maximum",
    ),
    "dicom_deflated": TOO_LARGE,
    "dicom_pixels": TOO_LARGE,
    "dicom_length": "read",  # as far as the file goes
    "dicom_nesting": "DICOM file cannot be read: ",
    "tags": "400 A resource can have at most 50 tags.",
    "tags_of_a_seed": "400 Expected `object` of length <= 50",
    "metadata_of_50_megabytes": "updated, 48 MB",
}
"""The beginnings of the answers; some versions of libyaml refuse deep YAML by themselves."""

GROUPS = {
    "gzip_request gzip_seed": 300,  # of which the bomb itself is made of 64
    "gzip_capture": 900,
    "json_depth json_digits json_keys json_depth_of_a_seed json_digits_of_a_seed json_keys_of_a_document": 500,
    "yaml_aliases yaml_merges yaml_depth": 120,
    "dicom_length dicom_pixels dicom_nesting dicom_deflated": 300,
    "tags tags_of_a_seed": 500,
    "metadata_of_50_megabytes": 800,
}
"""The most megabytes that the process may have had, by the inputs that it gets."""


@pytest.mark.parametrize(("names", "most"), GROUPS.items(), ids=[names.partition("_")[0] for names in GROUPS])
def test_an_input_that_grows_is_refused_in_words_or_bounded(names: str, most: int) -> None:
    command = [sys.executable, "-m", "tests.bombs", *names.split()]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=4 * HANG_SECONDS, check=True)
    lines = [json.loads(line) for line in finished.stdout.splitlines()]
    for name, line in zip(names.split(), lines, strict=True):
        assert line["answer"].startswith(REFUSED[name]), name
        assert line["megabytes"] < most, name


def test_every_input_is_tried() -> None:
    assert sorted(REFUSED) == sorted(name for names in GROUPS for name in names.split())
