from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthimaging_emulator.aws.errors import ValidationException
from healthimaging_emulator.healthimaging.metadata import MAX_NESTING
from healthimaging_emulator.healthimaging.metadata_updates import (
    UpdateFailed,
    Updates,
    apply_updates,
    keep_study_part,
)
from healthimaging_emulator.healthimaging.update_rules import read_updates

Attributes = Mapping[str, Any]

FRAMES = [{"ID": "f1", "MinPixelValue": 0}]
INSTANCE_11: dict[str, Any] = {
    "DICOM": {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "SOPInstanceUID": "1.1.1",
        "InstanceNumber": "1 ",
        "00191001": "old",
        "Rows": 640,
        "WindowCenter": ["0 "],
    },
    "DICOMVRs": {"00191001": "LO"},
    "ImageFrames": FRAMES,
}
DOCUMENT: dict[str, Any] = {
    "SchemaVersion": "1.1",
    "ImageSetID": "i1",
    "Patient": {"DICOM": {"PatientID": "P-1", "PatientName": "TEST^ONE", "PatientSex": None}},
    "Study": {
        "DICOM": {
            "ProcedureCodeSequence": [{"CodeValue": "A"}, {"CodeValue": "B"}],
            "StudyDescription": "CHEST",
            "StudyInstanceUID": "1",
        },
        "Series": {
            "1.1": {
                "DICOM": {"Modality": "CT", "SeriesInstanceUID": "1.1"},
                "Instances": {
                    "1.1.1": INSTANCE_11,
                    "1.1.2": {"DICOM": {"SOPInstanceUID": "1.1.2"}, "DICOMVRs": {}, "ImageFrames": []},
                },
            },
            "1.2": {
                "DICOM": {"Modality": "CT", "SeriesInstanceUID": "1.2"},
                "Instances": {"1.2.1": {"DICOM": {"SOPInstanceUID": "1.2.1"}, "DICOMVRs": {}, "ImageFrames": []}},
            },
        },
    },
}


def patient(**attributes: Any) -> dict[str, Any]:
    return {"Patient": {"DICOM": attributes}}


def study(**attributes: Any) -> dict[str, Any]:
    return {"Study": {"DICOM": attributes}}


def series(uid: str, **attributes: Any) -> dict[str, Any]:
    return {"Study": {"Series": {uid: {"DICOM": attributes}}}}


def instance(uid: str, attributes: Attributes | None = None, vrs: Attributes | None = None) -> dict[str, Any]:
    node = {"DICOM": attributes or {}} if vrs is None else {"DICOM": attributes, "DICOMVRs": vrs}
    return {"Study": {"Series": {"1.1": {"Instances": {uid: node}}}}}


def removed_instances(*uids: str) -> dict[str, Any]:
    return {"Study": {"Series": {"1.1": {"Instances": {uid: {} for uid in uids}}}}}


def at_level(level: str, **attributes: Any) -> dict[str, Any]:
    updates = {
        "Patient": patient(**attributes),
        "Study": study(**attributes),
        "Series": series("1.1", **attributes),
        "Instance": instance("1.1.1", attributes),
    }
    return updates[level]


def encode(document: Any) -> bytes | None:
    return None if document is None else json.dumps(document).encode()


def read(updatable: Any = None, removable: Any = None, **settings: bool) -> Updates:
    return read_updates(encode(updatable), encode(removable), **{"force": True, **settings})


def apply(updatable: Any = None, removable: Any = None) -> dict[str, Any]:
    """Update the document by force, and see that neither the document nor the updates are written."""
    stored, updates = copy.deepcopy(DOCUMENT), read(updatable, removable)
    before = copy.deepcopy(updates)
    try:
        changed = apply_updates(stored, updates)
    finally:
        assert stored == DOCUMENT
        assert updates == before
    return changed


def fail(updatable: Any = None, removable: Any = None) -> str:
    with pytest.raises(UpdateFailed) as caught:
        apply(updatable, removable)
    return caught.value.message


def refuse(updatable: Any = None, removable: Any = None, **settings: bool) -> str:
    with pytest.raises(ValidationException) as caught:
        read(updatable, removable, **settings)
    return caught.value.message


def change(path: str, value: Any) -> dict[str, Any]:
    """Return the document with one value changed; the path's steps stand between slashes."""
    changed = copy.deepcopy(DOCUMENT)
    *steps, last = path.split("/")
    node = changed
    for step in steps:
        node = node[step]
    node[last] = value
    return changed


