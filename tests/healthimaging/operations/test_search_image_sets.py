"""SearchImageSets as boto3 sees it: every filter, operator, order and page, and every refusal."""

from __future__ import annotations

from datetime import datetime, timezone
from itertools import chain
from typing import Any

import pytest

from healthimaging_emulator import Emulator
from tests.demo import DATASTORE, UNKNOWN

from .conftest import Service, refusal

A, B, C, D, BARE = (letter * 32 for letter in "abcde")
IDS = (A, B, C, D, BARE)
EPOCH = 1700000000.0


def document(number: int, **study: str | None) -> dict[str, Any]:
    """Return a document with all 16 attributes, padded as DICOM pads them."""
    patient = {"PatientID": f"P-{number} ", "PatientName": f"TEST^N{number}", "PatientBirthDate": "19800101"}
    series = {
        "SeriesInstanceUID": f"1.2.{number}.3",
        "Modality": "CT",
        "BodyPartExamined": "CHEST ",
        "SeriesNumber": "7 ",
    }
    instances: dict[str, Any] = {f"1.2.{number}.3.{instance}": {"DICOM": {}} for instance in range(number)}
    described = {"StudyInstanceUID": f"1.2.{number}\0", "StudyID": "S", "AccessionNumber": f"ACC{number}"}
    return {
        "Patient": {"DICOM": patient | {"PatientSex": "O "}},
        "Study": {
            "DICOM": described | {"StudyDescription": "a study"} | study,
            "Series": {f"1.2.{number}.3": {"DICOM": series | {"SeriesNumber": "7 "}, "Instances": instances}},
        },
    }


def image_set(id: str, created: float, updated: float | None, metadata: Any = None, **members: Any) -> dict[str, Any]:
    first = {"versionId": "1", "imageSetState": "ACTIVE", "createdAt": EPOCH + created} | members
    versions = [first]
    if updated is not None:
        versions.append({**first, "versionId": "2", "updatedAt": EPOCH + updated})
    return {"imageSetId": id, "versions": versions} | ({"metadata": metadata} if metadata else {})


SEED = {
    "datastores": [
        {
            "datastoreId": DATASTORE,
            "imageSets": [
                image_set(A, 10, 40, document(1, StudyDate="20200101", StudyTime="101530.5"), isPrimary=True),
                image_set(B, 20, 30, document(2, StudyDate="20200101", StudyTime=None), isPrimary=False),
                image_set(C, 30, None, document(3, StudyDate="20191231", StudyTime="2359"), isPrimary=True),
                image_set(D, 20, None, document(1, StudyDate=None)),
                image_set(BARE, 5, None),
            ],
        },
        {"datastoreId": UNKNOWN, "imageSets": []},
    ]
}


@pytest.fixture
def service() -> Service:
    emulator = Emulator.from_seed(SEED, transition_reads=None, transition_seconds=None)
    emulator.clock.freeze(EPOCH + 1000)
    return Service(emulator)


def search(service: Service, *filters: dict[str, Any], datastore_id: str = DATASTORE, **options: Any) -> dict[str, Any]:
    sort = options.pop("sort", None)
    criteria = ({"filters": list(filters)} if filters else {}) | ({"sort": sort} if sort else {})
    arguments = {"searchCriteria": criteria} if criteria else {}
    answer = service.client.search_image_sets(datastoreId=datastore_id, **arguments, **options)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def found(service: Service, *filters: dict[str, Any], **options: Any) -> list[str]:
    answer = search(service, *filters, **options)
    return [each["imageSetId"] for each in answer["imageSetsMetadataSummaries"]]


def equal(**value: Any) -> dict[str, Any]:
    return {"operator": "EQUAL", "values": [value]}


def between(name: str, low: Any, high: Any) -> dict[str, Any]:
    return {"operator": "BETWEEN", "values": [{name: low}, {name: high}]}


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(EPOCH + seconds, timezone.utc)


def studied(date: str, time: str | None = None) -> dict[str, str]:
    return {"DICOMStudyDate": date} | ({} if time is None else {"DICOMStudyTime": time})


def by(field: str, order: str) -> dict[str, str]:
    return {"sortField": field, "sortOrder": order}


# What it finds.


