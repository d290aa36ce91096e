"""The DICOM standard's attributes: tags, value representations, levels, and the values that suit them."""

from __future__ import annotations

import base64
import re
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

Level = Literal["Patient", "Study", "Series", "Instance"]

_DICTIONARY = Path(__file__).with_name("dicom_dictionary.txt")
_LEVELS = Path(__file__).with_name("dicom_levels.txt")  # from AWS's developer guide, DICOM 2022b
_PRIVATE = re.compile("[0-9A-F]{3}[13579BDF][0-9A-F]{4}")


class Attribute(NamedTuple):
    """An attribute of the standard. An ``x`` in the tag stands for any digit: such attributes repeat."""

    keyword: str
    tag: str
    vrs: tuple[str, ...]
    vm: str

    @property
    def is_sequence(self) -> bool:
        return self.vrs == ("SQ",)

    @property
    def may_be_multi_valued(self) -> bool:
        return self.vm != "1"

    def accepts(self, value: Any) -> bool:
        """Say whether a value fits one of the attribute's VRs."""
        return any(fits(vr, value) for vr in self.vrs)


def find_attribute(keyword: str) -> Attribute | None:
    return _read_dictionary().get(keyword)


def level_of(keyword: str) -> Level:
    """Return the level that holds an attribute; unknown and private ones belong to the instance."""
    return _read_levels().get(keyword, "Instance")


def is_private(key: str) -> bool:
    """Say whether a key of a metadata document is that of a private element: eight hex digits, with an odd group."""
    return _PRIVATE.fullmatch(key) is not None


def is_vr(text: str) -> bool:
    return text == "SQ" or text in _TEXT or text in _NUMBERS or text in _BINARY


def fits(vr: str, value: Any) -> bool:
    """Say whether a JSON value suits a VR: its length and characters (PS3.5, table 6.2-1), or its range.

    An empty value suits every VR. A list suits if each of its values does.
    """
    if vr == "SQ":
        return _is_empty(value) or (isinstance(value, list) and all(isinstance(item, dict) for item in value))
    return all(_fits_single(vr, item) for item in (value if isinstance(value, list) else [value]))


def _fits_single(vr: str, value: Any) -> bool:
    if _is_empty(value):
        return True
    if isinstance(value, str):
        return _is_base64(value) if vr in _BINARY else _fits_text(vr, value)
    return _fits_number(vr, value)


def _is_empty(value: Any) -> bool:
    return value is None or value == ""


def _fits_text(vr: str, value: str) -> bool:
    if vr not in _TEXT:
        return False
    length, pattern = _TEXT[vr]
    return len(value) <= length and pattern.fullmatch(_strip_padding(vr, value)) is not None and _is_in_range(vr, value)


def _strip_padding(vr: str, value: str) -> str:
    if vr == "UR":  # leading spaces are not allowed
        return value.rstrip(" ")
    return value.strip(" ").rstrip("\0") if vr == "UI" else value.strip(" ")


def _is_in_range(vr: str, value: str) -> bool:
    return vr != "IS" or -(2**31) <= int(value) < 2**31


def _fits_number(vr: str, value: Any) -> bool:
    if vr not in _NUMBERS or not isinstance(value, int | float) or isinstance(value, bool):
        return False
    lowest, highest = _NUMBERS[vr]
    return lowest <= value <= highest and (vr in ("FL", "FD") or isinstance(value, int))


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except ValueError:
        return False
    return True


_UNLIMITED = 2**32 - 2
_CHARACTERS = r"[^\\\x00-\x1a\x1c-\x1f\x7f-\x9f]*"  # no control characters but ESC
_LINES = r"[^\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f-\x9f]*"  # TAB, LF, FF and CR too
_COMPONENT = r"[^\\^=\x00-\x1a\x1c-\x1f\x7f-\x9f]*"
_NAME = rf"(?![^=]{{65}}){_COMPONENT}(?:\^{_COMPONENT}){{0,4}}"
_MONTH, _DAY = "(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_TIME = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?"  # 60 is a leap second
_PATTERNS = {
    "AE": (16, r"[ -\[\]-~]+"),
    "AS": (4, r"\d{3}[DWMY]"),
    "AT": (8, r"[0-9A-Fa-f]{8}"),
    "CS": (16, r"[A-Z0-9 _]*"),
    "DA": (8, rf"\d{{4}}{_MONTH}{_DAY}"),
    "DS": (16, r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)?"),
    "DT": (26, rf"\d{{4}}(?:{_MONTH}(?:{_DAY}(?:{_TIME})?)?)?(?:[+-]\d{{4}})?"),
    "IS": (12, r"[+-]?\d+"),
    "LO": (64, _CHARACTERS),
    "LT": (10240, _LINES),
    "PN": (_UNLIMITED, rf"{_NAME}(?:={_NAME}){{0,2}}"),  # 64 characters for each of three forms of the name
    "SH": (16, _CHARACTERS),
    "ST": (1024, _LINES),
    "TM": (14, _TIME),
    "UC": (_UNLIMITED, _CHARACTERS),
    "UI": (64, r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))*"),
    "UR": (_UNLIMITED, r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*"),
    "UT": (_UNLIMITED, _LINES),
}
_TEXT = {vr: (length, re.compile(pattern, re.ASCII)) for vr, (length, pattern) in _PATTERNS.items()}
_NUMBERS: dict[str, tuple[float, float]] = {
    "FD": (-1.7976931348623157e308, 1.7976931348623157e308),
    "FL": (-3.4028234663852886e38, 3.4028234663852886e38),
    "SL": (-(2**31), 2**31 - 1),
    "SS": (-(2**15), 2**15 - 1),
    "SV": (-(2**63), 2**63 - 1),
    "UL": (0, 2**32 - 1),
    "US": (0, 2**16 - 1),
    "UV": (0, 2**64 - 1),
}
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})


@cache
def _read_dictionary() -> dict[str, Attribute]:
    rows = (line.split(" ") for line in _DICTIONARY.read_text("ascii").splitlines())
    return {keyword: Attribute(keyword, tag, tuple(vrs.split("/")), vm) for keyword, tag, vrs, vm in rows}


@cache
def _read_levels() -> dict[str, Level]:
    rows = (line.split(" ") for line in _LEVELS.read_text("ascii").splitlines())
    return {keyword: cast(Level, level) for level, keyword in rows}