SERIES_11 = "Study/Series/1.1"
INSTANCE_111 = "Study/Series/1.1/Instances/1.1.1"


# Error 5: documents that are not of a metadata document's shape.


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "Expecting value: line 1 column 1 (char 0)"),
        (b"eyJTY2hlbWFWZXJzaW9uIjoxLjF9", "it is encoded twice"),
        (b"{} {}", "Extra data: line 1 column 4 (char 3)"),
        (b"[]", "it is not an object"),
        (b'"{}"', "it is not an object"),
        (b"null", "it is not an object"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        ('{"a": 1}'.encode("utf-16-le"), "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (
            b'{"Patient": {"DICOM": {"PatientName": "\\ud800"}}}',
            "'utf-8' codec can't encode character '\\ud800' in position 0: surrogates not allowed",
        ),
        (b'{"Patient": {}, "Patient": {}}', "the key 'Patient' occurs twice"),
        (b'{"Patient": {"DICOM": {"PatientID": "P-1", "PatientID": "P-2"}}}', "the key 'PatientID' occurs twice"),
        (b'{"SchemaVersion": NaN}', "NaN is not a JSON value"),
        (b'{"SchemaVersion": -Infinity}', "-Infinity is not a JSON value"),
        (b'{"SchemaVersion": 1e999}', "a number is out of range"),
        (b'{"SchemaVersion": 18446744073709551616}', "a number is out of range"),
        (b'{"SchemaVersion": -9223372036854775809}', "a number is out of range"),
        (b'{"SchemaVersion": ' + b"9" * 29_000 + b"}", "a number is out of range"),
        (b'{"Study":' * 2_900 + b"1" + b"}" * 2_900, "it is nested too deeply"),
        (b'{"Patient":' + b"[" * 14_000 + b"]" * 14_000 + b"}", "it is nested too deeply"),
    ],
)
def test_a_document_that_is_no_json_object_is_refused(document: bytes, reason: str) -> None:
    with pytest.raises(ValidationException) as updatable:
        read_updates(document, None, force=True)
    with pytest.raises(ValidationException) as removable:
        read_updates(None, document, force=True)

    expected = f"must be a JSON object, base64-encoded once: {reason}."
    assert updatable.value.message == f"updatableAttributes {expected}"
    assert removable.value.message == f"removableAttributes {expected}"


def test_a_document_may_be_nested_as_deeply_as_the_limit_and_no_deeper() -> None:
    def nest(depth: int) -> dict[str, Any]:
        value: Any = "a"
        for _ in range(depth - 3):  # the document, Study and DICOM are levels too
            value = [value]
        return study(ProcedureCodeSequence=value)

    assert read(nest(MAX_NESTING)).updatable == nest(MAX_NESTING)
    assert refuse(nest(MAX_NESTING + 1)) == (
        "updatableAttributes must be a JSON object, base64-encoded once: it is nested too deeply."
    )


def test_integers_of_64_bits_are_read_exactly() -> None:
    document = instance("1.1.1", {"Highest": 2**64 - 1, "Lowest": -(2**63)})

    assert read(document).updatable == document


@given(st.binary(max_size=200) | st.text(alphabet='{}[]:,"\\\\u d8PatientStudySeriesDICOM\u00e91.eN', max_size=200))
def test_whatever_the_bytes_are_only_a_validation_exception_is_raised(document: bytes | str) -> None:
    raw = document if isinstance(document, bytes) else document.encode()
    for updatable, removable in ((raw, None), (None, raw)):
        try:
            read_updates(updatable, removable, force=True)
        except ValidationException as error:
            assert re.fullmatch(r"\S.*\.", error.message)  # noqa: PT017 - most inputs raise, some do not


