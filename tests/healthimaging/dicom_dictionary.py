"""Generator of the package's ``dicom_dictionary.txt`` from pydicom's data dictionary.

After pydicom has taken over a new edition of the standard, run
``python -m tests.healthimaging.dicom_dictionary > dicom_dictionary.txt`` and move the file into the package.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

Entry = tuple[str, str, str, str, str]
"""VR, VM, name, retirement and keyword."""


def generate_lines() -> list[str]:
    """Return ``keyword tag VR VM`` for each attribute with a keyword, sorted. Items and delimiters have no VR."""
    return sorted(
        f"{keyword} {tag} {vr.replace(' or ', '/')} {vm}"
        for tag, (vr, vm, _, _, keyword) in _list_entries()
        if keyword and vr != "NONE"
    )


def _list_entries() -> Iterator[tuple[str, Entry]]:
    for tag, entry in DicomDictionary.items():
        yield f"{tag:08X}", entry
    for mask, entry in RepeatersDictionary.items():
        yield mask.upper().replace("X", "x"), entry


if __name__ == "__main__":
    sys.stdout.write("".join(f"{line}\n" for line in generate_lines()))
