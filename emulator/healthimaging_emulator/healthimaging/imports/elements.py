"""DICOM data elements as values of a metadata document.

The rules are those of a real document (docs/fidelity.md): an empty element is null; text keeps DICOM's padding, but a
UID has no NUL behind it; binary numbers are numbers; an element that may have several values is always a list; bytes
are base64; a sequence is a list of objects.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..dicom import find_attribute, is_private

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Pixel data as floats, as doubles, and as integers."""

_TRAILING_PADDING = 0xFFFCFFFC
_ASCII = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"})
_ENCODED = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""VRs of text in the character set of the dataset."""

_UNDIVIDED = frozenset({"LT", "ST", "UR", "UT"})
"""VRs of text in which a backslash separates nothing."""


class Element(NamedTuple):
    """A member of a document: the keyword, or eight hexadecimal digits of the tag; and the VR of a private element."""

    key: str
    value: Any
    private_vr: str | None = None


def read_elements(dataset: Dataset) -> Iterator[Element]:
    """Yield the elements of a dataset in the order of their tags.

    Pixel data, padding and the lengths of groups are left out.
    """
    for tag in sorted(dataset.keys()):
        if tag in _PIXELS or tag == _TRAILING_PADDING or (tag.element == 0 and tag.group != 2):
            continue
        key = _key_of(tag)
        vr, values = _read_values(dataset, tag)
        yield Element(key, _combine(key, vr, values), vr if is_private(key) else None)


def _key_of(tag: BaseTag) -> str:
    from pydicom.datadict import keyword_for_tag

    attribute = find_attribute(keyword_for_tag(tag))
    repeats = attribute is not None and "x" in attribute.tag  # then the keyword would not be unique
    return f"{tag:08X}" if attribute is None or repeats else attribute.keyword


def _combine(key: str, vr: str, values: list[Any]) -> Any:
    """Return a list if there may be several values; otherwise the only one, or null."""
    if not values:
        return None
    attribute = find_attribute(key)
    may_have_several = len(values) > 1 if attribute is None else attribute.may_be_multi_valued
    return values if vr == "SQ" or may_have_several else values[0]


def _read_values(dataset: Dataset, tag: BaseTag) -> tuple[str, list[Any]]:
    """Return the VR of an element and its values."""
    vr, raw = _find_raw(dataset, tag)
    if raw is not None and vr in _ASCII | _ENCODED:
        return vr, list(_split_text(dataset, vr, raw))
    element = dataset[tag]  # which finds the VR where the file does not say it
    if element.VR == "SQ":
        return "SQ", [{each.key: each.value for each in read_elements(item)} for item in element.value or ()]
    return element.VR, [_to_json(element.VR, value) for value in _list_values(element.value)]


def _find_raw(dataset: Dataset, tag: BaseTag) -> tuple[str, bytes | None]:
    """Return the VR and the bytes of an element, as far as they are known before it is converted."""
    from pydicom.datadict import dictionary_has_tag, dictionary_VR
    from pydicom.dataelem import RawDataElement

    raw = dataset.get_item(tag)
    if not isinstance(raw, RawDataElement):
        return "", None
    known = dictionary_VR(tag) if dictionary_has_tag(tag) else "UN"
    return raw.VR or known, raw.value or b""


def _split_text(dataset: Dataset, vr: str, raw: bytes) -> Iterator[str | None]:
    text = raw.decode("latin-1") if vr in _ASCII else _decode(dataset, raw)
    if text.strip(" \0"):
        for part in [text] if vr in _UNDIVIDED else text.split("\\"):
            yield (part.rstrip("\0") if vr == "UI" else part) or None


def _decode(dataset: Dataset, raw: bytes) -> str:
    from pydicom.charset import convert_encodings, decode_bytes
    from pydicom.valuerep import TEXT_VR_DELIMS

    return decode_bytes(raw, convert_encodings(dataset.get("SpecificCharacterSet")), TEXT_VR_DELIMS)


def _list_values(value: Any) -> list[Any]:
    if value is None or value == "" or value == b"":
        return []
    return list(value) if isinstance(value, list) or hasattr(value, "append") else [value]


def _to_json(vr: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if vr == "AT":
        return f"{int(value):08X}"
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None  # JSON has no other number
    return int(value) if isinstance(value, int) else str(value)