KEYS = st.sampled_from(
    [
        "SchemaVersion",
        "Patient",
        "Study",
        "Series",
        "Instances",
        "DICOM",
        "DICOMVRs",
        "1.1",
        "1.1.1",
        "PatientName",
        "00191001",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.just(1.1) | st.sampled_from(["", "1.1", "TEST^ONE", "LO"]),
    lambda children: st.lists(children, max_size=2) | st.dictionaries(KEYS, children, max_size=3),
    max_leaves=12,
)


@given(VALUES, VALUES, st.booleans(), st.booleans())
def test_whatever_the_json_is_it_is_refused_or_applied_or_fails(
    updatable: Any, removable: Any, force: bool, across_study: bool
) -> None:
    stored = copy.deepcopy(DOCUMENT)
    try:
        updates = read(updatable, removable, force=force, across_study=across_study)
        assert updates.changes_identity is False
        apply_updates(stored, keep_study_part(updates))
        apply_updates(stored, updates)
    except (ValidationException, UpdateFailed):
        pass
    assert stored == DOCUMENT


@pytest.mark.parametrize("value", [None, 1, "DICOM", [], True])
@pytest.mark.parametrize(
    ("template", "name"),
    [
        ('{"Patient": @}', "Patient of {}"),
        ('{"Patient": {"DICOM": @}}', "DICOM of Patient of {}"),
        ('{"Study": @}', "Study of {}"),
        ('{"Study": {"DICOM": @}}', "DICOM of Study of {}"),
        ('{"Study": {"Series": @}}', "Series of {}"),
        ('{"Study": {"Series": {"1.1": @}}}', "'1.1' in Series of {}"),
        ('{"Study": {"Series": {"1.1": {"DICOM": @}}}}', "DICOM of '1.1' in Series of {}"),
        ('{"Study": {"Series": {"1.1": {"Instances": @}}}}', "Instances of '1.1' in Series of {}"),
        (
            '{"Study": {"Series": {"1.1": {"Instances": {"1.1.1": @}}}}}',
            "'1.1.1' in Instances of '1.1' in Series of {}",
        ),
        (
            '{"Study": {"Series": {"1.1": {"Instances": {"1.1.1": {"DICOMVRs": @}}}}}}',
            "DICOMVRs of '1.1.1' in Instances of '1.1' in Series of {}",
        ),
    ],
)
def test_each_structure_must_be_an_object(template: str, name: str, value: Any) -> None:
    document = json.loads(template.replace("@", json.dumps(value)))

    assert refuse(document) == f"{name.format('updatableAttributes')} must be an object."
    assert refuse(None, document) == f"{name.format('removableAttributes')} must be an object."


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"DatastoreID": "d1"},
            "updatableAttributes has the member 'DatastoreID': expected SchemaVersion or Patient or Study.",
        ),
        (
            {"ImageSetID": "i1"},
            "updatableAttributes has the member 'ImageSetID': expected SchemaVersion or Patient or Study.",
        ),
        (
            {"DICOM": {}},
            "updatableAttributes has the member 'DICOM': expected SchemaVersion or Patient or Study.",
        ),
        (
            {"Patient": {"PatientName": "TEST^ONE"}},
            "Patient of updatableAttributes has the member 'PatientName': expected DICOM.",
        ),
        (
            {"Study": {"Instances": {}}},
            "Study of updatableAttributes has the member 'Instances': expected DICOM or Series.",
        ),
        (
            {"Study": {"Series": {"1.1": {"Modality": "CT"}}}},
            "'1.1' in Series of updatableAttributes has the member 'Modality': expected DICOM or Instances.",
        ),
        (
            {"Study": {"Series": {"1.1": {"Instances": {"1.1.1": {"ImageFrames": []}}}}}},
            "'1.1.1' in Instances of '1.1' in Series of updatableAttributes has the member 'ImageFrames': "
            "expected DICOM or DICOMVRs.",
        ),
    ],
)
def test_an_unknown_key_above_the_attributes_is_refused(document: Any, message: str) -> None:
    assert refuse(document) == message


@pytest.mark.parametrize("version", [1.1, "1.1"])
def test_the_schema_version_may_be_1_1_as_number_or_text(version: Any) -> None:
    assert apply({"SchemaVersion": version, **patient(PatientID="P-2")}) == change("Patient/DICOM/PatientID", "P-2")


@pytest.mark.parametrize("version", [None, 1, 1.2, "1.10", "", True, [], {}, [1.1]])
def test_any_other_schema_version_is_refused(version: Any) -> None:
    assert refuse({"SchemaVersion": version}) == "SchemaVersion of updatableAttributes must be 1.1."
    assert refuse(None, {"SchemaVersion": version}) == "SchemaVersion of removableAttributes must be 1.1."


# Error 5: attributes that are not to be updated.