def test_a_value_that_the_api_does_not_allow_is_not_returned(service: Service) -> None:
    patient = {"PatientID": "p" * 513, "PatientSex": "X" * 17, "PatientName": "n" * 512}
    study = {"DICOM": {"StudyInstanceUID": "not a uid"}, "Series": {"my series": {"DICOM": {}, "Instances": {}}}}
    metadata = {"Patient": {"DICOM": patient}, "Study": study}
    service.emulator.add_image_set(DATASTORE, "0" * 32, metadata=metadata)
    answer = service.client.search_image_sets(datastoreId=DATASTORE)["imageSetsMetadataSummaries"]
    (summary,) = [each for each in answer if each["imageSetId"] == "0" * 32]
    assert summary["DICOMTags"] == {
        "DICOMPatientName": "n" * 512,
        "DICOMNumberOfStudyRelatedSeries": 1,
        "DICOMNumberOfStudyRelatedInstances": 0,
    }


def test_without_criteria_it_finds_all_the_latest_update_first(service: Service) -> None:
    answer = search(service)
    assert [each["imageSetId"] for each in answer["imageSetsMetadataSummaries"]] == [A, B, C, D, BARE]
    assert answer.keys() == {"imageSetsMetadataSummaries"}


@pytest.mark.newest_boto3
def test_a_summary_has_the_properties_and_the_16_attributes_of_the_latest_version(service: Service) -> None:
    assert search(service, equal(DICOMAccessionNumber="ACC2"))["imageSetsMetadataSummaries"] == [
        {
            "imageSetId": B,
            "version": 2,
            "createdAt": at(20),
            "updatedAt": at(30),
            "storageTier": "FREQUENT_ACCESS",
            "isPrimary": False,
            "DICOMTags": {
                "DICOMPatientId": "P-2",
                "DICOMPatientName": "TEST^N2",
                "DICOMPatientBirthDate": "19800101",
                "DICOMPatientSex": "O",
                "DICOMStudyInstanceUID": "1.2.2",
                "DICOMStudyId": "S",
                "DICOMStudyDescription": "a study",
                "DICOMNumberOfStudyRelatedSeries": 1,
                "DICOMNumberOfStudyRelatedInstances": 2,
                "DICOMAccessionNumber": "ACC2",
                "DICOMSeriesInstanceUID": "1.2.2.3",
                "DICOMSeriesModality": "CT",
                "DICOMSeriesBodyPart": "CHEST",
                "DICOMSeriesNumber": 7,
                "DICOMStudyDate": "20200101",
            },
        }
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"DICOMPatientId": "P-1"}, [A, D]),
        ({"DICOMPatientId": "P-1  "}, [A, D]),
        ({"DICOMPatientId": "p-1"}, []),
        ({"DICOMPatientId": "P-"}, []),
        ({"DICOMPatientId": "P*"}, []),
        ({"DICOMAccessionNumber": "ACC3"}, [C]),
        ({"DICOMStudyId": "S"}, [A, B, C, D]),
        ({"DICOMStudyId": ""}, [BARE]),
        ({"DICOMStudyInstanceUID": "1.2.1"}, [A, D]),
        ({"DICOMSeriesInstanceUID": "1.2.3.3"}, [C]),
        ({"createdAt": at(20)}, [B, D]),
        ({"updatedAt": at(30)}, [B, C]),
        ({"DICOMStudyDateAndTime": studied("20200101", "101530.500000")}, [A]),
        ({"DICOMStudyDateAndTime": studied("20200101")}, [B]),
        ({"DICOMStudyDateAndTime": studied("20191231", "235900")}, [C]),
        ({"isPrimary": True}, [A, C]),
        ({"isPrimary": False}, [B, D, BARE]),
    ],
)
def test_equal_compares_the_whole_value_without_padding(service: Service, value: Any, expected: list[str]) -> None:
    assert found(service, equal(**value)) == expected


