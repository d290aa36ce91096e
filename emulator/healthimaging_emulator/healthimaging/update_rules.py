"""Rules for updates of metadata that need no stored data: a request that breaks one gets ValidationException.

No message shows a value, because values are about patients.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import msgspec

from ..aws.errors import ValidationException
from .dicom import Attribute, Level, find_attribute, is_private, is_vr, level_of
from .metadata import is_too_deep
from .metadata_updates import IDENTITIES, Node, Updates, list_nodes

_PROTECTED = IDENTITIES | {"StudyID", "PixelData"}
_GENERATED = frozenset(
    {
        "SchemaVersion",
        "DatastoreID",
        "ImageSetID",
        "StoredTransferSyntaxUID",
        "ChecksumType",
        "ImageFrames",
        "ID",
        "PixelDataChecksumFromBaseToFullResolution",
        "Width",
        "Height",
        "Checksum",
        "MinPixelValue",
        "MaxPixelValue",
        "FrameSizeInBytes",
    }
)
_UID = re.compile(r"[0-9.]{1,64}")


def read_updates(
    updatable: bytes | None, removable: bytes | None, *, force: bool, across_study: bool = False
) -> Updates:
    """Parse and check ``updatableAttributes`` and ``removableAttributes``, both decoded from base64.

    ``across_study`` says that other image sets of the study get the update too: these are primary, so the Study
    Instance UID must stay. An update without content is valid. Raises ``ValidationException``.
    """
    updates = Updates(_read("updatableAttributes", updatable), _read("removableAttributes", removable))
    for node in list_nodes(updates.updatable):
        _check_updatable(node, force)
    for node in list_nodes(updates.removable):
        _check_removable(node, force)
    if across_study and "StudyInstanceUID" in updates.updatable.get("Study", {}).get("DICOM", {}):
        raise ValidationException("StudyInstanceUID at Study level cannot be updated with includeStudyImageSets.")
    return updates


# Reading: JSON, then the shape of the document.


def _read(name: str, document: bytes | None) -> dict[str, Any]:
    content = {} if document is None else _parse(name, document)
    if content.get("SchemaVersion", 1.1) not in (1.1, "1.1"):
        raise ValidationException(f"SchemaVersion of {name} must be 1.1.")
    _check_shape(name, content)
    return content


def _parse(name: str, document: bytes) -> dict[str, Any]:
    try:
        return _decode(document.decode())
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:
        reason = "it is encoded twice" if document[:2] in (b"ew", b"ey") else str(error)
    raise ValidationException(f"{name} must be a JSON object, base64-encoded once: {reason}.")


def _decode(text: str) -> dict[str, Any]:
    content = json.loads(
        text,
        object_pairs_hook=_read_object,
        parse_constant=_refuse_constant,
        parse_float=_read_float,
        parse_int=_read_int,
    )
    if not isinstance(content, dict):
        raise ValueError("it is not an object")
    if is_too_deep(content):
        raise ValueError("it is nested too deeply")
    msgspec.json.encode(content)  # a lone surrogate could be stored, but not answered
    return content


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"the key {key!r} occurs twice")
        content[key] = value
    return content


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON value")


def _read_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _read_int(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**64:
        raise ValueError("a number is out of range")
    return int(text)


def _check_shape(name: str, content: Mapping[str, Any]) -> None:
    _check_members(name, content, "SchemaVersion", "Patient", "Study")
    _check_members(f"Patient of {name}", content.get("Patient", {}), "DICOM")
    study = content.get("Study", {})
    _check_members(f"Study of {name}", study, "DICOM", "Series")
    _check_each(f"Series of {name}", study.get("Series", {}), _check_series)


def _check_series(name: str, series: Any) -> None:
    _check_members(name, series, "DICOM", "Instances")
    _check_each(f"Instances of {name}", series.get("Instances", {}), _check_instance)


def _check_instance(name: str, instance: Any) -> None:
    _check_members(name, instance, "DICOM", "DICOMVRs")
    _check_object(f"DICOMVRs of {name}", instance.get("DICOMVRs", {}))


def _check_each(name: str, nodes: Any, check: Callable[[str, Any], None]) -> None:
    _check_object(name, nodes)
    for uid, node in nodes.items():
        check(f"{uid!r} in {name}", node)


def _check_members(name: str, node: Any, *expected: str) -> None:
    _check_object(name, node)
    for key in node:
        if key not in expected:
            raise ValidationException(f"{name} has the member {key!r}: expected {' or '.join(expected)}.")
    _check_object(f"DICOM of {name}", node.get("DICOM", {}))


def _check_object(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise ValidationException(f"{name} must be an object.")


# Checking: attributes by themselves.


def _check_updatable(node: Node, force: bool) -> None:
    for key, value in node.attributes.items():
        _check_place(node.level, key)
        if not force:
            _require_no_force(node.level, key, value)
        if key in IDENTITIES and not (isinstance(value, str) and _UID.fullmatch(value)):
            raise ValidationException(f"{key} at {node.level} level must be a UID of 1 to 64 digits and dots.")
    _check_vrs(node)


def _check_removable(node: Node, force: bool) -> None:
    if not node.content:
        _check_removable_node(node, force)
    for key in node.attributes:
        _check_place(node.level, key)
        if not force:
            _require_no_force(node.level, key, None)
        if key in IDENTITIES:
            raise ValidationException(f"{key} at {node.level} level cannot be removed.")
    _check_vrs(node)


def _check_removable_node(node: Node, force: bool) -> None:
    if node.level == "Series":
        raise ValidationException(f"Series {node.series!r} cannot be removed: name the instances to remove.")
    if node.level == "Instance" and not force:
        raise ValidationException(f"Instance {node.instance!r} cannot be removed without force.")


def _check_place(level: Level, key: str) -> None:
    if key in _GENERATED:
        raise ValidationException(f"{key} at {level} level is generated by HealthImaging and cannot be updated.")
    if level_of(key) != level:
        if level != "Instance" and not is_private(key) and find_attribute(key) is None:
            raise ValidationException(f"{_describe(key)} is not an attribute of {level} level.")
        raise ValidationException(f"{_describe(key)} at {level} level is misplaced: expected {level_of(key)} level.")


def _require_no_force(level: Level, key: str, value: Any) -> None:
    reason = _find_reason_for_force(key, value)
    if reason is not None:
        raise ValidationException(f"{_describe(key)} at {level} level cannot be updated without force: {reason}.")


def _find_reason_for_force(key: str, value: Any) -> str | None:
    if key in _PROTECTED:
        return "it is protected"
    if is_private(key):
        return "it is private"
    attribute = find_attribute(key)
    if attribute is None:
        return "it is not in the DICOM standard"
    return _find_conflict(attribute, value)


def _find_conflict(attribute: Attribute, value: Any) -> str | None:
    if attribute.is_sequence:
        return "it is a sequence"
    if attribute.may_be_multi_valued:
        return "it may have several values"
    if isinstance(value, list) or not attribute.accepts(value):
        return f"the value does not suit VR {' or '.join(attribute.vrs)}"
    return None


def _check_vrs(node: Node) -> None:
    for key, vr in node.vrs.items():
        if not is_private(key):
            raise ValidationException(f"DICOMVRs at Instance level has the key {key!r}: expected a private element.")
        if not (isinstance(vr, str) and is_vr(vr)):
            raise ValidationException(f"The VR of {key!r} at Instance level must be one of the DICOM standard.")
        if key not in node.attributes:
            raise ValidationException(f"DICOMVRs at Instance level has the key {key!r}: DICOM must have it too.")


def _describe(key: str) -> str:
    return key if find_attribute(key) else repr(key)