@pytest.mark.parametrize("level", ["Patient", "Study", "Series", "Instance"])
@pytest.mark.parametrize(
    "key",
    [
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
    ],
)
def test_generated_values_are_refused_with_force_too(key: str, level: str) -> None:
    message = f"{key} at {level} level is generated by HealthImaging and cannot be updated."

    assert refuse(at_level(level, **{key: "1"})) == message
    assert refuse(None, at_level(level, **{key: "1"})) == message


@pytest.mark.parametrize(
    ("level", "key", "own"),
    [
        ("Study", "PatientName", "Patient"),
        ("Patient", "StudyDescription", "Study"),
        ("Instance", "Modality", "Series"),
        ("Series", "InstanceNumber", "Instance"),
        ("Instance", "StudyInstanceUID", "Study"),
    ],
)
def test_an_attribute_at_another_level_than_its_own_is_refused(level: str, key: str, own: str) -> None:
    message = f"{key} at {level} level is misplaced: expected {own} level."

    assert refuse(at_level(level, **{key: "1"})) == message
    assert refuse(None, at_level(level, **{key: "1"})) == message


@pytest.mark.parametrize("level", ["Patient", "Study", "Series"])
@pytest.mark.parametrize(
    ("key", "mistake"),
    [
        ("00191001", "'00191001' at {} level is misplaced: expected Instance level."),
        ("PatientNam", "'PatientNam' is not an attribute of {} level."),
    ],
)
def test_private_and_unknown_attributes_belong_to_the_instance(level: str, key: str, mistake: str) -> None:
    message = mistake.format(level)

    assert refuse(at_level(level, **{key: "a"})) == message
    assert refuse(None, at_level(level, **{key: "a"})) == message


@pytest.mark.parametrize(
    ("level", "key", "value", "reason"),
    [
        ("Study", "StudyInstanceUID", "2", "it is protected"),
        ("Study", "StudyID", "2", "it is protected"),
        ("Series", "SeriesInstanceUID", "2", "it is protected"),
        ("Instance", "SOPInstanceUID", "2", "it is protected"),
        ("Instance", "PixelData", "AAE=", "it is protected"),
        ("Study", "ProcedureCodeSequence", [], "it is a sequence"),
        ("Patient", "OtherPatientNames", "TEST^TWO", "it may have several values"),
        ("Instance", "PixelSpacing", ["1", "1"], "it may have several values"),
    ],
)
def test_protected_attributes_sequences_and_multiple_values_need_force(
    level: str, key: str, value: Any, reason: str
) -> None:
    message = f"{key} at {level} level cannot be updated without force: {reason}."

    assert refuse(at_level(level, **{key: value}), force=False) == message
    assert refuse(None, at_level(level, **{key: value}), force=False) == message
    assert read(at_level(level, **{key: value})).updatable == at_level(level, **{key: value})


@pytest.mark.parametrize(
    ("key", "reason"), [("00191001", "it is private"), ("NoAttribute", "it is not in the DICOM standard")]
)
def test_private_and_unknown_attributes_need_force(key: str, reason: str) -> None:
    message = f"{key!r} at Instance level cannot be updated without force: {reason}."

    assert refuse(instance("1.1.1", {key: "a"}), force=False) == message
    assert refuse(None, instance("1.1.1", {key: "a"}), force=False) == message
    assert read(instance("1.1.1", {key: "a"})).updatable == instance("1.1.1", {key: "a"})


@pytest.mark.parametrize(
    ("level", "key", "value", "vr"),
    [
        ("Study", "StudyDate", "2026-01-31", "DA"),
        ("Patient", "PatientID", "1" * 65, "LO"),
        ("Patient", "PatientID", ["P-1"], "LO"),
        ("Patient", "PatientID", 1, "LO"),
        ("Instance", "Rows", "640", "US"),
        ("Instance", "SmallestImagePixelValue", 65_536, "US or SS"),
    ],
)
def test_a_value_that_does_not_suit_its_vr_needs_force(level: str, key: str, value: Any, vr: str) -> None:
    assert refuse(at_level(level, **{key: value}), force=False) == (
        f"{key} at {level} level cannot be updated without force: the value does not suit VR {vr}."
    )
    assert read(at_level(level, **{key: value})).updatable == at_level(level, **{key: value})


