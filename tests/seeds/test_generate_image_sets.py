"""Generated image sets: reproducible, spread over patients and studies, valid for search and update."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from healthimaging_emulator import Emulator, InvalidError
from healthimaging_emulator.healthimaging.dicom import find_attribute, level_of
from healthimaging_emulator.healthimaging.metadata_updates import list_nodes
from healthimaging_emulator.seeds.loader import load_seed
from healthimaging_emulator.seeds.writer import write_seed

D = "d" * 32


def seed(**numbers: Any) -> dict[str, Any]:
    return {"datastores": [{"datastoreId": D, "generate": numbers}]}


def search(emulator: Emulator, **criteria: Any) -> list[dict[str, Any]]:
    pages = emulator.client().get_paginator("search_image_sets").paginate(datastoreId=D, **criteria)
    return [each for page in pages for each in page["imageSetsMetadataSummaries"]]


def set_in_study(**attributes: str) -> dict[str, Any]:
    document = json.dumps({"Study": {"DICOM": attributes}}).encode()
    return {"DICOMUpdates": {"updatableAttributes": document}}


def distinct(summaries: list[dict[str, Any]], tag: str) -> int:
    return len({each["DICOMTags"][tag] for each in summaries})


@pytest.mark.newest_boto3
@pytest.mark.parametrize(
    ("numbers", "image_sets", "studies", "patients"),
    [
        ({"imageSets": 1}, 1, 1, 1),
        ({"imageSets": 120}, 120, 60, 30),
        ({"imageSets": 120, "patients": 7}, 120, 60, 7),
        ({"imageSets": 120, "patients": 100}, 120, 100, 100),
        ({"imageSets": 120, "patients": 500}, 120, 120, 120),
        ({"imageSets": 120, "studies": 10}, 120, 10, 5),
        ({"imageSets": 120, "studies": 10, "patients": 3}, 120, 10, 3),
    ],
)
def test_series_are_spread_over_studies_and_these_over_patients(
    numbers: dict[str, int], image_sets: int, studies: int, patients: int
) -> None:
    found = search(Emulator.from_seed(seed(**numbers)))
    assert len(found) == distinct(found, "DICOMSeriesInstanceUID") == image_sets
    assert distinct(found, "DICOMStudyInstanceUID") == distinct(found, "DICOMAccessionNumber") == studies
    assert distinct(found, "DICOMPatientId") == distinct(found, "DICOMPatientName") == patients
    assert {each["isPrimary"] for each in found} == {True}


@pytest.mark.newest_boto3
def test_image_sets_of_one_study_have_one_patient_and_one_study_and_other_numbers() -> None:
    found = search(Emulator.from_seed(seed(imageSets=40, studies=10)))
    of_first = [each["DICOMTags"] for each in found if each["DICOMTags"]["DICOMStudyId"] == "S000000"]
    assert sorted(tags["DICOMSeriesNumber"] for tags in of_first) == [1, 2, 3, 4]
    shared = ("DICOMPatientId", "DICOMStudyInstanceUID", "DICOMStudyDate", "DICOMStudyTime", "DICOMSeriesModality")
    assert [{tags[name] for tags in of_first} for name in shared] == [{of_first[0][name]} for name in shared]


def test_the_same_numbers_give_the_same_image_sets_in_every_python() -> None:
    first, again, other = (load_seed(seed(imageSets=9, versions=3, seed=number)) for number in (1, 1, 2))
    assert write_seed(first.baseline) == write_seed(again.baseline)
    assert not set(first.baseline[D]) & set(other.baseline[D])
    newest = max(first.baseline[D].values(), key=lambda each: each.latest.created_at or 0)
    assert (newest.image_set_id, len(newest.history)) == ("f85a6fafeaa66f1f7f073b742a93711f", 1)
    assert newest.latest.metadata is not None
    assert newest.latest.metadata.tags.study_date == "20210317"


def test_versions_are_at_most_as_many_and_instances_exactly_as_many() -> None:
    emulator = Emulator.from_seed(seed(imageSets=50, versions=4, instances=3))
    lengths = {len(each.versions) for each in emulator.datastore(D).image_sets}
    assert lengths == {1, 2, 3, 4}
    assert {each["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"] for each in search(emulator)} == {3}


def test_every_attribute_is_of_the_standard_at_its_level_and_suits_its_vr() -> None:
    emulator = Emulator.from_seed(seed(imageSets=8))
    for image_set in emulator.datastore(D).image_sets:
        for node in list_nodes(image_set.metadata()):
            for keyword, value in node.attributes.items():
                attribute = find_attribute(keyword)
                assert attribute is not None
                assert (level_of(keyword), attribute.accepts(value)) == (node.level, True), keyword


@pytest.mark.newest_boto3
def test_they_can_be_found_by_every_attribute_and_updated() -> None:
    emulator = Emulator.from_seed(seed(imageSets=12))
    client = emulator.client()
    summary = search(emulator)[5]
    for name in ("PatientId", "AccessionNumber", "StudyId", "StudyInstanceUID", "SeriesInstanceUID"):
        filters = [{"operator": "EQUAL", "values": [{f"DICOM{name}": summary["DICOMTags"][f"DICOM{name}"]}]}]
        found = search(emulator, searchCriteria={"filters": filters})
        assert summary["imageSetId"] in {each["imageSetId"] for each in found}
    ids = {"datastoreId": D, "imageSetId": summary["imageSetId"]}
    update = partial(client.update_image_set_metadata, **ids)
    update(latestVersionId="1", updateImageSetMetadataUpdates=set_in_study(StudyDescription="changed"))
    emulator.image_set(D, summary["imageSetId"]).finish()
    assert client.get_image_set(**ids)["imageSetWorkflowStatus"] == "UPDATED"
    with pytest.raises(ClientError, match="StudyInstanceUID at Study level cannot be updated without force"):
        update(latestVersionId="2", updateImageSetMetadataUpdates=set_in_study(StudyInstanceUID="1.2"))


@pytest.mark.parametrize(
    ("numbers", "path", "message"),
    [
        ({}, "", "Object missing required field `imageSets`"),
        ({"imageSets": 0}, ".imageSets", "Expected `int` >= 1"),
        ({"imageSets": 1, "patients": 0}, ".patients", "Expected `int` >= 1"),
        ({"imageSets": 1, "patient": 1}, "", "Object contains unknown field `patient` (did you mean patients?)"),
        (
            {"imageSets": 10, "createdAt": 253402300000},
            "",
            "invalid time 253433923010.0: expected a time in the years 1970 to 9999, in epoch seconds",
        ),
    ],
)
def test_mistaken_numbers_are_refused(numbers: Any, path: str, message: str) -> None:
    with pytest.raises(InvalidError) as raised:
        load_seed(seed(**numbers))
    assert (raised.value.path, raised.value.message) == (f"$.datastores[0].generate{path}", message)


def test_the_same_image_sets_twice_are_refused() -> None:
    with pytest.raises(InvalidError) as raised:
        load_seed(seed(imageSets=2), seed(imageSets=3))
    assert (raised.value.path, raised.value.message) == (
        "$.datastores[0].generate",
        "these image sets are there already: give another seed",
    )