@pytest.mark.newest_boto3
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (between("createdAt", at(10), at(20)), [A, B, D]),
        (between("createdAt", at(10.001), at(19.999)), []),
        (between("updatedAt", at(30), at(30)), [B, C]),
        (between("updatedAt", at(31), at(99)), [A]),
        (between("DICOMStudyDateAndTime", studied("20191231"), studied("20200101")), [B, C]),
        (between("DICOMStudyDateAndTime", studied("20200101", "0000"), studied("20200101", "11")), [A, B]),
        (between("DICOMStudyDateAndTime", studied("00010101"), studied("99991231", "235959")), [A, B, C]),
    ],
)
def test_between_includes_both_ends_and_no_image_set_without_the_date(
    service: Service, condition: Any, expected: list[str]
) -> None:
    assert found(service, condition) == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (equal(DICOMPatientId="P-1"), equal(isPrimary=True), [A]),
        (equal(DICOMPatientId="P-1"), equal(DICOMPatientId="P-2"), []),
        (equal(DICOMPatientId="P-1"), equal(DICOMPatientId="P-1"), [A, D]),
        (equal(isPrimary=False), between("createdAt", at(10), at(20)), [B, D]),
        (between("updatedAt", at(20), at(40)), between("createdAt", at(20), at(30)), [B, C, D]),
        (between("createdAt", at(0), at(20)), between("createdAt", at(10), at(30)), [A, B, D]),
    ],
)
def test_two_filters_must_both_hold(service: Service, first: Any, second: Any, expected: list[str]) -> None:
    assert found(service, first, second) == expected
    assert found(service, second, first) == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (by("updatedAt", "DESC"), [A, B, C, D, BARE]),
        (by("updatedAt", "ASC"), [BARE, D, B, C, A]),
        (by("createdAt", "DESC"), [C, B, D, A, BARE]),
        (by("createdAt", "ASC"), [BARE, A, B, D, C]),
        (by("DICOMStudyDateAndTime", "DESC"), [A, B, C, D, BARE]),
        (by("DICOMStudyDateAndTime", "ASC"), [C, B, A, D, BARE]),
    ],
)
def test_ties_go_by_the_id_and_the_undated_come_last(service: Service, sort: Any, expected: list[str]) -> None:
    answer = search(service, sort=sort)
    assert [each["imageSetId"] for each in answer["imageSetsMetadataSummaries"]] == expected
    assert answer["sort"] == sort