@pytest.mark.parametrize(
    ("level", "key", "value"),
    [
        ("Study", "StudyDate", "20260131"),
        ("Patient", "PatientID", "1" * 64),
        ("Patient", "PatientID", ""),
        ("Patient", "PatientID", None),
        ("Instance", "Rows", 641),
        ("Instance", "SmallestImagePixelValue", 65_535),
        ("Series", "Modality", "MR"),
    ],
)
def test_a_value_that_suits_its_vr_needs_no_force(level: str, key: str, value: Any) -> None:
    assert read(at_level(level, **{key: value}), force=False).updatable == at_level(level, **{key: value})


def test_a_removed_value_need_not_suit_its_vr_because_it_repeats_the_stored_one() -> None:
    document = study(StudyDate="2026-01-31")

    assert read(None, document, force=False).removable == document


def test_removing_an_instance_needs_force() -> None:
    document = removed_instances("1.1.1")

    assert refuse(None, document, force=False) == "Instance '1.1.1' cannot be removed without force."
    assert read(None, document).removable == document


def test_a_series_cannot_be_removed() -> None:
    assert refuse(None, {"Study": {"Series": {"1.1": {}}}}) == (
        "Series '1.1' cannot be removed: name the instances to remove."
    )


IDENTITIES = [("Study", "StudyInstanceUID"), ("Series", "SeriesInstanceUID"), ("Instance", "SOPInstanceUID")]


@pytest.mark.parametrize(("level", "key"), IDENTITIES)
@pytest.mark.parametrize("value", [None, "", "a", "1.2\0", "1" * 65, 1, ["1.2"]])
def test_an_instance_uid_becomes_a_key_and_must_be_a_uid(level: str, key: str, value: Any) -> None:
    assert refuse(at_level(level, **{key: value})) == (
        f"{key} at {level} level must be a UID of 1 to 64 digits and dots."
    )
    longest = at_level(level, **{key: "1" * 64})
    assert read(longest).updatable == longest


@pytest.mark.parametrize(("level", "key"), IDENTITIES)
def test_an_instance_uid_cannot_be_removed(level: str, key: str) -> None:
    assert refuse(None, at_level(level, **{key: "1"})) == f"{key} at {level} level cannot be removed."


@pytest.mark.parametrize(
    ("vrs", "message"),
    [
        ({"Rows": "US"}, "DICOMVRs at Instance level has the key 'Rows': expected a private element."),
        ({"00191002": "LO"}, "DICOMVRs at Instance level has the key '00191002': DICOM must have it too."),
        ({"00191001": "XX"}, "The VR of '00191001' at Instance level must be one of the DICOM standard."),
        ({"00191001": None}, "The VR of '00191001' at Instance level must be one of the DICOM standard."),
        ({"00191001": ["LO"]}, "The VR of '00191001' at Instance level must be one of the DICOM standard."),
    ],
)
def test_vrs_belong_to_the_private_elements_beside_them(vrs: dict[str, Any], message: str) -> None:
    document = instance("1.1.1", {"Rows": 1, "00191001": "a"}, vrs)

    assert refuse(document) == message
    assert refuse(None, document) == message


def test_the_study_instance_uid_stays_where_the_study_shares_the_update() -> None:
    assert refuse(study(StudyInstanceUID="2"), across_study=True) == (
        "StudyInstanceUID at Study level cannot be updated with includeStudyImageSets."
    )
    assert read(study(StudyID="2"), across_study=True).updatable == study(StudyID="2")


@pytest.mark.parametrize(
    ("updatable", "expected"),
    [
        (study(StudyInstanceUID="2"), True),
        (series("1.1", SeriesInstanceUID="2"), True),
        (instance("1.1.1", {"SOPInstanceUID": "2"}), True),
        (instance("1.1.1", {"SOPInstanceUID": "1.1.1"}), True),
        (study(StudyID="2"), False),
        (instance("1.1.1", {"SOPClassUID": "2"}), False),
        ({}, False),
        (None, False),
    ],
)
def test_an_update_changes_identity_if_it_sets_an_instance_uid(updatable: Any, expected: bool) -> None:
    assert read(updatable).changes_identity is expected


def test_removing_an_instance_does_not_change_identity() -> None:
    assert read(None, removed_instances("1.1.1")).changes_identity is False


# UPDATE_FAILED: updates that do not suit the stored document.

NO_SERIES = "INVALID_REQUEST:  Series of ImageSet doesn't exist."
NO_INSTANCE = "INVALID_REQUEST:  Instance of ImageSet doesn't exist."
DIFFERENT = "INVALID_REQUEST:  Attribute to remove doesn't match."


