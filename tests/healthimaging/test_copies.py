"""The documents of copies: selections, and instances that come into another document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from healthimaging_emulator.aws.errors import ValidationException
from healthimaging_emulator.healthimaging.copies import (
    INSTANCE_EXISTS,
    INSTANCE_MISSING,
    MISMATCH,
    SERIES_MISSING,
    CopyFailed,
    merge_instances,
    read_selection,
    select_instances,
)


def make(
    series: dict[str, list[str]], *, patient: str = "P-1", study: str = "1.1", modality: str = "CT"
) -> dict[str, Any]:
    """Return a document with the instances of each series."""
    return {
        "Patient": {"DICOM": {"PatientID": patient}},
        "Study": {
            "DICOM": {"StudyInstanceUID": study},
            "Series": {
                uid: {
                    "DICOM": {"Modality": modality},
                    "Instances": {each: {"DICOM": {"of": patient}} for each in instances},
                }
                for uid, instances in series.items()
            },
        },
    }


def series_of(document: dict[str, Any]) -> dict[str, list[str]]:
    return {uid: list(series["Instances"]) for uid, series in document["Study"]["Series"].items()}


NOT_OBJECTS = {
    '{"Study": 1}': "Study",
    '{"Study": {"Series": 1}}': "Series",
    '{"Study": {"Series": {"1.2": 1}}}': "Series",
    '{"Study": {"Series": {"1.2": {"Instances": 1}}}}': "Instances",
}


@pytest.mark.parametrize("text", NOT_OBJECTS)
def test_a_part_of_a_selection_that_is_no_object_is_named(text: str) -> None:
    with pytest.raises(ValidationException) as raised:
        read_selection(text)
    assert raised.value.message == f"{NOT_OBJECTS[text]} of copiableAttributes must be an object."


def test_a_selection_has_the_instances_of_each_series() -> None:
    given = {"SchemaVersion": "1.1", "Study": {"Series": {"1.2": {"Instances": {"1.2.1": {}}}, "1.3": {}}}}
    assert read_selection(json.dumps(given)) == {"1.2": {"1.2.1"}, "1.3": frozenset()}


def test_selected_instances_keep_everything_above_them() -> None:
    source = make({"1.2": ["1.2.1", "1.2.2"], "1.3": ["1.3.1"]})
    chosen = select_instances(source, {"1.2": frozenset({"1.2.2"})})
    assert series_of(chosen) == {"1.2": ["1.2.2"]}
    assert (chosen["Patient"], chosen["Study"]["DICOM"]) == (source["Patient"], source["Study"]["DICOM"])
    assert chosen["Study"]["Series"]["1.2"]["DICOM"] == {"Modality": "CT"}


@pytest.mark.parametrize(
    ("uid", "instance", "message"), [("1.9", "1.2.1", SERIES_MISSING), ("1.2", "1.9.1", INSTANCE_MISSING)]
)
def test_what_is_selected_must_be_there(uid: str, instance: str, message: str) -> None:
    with pytest.raises(CopyFailed) as raised:
        select_instances(make({"1.2": ["1.2.1"]}), {uid: frozenset({instance})})
    assert raised.value.message == message


def test_instances_come_into_their_own_series() -> None:
    merged = merge_instances(make({"1.3": ["1.3.2"]}), make({"1.2": ["1.2.1"], "1.3": ["1.3.1"]}), force=False)
    assert series_of(merged) == {"1.2": ["1.2.1"], "1.3": ["1.3.1", "1.3.2"]}


def test_forced_instances_of_another_series_come_into_the_first_one() -> None:
    source, destination = make({"1.9": ["1.9.1"]}, patient="P-2"), make({"1.2": ["1.2.1"], "1.3": []})
    merged = merge_instances(source, destination, force=True)
    assert series_of(merged) == {"1.2": ["1.2.1", "1.9.1"], "1.3": []}
    assert merged["Patient"] == destination["Patient"]


def test_a_destination_without_series_gets_those_of_the_source() -> None:
    source = make({"1.2": ["1.2.1"]})
    destination = {"Patient": source["Patient"], "Study": {"DICOM": source["Study"]["DICOM"]}}
    assert series_of(merge_instances(source, destination, force=True)) == {"1.2": ["1.2.1"]}


def test_parts_that_a_document_lacks_are_as_empty_ones() -> None:
    bare: dict[str, Any] = {"Study": {"Series": {"1.2": {}}}}
    with_parts = {"Patient": {"DICOM": {}}, "Study": {"DICOM": {}, "Series": {"1.2": {"DICOM": {}, "Instances": {}}}}}
    assert series_of(merge_instances(bare, with_parts, force=False)) == {"1.2": []}
    assert series_of(merge_instances(with_parts, bare, force=False)) == {"1.2": []}
    assert series_of(merge_instances(bare, bare, force=False)) == {"1.2": []}
    assert merge_instances({}, {}, force=False) == {"Study": {"Series": {}}}


@pytest.mark.parametrize(
    ("source", "level"),
    [
        (make({"1.2": ["1.2.2"]}, patient="P-2"), "Patient"),
        (make({"1.2": ["1.2.2"]}, study="1.9"), "Study"),
        (make({"1.2": ["1.2.2"]}, modality="MR"), "Series"),
        (make({"1.9": ["1.9.1"]}), "Series"),
    ],
)
def test_attributes_must_agree_unless_it_is_forced(source: dict[str, Any], level: str) -> None:
    destination = make({"1.2": ["1.2.1"]})
    with pytest.raises(CopyFailed) as raised:
        merge_instances(source, destination, force=False)
    assert raised.value.message == MISMATCH.format(level=level)
    assert len(series_of(merge_instances(source, destination, force=True))["1.2"]) == 2


@pytest.mark.parametrize("force", [False, True])
def test_an_instance_that_is_there_in_any_series_cannot_be_copied(force: bool) -> None:
    with pytest.raises(CopyFailed) as raised:
        merge_instances(make({"1.2": ["1.3.1"]}), make({"1.2": [], "1.3": ["1.3.1"]}), force=force)
    assert raised.value.message == INSTANCE_EXISTS