# Pages.


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize("field", ["updatedAt", "createdAt", "DICOMStudyDateAndTime"])
def test_the_paginator_gets_every_image_set_once(service: Service, field: str, order: str, size: int) -> None:
    criteria = {"sort": by(field, order)}
    pages = service.client.get_paginator("search_image_sets").paginate(
        datastoreId=DATASTORE, searchCriteria=criteria, PaginationConfig={"PageSize": size}
    )
    ids = [[each["imageSetId"] for each in page["imageSetsMetadataSummaries"]] for page in pages]
    assert list(chain.from_iterable(ids)) == found(service, sort=by(field, order))
    assert list(map(len, ids)) == [size] * (5 // size) + ([5 % size] if 5 % size else [])


def test_a_write_between_two_pages_shifts_no_other_image_set(service: Service) -> None:
    first = search(service, sort=by("createdAt", "ASC"), maxResults=2)
    service.emulator.account().add_image_set(DATASTORE, "0" * 32, created_at=EPOCH + 1)
    second = search(service, sort=by("createdAt", "ASC"), maxResults=9, nextToken=first["nextToken"])
    assert [each["imageSetId"] for each in second["imageSetsMetadataSummaries"]] == [B, D, C]


@pytest.mark.parametrize(
    "other",
    [
        {"sort": by("createdAt", "ASC")},
        {"datastore_id": UNKNOWN},
        {"filters": [equal(isPrimary=True)]},
    ],
)
def test_a_token_of_another_search_is_refused(service: Service, other: dict[str, Any]) -> None:
    token = search(service, maxResults=1)["nextToken"]
    filters = other.pop("filters", [])
    assert refusal(search, service, *filters, nextToken=token, **other) == ("ValidationException", "Invalid nextToken.")


# Other states, and writes.


def test_while_a_version_is_written_the_one_before_is_found(service: Service) -> None:
    service.update({"Patient": {"DICOM": {"PatientID": "P-9"}}}, id=A, latest="2")
    summary = search(service, equal(DICOMPatientId="P-1"))["imageSetsMetadataSummaries"][0]
    assert (summary["imageSetId"], summary["version"], summary["updatedAt"]) == (A, 2, at(1000))
    assert found(service, equal(DICOMPatientId="P-9")) == []
    service.finish()
    summary = search(service, equal(DICOMPatientId="P-9"))["imageSetsMetadataSummaries"][0]
    assert (summary["imageSetId"], summary["version"]) == (A, 3)
    assert found(service, equal(DICOMPatientId="P-1")) == [D]


def test_a_copy_is_found_at_once_by_the_attributes_of_its_source(service: Service) -> None:
    answer = service.client.copy_image_set(
        datastoreId=DATASTORE,
        sourceImageSetId=C,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
    )
    copy = answer["destinationImageSetProperties"]["imageSetId"]
    assert set(found(service, equal(DICOMPatientId="P-3"))) == {C, copy}
    service.finish()
    assert set(found(service, equal(DICOMPatientId="P-3"))) == {C, copy}


def test_a_deleted_image_set_is_not_found_once_it_is_deleted(service: Service) -> None:
    service.client.delete_image_set(datastoreId=DATASTORE, imageSetId=A)
    assert A in found(service)
    service.finish()
    assert A not in found(service)


def test_a_search_does_not_end_a_transition() -> None:
    ours = Service(Emulator.from_seed(SEED, transition_reads=1, transition_seconds=None))
    ours.update({"Patient": {"DICOM": {"PatientID": "P-9"}}}, id=A, latest="2")
    assert [found(ours, equal(DICOMPatientId="P-9")) for _ in range(3)] == [[], [], []]
    assert ours.state(A) == ("3", "LOCKED", "UPDATING")
    assert found(ours, equal(DICOMPatientId="P-9")) == [A]


@pytest.mark.newest_boto3
def test_reading_metadata_and_updating_set_the_last_access(service: Service) -> None:
    service.metadata(B)
    service.emulator.clock.advance(5)
    service.update({"Patient": {"DICOM": {"PatientSex": "F"}}}, id=C, latest="1")
    accessed = {
        each["imageSetId"]: each.get("lastAccessedAt") for each in search(service)["imageSetsMetadataSummaries"]
    }
    assert accessed == {A: None, B: at(1000), C: at(1005), D: None, BARE: None}


def test_every_account_finds_its_own_changes_only(service: Service) -> None:
    service.client.delete_image_set(datastoreId=DATASTORE, imageSetId=A)
    service.finish()
    other = Service(service.emulator)
    other.client = service.emulator.client(aws_access_key_id="210987654321", aws_secret_access_key="x")
    assert found(other) == [A, B, C, D, BARE]
    assert found(service) == [B, C, D, BARE]
    service.emulator.account().reset()
    assert found(service) == [A, B, C, D, BARE]


# Refusals.

ONE_VALUE = "A filter with the operator EQUAL must have one value."
TWO_VALUES = "A filter with the operator BETWEEN must have two values of one attribute."
NO_RANGE = "{} cannot have the operator BETWEEN: expected one of createdAt, updatedAt, DICOMStudyDateAndTime."
LOWER_FIRST = "A filter with the operator BETWEEN must have the lower value first."
NO_DATE = "DICOMStudyDate must be written YYYYMMDD, and DICOMStudyTime HHMMSS."


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"operator": "EQUAL", "values": [{"DICOMPatientId": "P-1"}, {"DICOMPatientId": "P-2"}]}, ONE_VALUE),
        ({"operator": "BETWEEN", "values": [{"createdAt": at(1)}]}, TWO_VALUES),
        ({"operator": "BETWEEN", "values": [{"createdAt": at(1)}, {"updatedAt": at(2)}]}, TWO_VALUES),
        (between("DICOMPatientId", "P-1", "P-2"), NO_RANGE.format("DICOMPatientId")),
        (between("isPrimary", False, True), NO_RANGE.format("isPrimary")),
        (between("DICOMStudyInstanceUID", "1.2", "1.3"), NO_RANGE.format("DICOMStudyInstanceUID")),
        (between("createdAt", at(2), at(1)), LOWER_FIRST),
        (between("DICOMStudyDateAndTime", studied("20200101", "01"), studied("20200101")), LOWER_FIRST),
        (equal(DICOMStudyDateAndTime=studied("2020-01-01")), NO_DATE),
        (equal(DICOMStudyDateAndTime=studied("20200101", "noon")), NO_DATE),
        (between("DICOMStudyDateAndTime", studied("x"), studied("20200101")), NO_DATE),
    ],
)
def test_a_filter_that_cannot_be_is_refused(service: Service, condition: Any, message: str) -> None:
    assert refusal(search, service, condition) == ("ValidationException", message)


def test_an_unknown_data_store_is_not_found_but_an_empty_one_is(service: Service) -> None:
    unknown = "0" * 32
    message = f"Datastore {unknown} was not found."
    assert refusal(search, service, datastore_id=unknown) == ("ResourceNotFoundException", message)
    assert found(service, datastore_id=UNKNOWN) == []