def test_a_series_must_be_in_the_image_set() -> None:
    unknown: dict[str, Any] = {"Study": {"Series": {"9": {"Instances": {"1.1.1": {}}}}}}

    assert fail(series("9", Modality="MR")) == NO_SERIES
    assert fail(None, series("9", Modality="CT")) == NO_SERIES
    assert fail(unknown) == NO_SERIES
    assert fail(None, unknown) == NO_SERIES


@pytest.mark.parametrize("uid", ["9", "1.2.1"])
def test_an_instance_must_be_in_its_series(uid: str) -> None:
    assert fail(instance(uid, {"InstanceNumber": "2"})) == NO_INSTANCE
    assert fail(None, instance(uid, {"InstanceNumber": "1 "})) == NO_INSTANCE
    assert fail(None, removed_instances(uid)) == NO_INSTANCE


@pytest.mark.parametrize("uid", ["1.1.2", "1.2.1"])
def test_a_new_sop_instance_uid_must_not_be_in_the_image_set(uid: str) -> None:
    assert fail(instance("1.1.1", {"SOPInstanceUID": uid})) == "INVALID_REQUEST:  Instance of ImageSet already exists."


def test_a_new_series_instance_uid_must_not_be_in_the_image_set() -> None:
    assert fail(series("1.1", SeriesInstanceUID="1.2")) == "INVALID_REQUEST:  Series of ImageSet already exists."


@pytest.mark.parametrize(
    "removable",
    [
        patient(PatientID="P-2"),
        patient(PatientID=None),
        patient(PatientComments="a"),
        patient(PatientComments=None),
        patient(PatientSex="O"),
        study(ProcedureCodeSequence=[{"CodeValue": "A"}]),
        series("1.1", Modality="CT "),
        instance("1.1.1", {"Rows": "640"}),
        instance("1.1.1", {"00191001": "new"}),
        instance("1.1.1", {"00191001": "old"}, {"00191001": "DS"}),
        patient(PatientID="P-1", PatientName="TEST^TWO"),
    ],
)
def test_a_removed_attribute_must_match_what_is_stored(removable: Any) -> None:
    assert fail(None, removable) == DIFFERENT


def test_the_last_instance_of_a_series_cannot_be_removed() -> None:
    message = "INVALID_REQUEST:  Last Instance of Series can't be removed."

    assert fail(None, removed_instances("1.1.1", "1.1.2")) == message
    assert list(apply(None, removed_instances("1.1.2"))["Study"]["Series"]["1.1"]["Instances"]) == ["1.1.1"]


def test_a_new_private_element_needs_its_vr() -> None:
    message = "INVALID_REQUEST:  VR of private Attribute is missing."

    assert fail(instance("1.1.1", {"00191002": "a"})) == message
    assert fail(instance("1.1.1", {"00191001": "a", "00191002": "a"}, {"00191001": "LO"})) == message


def test_a_message_of_a_failed_update_has_the_models_characters() -> None:
    messages = [
        fail(series("9")),
        fail(instance("9")),
        fail(instance("1.1.1", {"SOPInstanceUID": "1.1.2"})),
        fail(series("1.1", SeriesInstanceUID="1.2")),
        fail(None, patient(PatientID="P-2")),
        fail(None, removed_instances("1.1.1", "1.1.2")),
        fail(instance("1.1.1", {"00191002": "a"})),
    ]

    assert len(set(messages)) == len(messages)
    assert [message for message in messages if not re.fullmatch(r"[\w -:`]+", message)] == []


# Updates that succeed.


@pytest.mark.parametrize("empty", [None, {}, {"SchemaVersion": 1.1}, patient(), instance("1.1.1"), series("1.1")])
def test_an_update_without_content_changes_nothing(empty: Any) -> None:
    assert apply(empty) == DOCUMENT
    assert apply(None, {} if empty is None else empty) == DOCUMENT


@pytest.mark.parametrize(
    ("updatable", "path", "value"),
    [
        (patient(PatientName="TEST^TWO"), "Patient/DICOM/PatientName", "TEST^TWO"),
        (study(StudyDescription="HEAD "), "Study/DICOM/StudyDescription", "HEAD "),
        (series("1.1", Modality="MR"), f"{SERIES_11}/DICOM/Modality", "MR"),
        (instance("1.1.1", {"Rows": 2}), f"{INSTANCE_111}/DICOM/Rows", 2),
        (instance("1.1.1", {"00191001": "new"}), f"{INSTANCE_111}/DICOM/00191001", "new"),
        (study(StudyInstanceUID="2"), "Study/DICOM/StudyInstanceUID", "2"),
        (
            study(ProcedureCodeSequence=[{"CodeMeaning": "c"}]),
            "Study/DICOM/ProcedureCodeSequence",
            [{"CodeMeaning": "c"}],
        ),
        (patient(PatientID=None), "Patient/DICOM/PatientID", None),
        (patient(PatientID=""), "Patient/DICOM/PatientID", None),
        (patient(PatientID=" "), "Patient/DICOM/PatientID", " "),
        (instance("1.1.1", {"Rows": 0}), f"{INSTANCE_111}/DICOM/Rows", 0),
        (instance("1.1.1", {"WindowCenter": []}), f"{INSTANCE_111}/DICOM/WindowCenter", []),
    ],
)
def test_an_attribute_is_replaced_whole_and_becomes_null_if_empty(updatable: Any, path: str, value: Any) -> None:
    assert apply(updatable) == change(path, value)


def test_a_new_attribute_is_added_in_the_order_of_keywords() -> None:
    changed = apply(patient(PatientBirthDate="20260131"))

    assert list(changed["Patient"]["DICOM"].items()) == [
        ("PatientBirthDate", "20260131"),
        ("PatientID", "P-1"),
        ("PatientName", "TEST^ONE"),
        ("PatientSex", None),
    ]


def test_a_new_attribute_of_an_instance_is_added_in_the_order_of_tags() -> None:
    changed = apply(instance("1.1.1", {"Columns": 2, "ImageComments": "c", "00091001": "a"}, {"00091001": "LO"}))

    assert list(changed["Study"]["Series"]["1.1"]["Instances"]["1.1.1"]["DICOM"]) == [
        "SOPClassUID",
        "SOPInstanceUID",
        "00091001",
        "00191001",
        "InstanceNumber",
        "ImageComments",
        "Rows",
        "Columns",
        "WindowCenter",
    ]


def test_a_new_private_element_brings_its_vr() -> None:
    changed = apply(instance("1.1.1", {"001910F9": "97"}, {"001910F9": "DS"}))

    node = changed["Study"]["Series"]["1.1"]["Instances"]["1.1.1"]
    assert node["DICOM"]["001910F9"] == "97"
    assert node["DICOMVRs"] == {"00191001": "LO", "001910F9": "DS"}


@pytest.mark.parametrize("vrs", [None, {"00191001": "LO"}])
def test_a_removed_private_element_takes_its_vr_with_it(vrs: Any) -> None:
    node = apply(None, instance("1.1.1", {"00191001": "old"}, vrs))["Study"]["Series"]["1.1"]["Instances"]["1.1.1"]

    assert "00191001" not in node["DICOM"]
    assert node["DICOMVRs"] == {}


@pytest.mark.parametrize(
    ("removable", "level", "left"),
    [
        (patient(PatientID="P-1"), "Patient", ["PatientName", "PatientSex"]),
        (patient(PatientSex=None), "Patient", ["PatientID", "PatientName"]),
        (patient(PatientSex=""), "Patient", ["PatientID", "PatientName"]),
        (
            study(ProcedureCodeSequence=[{"CodeValue": "A"}, {"CodeValue": "B"}], StudyDescription="CHEST"),
            "Study",
            ["StudyInstanceUID"],
        ),
    ],
)
def test_attributes_that_match_are_removed(removable: Any, level: str, left: list[str]) -> None:
    assert list(apply(None, removable)[level]["DICOM"]) == left


def test_numbers_match_by_value() -> None:
    changed = apply(None, instance("1.1.1", {"Rows": 640.0}))

    assert "Rows" not in changed["Study"]["Series"]["1.1"]["Instances"]["1.1.1"]["DICOM"]


def test_removals_come_before_updates() -> None:
    assert apply(patient(PatientID="P-2"), patient(PatientID="P-1")) == change("Patient/DICOM/PatientID", "P-2")
    assert fail(patient(PatientID="P-2"), patient(PatientID="P-2")) == DIFFERENT
    assert fail(instance("1.1.1", {"Rows": 2}), removed_instances("1.1.1")) == NO_INSTANCE
    assert fail(instance("1.1.1", {"00191001": "new"}), instance("1.1.1", {"00191001": "old"})) == (
        "INVALID_REQUEST:  VR of private Attribute is missing."
    )


def test_a_changed_sop_instance_uid_renames_its_key_and_keeps_the_frames() -> None:
    instances = apply(instance("1.1.1", {"SOPInstanceUID": "1.1.9"}))["Study"]["Series"]["1.1"]["Instances"]

    assert list(instances) == ["1.1.9", "1.1.2"]
    assert instances["1.1.9"]["DICOM"] == {**INSTANCE_11["DICOM"], "SOPInstanceUID": "1.1.9"}
    assert instances["1.1.9"]["ImageFrames"] == FRAMES


def test_a_changed_series_instance_uid_renames_its_key_with_its_instances() -> None:
    updatable = {
        "Study": {
            "Series": {
                "1.1": {
                    "DICOM": {"SeriesInstanceUID": "1.9"},
                    "Instances": {"1.1.1": {"DICOM": {"SOPInstanceUID": "1.9.1"}}},
                }
            }
        }
    }

    changed = apply(updatable)["Study"]["Series"]

    assert list(changed) == ["1.9", "1.2"]
    assert changed["1.9"]["DICOM"] == {"Modality": "CT", "SeriesInstanceUID": "1.9"}
    assert list(changed["1.9"]["Instances"]) == ["1.9.1", "1.1.2"]


def test_an_instance_uid_may_be_set_to_its_present_value() -> None:
    assert apply(instance("1.1.1", {"SOPInstanceUID": "1.1.1"})) == DOCUMENT
    assert apply(series("1.1", SeriesInstanceUID="1.1")) == DOCUMENT


def test_two_instances_may_exchange_their_uids() -> None:
    updatable = instance("1.1.1", {"SOPInstanceUID": "1.1.2"})
    updatable["Study"]["Series"]["1.1"]["Instances"]["1.1.2"] = {"DICOM": {"SOPInstanceUID": "1.1.1"}}

    instances = apply(updatable)["Study"]["Series"]["1.1"]["Instances"]

    assert list(instances) == ["1.1.2", "1.1.1"]
    assert [node["DICOM"]["SOPInstanceUID"] for node in instances.values()] == ["1.1.2", "1.1.1"]


def test_a_removed_instances_uid_may_be_given_to_another() -> None:
    instances = apply(instance("1.1.2", {"SOPInstanceUID": "1.1.1"}), removed_instances("1.1.1"))["Study"]["Series"][
        "1.1"
    ]

    assert list(instances["Instances"]) == ["1.1.1"]
    assert instances["Instances"]["1.1.1"]["ImageFrames"] == []


def test_a_document_without_a_level_gets_it_with_its_first_attribute() -> None:
    assert apply_updates({"SchemaVersion": "1.1"}, read()) == {"SchemaVersion": "1.1"}

    updates = read({**patient(PatientID="P-1"), **study(StudyID="1")})

    assert apply_updates({"SchemaVersion": "1.1"}, updates) == {
        "SchemaVersion": "1.1",
        "Patient": {"DICOM": {"PatientID": "P-1"}},
        "Study": {"DICOM": {"StudyID": "1"}},
    }


def test_the_study_part_leaves_the_series_out() -> None:
    updatable = {**patient(PatientID="P-2"), "Study": {**study(StudyID="2")["Study"], **series("1.1")["Study"]}}
    removable = {"SchemaVersion": 1.1, **removed_instances("1.1.1")}

    assert keep_study_part(read(updatable, removable)) == Updates(
        {**patient(PatientID="P-2"), **study(StudyID="2")}, {"Study": {}}
    )


def test_values_are_not_shown() -> None:
    assert repr(read(patient(PatientID="P-1"), patient(PatientID="P-1"))) == "Updates()"


@pytest.mark.parametrize(("stored", "given"), [(1, True), (0, False), (True, 1), ([1], [True])])
def test_true_is_not_the_number_1(stored: Any, given: Any) -> None:
    document = {"Study": {"Series": {"1.1": {"Instances": {"1.1.1": {"DICOM": {"Rows": stored}}}}}}}
    removal = {"Study": {"Series": {"1.1": {"Instances": {"1.1.1": {"DICOM": {"Rows": given}}}}}}}
    updates = read_updates(None, json.dumps(removal).encode(), force=True)
    with pytest.raises(UpdateFailed) as raised:
        apply_updates(document, updates)
    assert raised.value.message == "INVALID_REQUEST:  Attribute to remove doesn't match."
