"""CopyImageSet as boto3 sees it: new and existing destinations, subsets, force, promotion, and every refusal."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.healthimaging.operations.copy_image_set import COPY_IMAGE_SET
from tests.demo import DATASTORE, UNKNOWN
from tests.healthimaging.documents import INSTANCE, OTHER_INSTANCE, SERIES, document

from .conftest import CREATED_AT, FIRST, PLAIN, SECOND, SEED, THIRD, Service, image_set, refusal

CREATED = datetime.fromtimestamp(CREATED_AT, timezone.utc)
NOW = datetime(2024, 1, 1, tzinfo=timezone.utc)
NOT_LATEST = ("ResourceNotFoundException", "Requested version(s) of ImageSet(s) is not the latest.")
MISMATCH = "INVALID_REQUEST:  {} of SourceImageSet and DestinationImageSet don't match."


def copy(
    service: Service,
    source: str = FIRST,
    destination: str | None = None,
    *,
    latest: str = "1",
    destination_latest: str = "1",
    copies: Any = None,
    **options: Any,
) -> dict[str, Any]:
    information: dict[str, Any] = {"sourceImageSet": {"latestVersionId": latest}}
    if copies is not None:
        text = copies if isinstance(copies, str) else json.dumps(copies)
        information["sourceImageSet"]["DICOMCopies"] = {"copiableAttributes": text}
    if destination is not None:
        information["destinationImageSet"] = {"imageSetId": destination, "latestVersionId": destination_latest}
    answer = service.client.copy_image_set(
        datastoreId=DATASTORE, sourceImageSetId=source, copyImageSetInformation=information, **options
    )
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def new_id(answer: dict[str, Any]) -> str:
    return str(answer["destinationImageSetProperties"]["imageSetId"])


def instances(service: Service, image_set_id: str) -> set[str]:
    return set(service.metadata(image_set_id)["Study"]["Series"][SERIES]["Instances"])


def one_instance(uid: str) -> dict[str, Any]:
    """Return the document of the seed with one instance of another name."""
    content = document()
    stored = content["Study"]["Series"][SERIES]["Instances"]
    content["Study"]["Series"][SERIES]["Instances"] = {uid: stored[INSTANCE]}
    return content


OTHER, DIFFERENT = "e" * 32, "9" * 32


@pytest.fixture
def service() -> Service:
    """Return an emulator with two more image sets: another instance of the series, and one of another patient."""
    foreign = one_instance("1.2.3.4")
    foreign["Patient"]["DICOM"]["PatientID"] = "P-2"
    more = [
        image_set(OTHER, is_primary=False, metadata=one_instance("1.2.3")),
        image_set(DIFFERENT, is_primary=False, metadata=foreign),
    ]
    seed = {"datastores": [{**SEED["datastores"][0], "imageSets": [*SEED["datastores"][0]["imageSets"], *more]}]}
    emulator = Emulator.from_seed(seed, transition_reads=None, transition_seconds=None)
    emulator.clock.freeze("2024-01-01T00:00:00Z")
    return Service(emulator)


def test_the_answer_for_a_new_destination(service: Service) -> None:
    answer = copy(service)
    arn = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}/imageset/"
    assert re.fullmatch("[0-9a-f]{32}", new_id(answer))
    assert answer == {
        "datastoreId": DATASTORE,
        "sourceImageSetProperties": {
            "imageSetId": FIRST,
            "latestVersionId": "1",
            "imageSetState": "LOCKED",
            "imageSetWorkflowStatus": "COPYING_WITH_READ_ONLY_ACCESS",
            "createdAt": CREATED,
            "updatedAt": NOW,
            "imageSetArn": arn + FIRST,
        },
        "destinationImageSetProperties": {
            "imageSetId": new_id(answer),
            "latestVersionId": "1",
            "imageSetState": "LOCKED",
            "imageSetWorkflowStatus": "COPYING",
            "createdAt": NOW,
            "updatedAt": NOW,
            "imageSetArn": arn + new_id(answer),
        },
    }


def test_the_rows_while_it_goes_on_and_after_it(service: Service) -> None:
    copied = new_id(copy(service))
    assert service.state() == ("1", "LOCKED", "COPYING_WITH_READ_ONLY_ACCESS")
    assert service.state(copied) == ("1", "LOCKED", "COPYING")
    assert service.metadata()["ImageSetID"] == FIRST
    assert refusal(service.metadata, copied)[0] == "ConflictException"
    service.emulator.clock.advance(5)
    service.finish()
    assert [service.state(id) for id in (FIRST, copied)] == [("1", "ACTIVE", "COPIED")] * 2
    assert [service.get(id)["updatedAt"] for id in (FIRST, copied)] == [NOW + timedelta(seconds=5)] * 2
    assert len(service.rows()) == 1


@pytest.mark.newest_boto3
def test_a_copy_has_the_document_of_its_source_under_its_own_id_and_is_not_primary(service: Service) -> None:
    copied = new_id(copy(service))
    service.finish()
    assert service.metadata(copied) == service.metadata() | {"ImageSetID": copied}
    assert (service.get()["isPrimary"], service.get(copied)["isPrimary"]) == (True, False)


def test_into_an_existing_image_set_it_is_the_next_version(service: Service) -> None:
    answer = copy(service, THIRD, OTHER)
    assert answer["destinationImageSetProperties"]["latestVersionId"] == "2"
    assert answer["destinationImageSetProperties"]["createdAt"] == CREATED
    assert service.state(OTHER) == ("2", "LOCKED", "COPYING")
    service.finish()
    assert service.state(OTHER) == ("2", "ACTIVE", "COPIED")
    assert instances(service, OTHER) == {INSTANCE, OTHER_INSTANCE, "1.2.3"}
    assert set(service.metadata(OTHER, versionId="1")["Study"]["Series"][SERIES]["Instances"]) == {"1.2.3"}


def test_only_the_selected_instances_are_copied(service: Service) -> None:
    copies = {"SchemaVersion": "1.1", "Study": {"Series": {SERIES: {"Instances": {INSTANCE: {}}}}}}
    copied = new_id(copy(service, copies=copies))
    service.finish()
    assert instances(service, copied) == {INSTANCE}


FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "a series that is not there, such as the image set's id in AWS's samples": (
        {"copies": {"Study": {"Series": {FIRST: {"Instances": {INSTANCE: {}}}}}}},
        "INVALID_REQUEST:  Series of SourceImageSet doesn't exist.",
    ),
    "an instance that is not there": (
        {"copies": {"Study": {"Series": {SERIES: {"Instances": {"1.9": {}}}}}}},
        "INVALID_REQUEST:  Instance of SourceImageSet doesn't exist.",
    ),
    "another patient": ({"destination": DIFFERENT}, MISMATCH.format("Patient")),
    "an instance that the destination has": (
        {"destination": SECOND},
        "INVALID_REQUEST:  Instance of SourceImageSet already exists in DestinationImageSet.",
    ),
}


@pytest.mark.parametrize(("options", "message"), FAILURES.values(), ids=FAILURES)
def test_a_copy_that_does_not_suit_fails_as_a_version_of_its_own(
    service: Service, options: dict[str, Any], message: str
) -> None:
    answer = copy(service, **options)
    destination = new_id(answer)
    service.finish()
    number = "2" if "destination" in options else "1"
    assert service.state(destination) == (number, "ACTIVE", "COPY_FAILED")
    assert service.get(destination)["message"] == message
    assert service.state() == ("1", "ACTIVE", "CREATED")
    assert "updatedAt" not in service.rows()[0]


def test_force_copies_to_another_patient_whose_own_attributes_stay(service: Service) -> None:
    copy(service, FIRST, DIFFERENT, force=True)
    service.finish()
    assert service.state(DIFFERENT) == ("2", "ACTIVE", "COPIED")
    assert service.metadata(DIFFERENT)["Patient"]["DICOM"]["PatientID"] == "P-2"
    assert instances(service, DIFFERENT) == {INSTANCE, OTHER_INSTANCE, "1.2.3.4"}
    assert service.rows(DIFFERENT)[0]["overrides"] == {"forced": True}


def test_promotion_makes_a_new_primary_image_set_if_there_is_none_of_the_series(service: Service) -> None:
    for id in (FIRST, SECOND):
        service.client.delete_image_set(datastoreId=DATASTORE, imageSetId=id)
    service.finish()
    promoted = new_id(copy(service, THIRD, promoteToPrimary=True))
    service.finish()
    assert (service.get(promoted)["isPrimary"], service.get(THIRD)["isPrimary"]) == (True, False)
    assert service.state(THIRD) == ("1", "ACTIVE", "COPIED")


def test_promotion_joins_the_primary_image_set_of_the_series(service: Service) -> None:
    answer = copy(service, OTHER, promoteToPrimary=True)
    assert answer["destinationImageSetProperties"]["latestVersionId"] == "2"
    service.finish()
    joined = new_id(answer)
    assert joined in (FIRST, SECOND)
    assert service.get(joined)["isPrimary"] is True
    assert "1.2.3" in instances(service, joined)


def test_promotion_fails_if_the_grouping_elements_differ(service: Service) -> None:
    joined = new_id(copy(service, DIFFERENT, promoteToPrimary=True))
    service.finish()
    assert service.state(joined) == ("2", "ACTIVE", "COPY_FAILED")
    assert service.get(joined)["message"] == MISMATCH.format("Series")


def test_promotion_compares_every_selected_series(service: Service) -> None:
    content = one_instance("1.2.3.9")
    series = content["Study"]["Series"]
    series["1.9"] = {"DICOM": {"SeriesInstanceUID": "1.9"}, "Instances": {"1.9.1": {"DICOM": {}}}}
    content["Study"]["Series"] = {"1.9": series["1.9"], SERIES: series[SERIES]}
    service.emulator.add_image_set(DATASTORE, "5" * 32, is_primary=False, metadata=content)
    joined = new_id(copy(service, "5" * 32, promoteToPrimary=True))
    service.finish()
    assert (service.state(joined)[2], service.get(joined)["message"]) == ("COPY_FAILED", MISMATCH.format("Series"))
    other: dict[str, Any] = {"Study": {"Series": {"1.9": {"Instances": {"1.9.1": {}}}}}}
    promoted = new_id(copy(service, "5" * 32, copies=other, promoteToPrimary=True))
    service.finish()
    assert promoted not in (FIRST, SECOND)
    assert (service.state(promoted), service.get(promoted)["isPrimary"]) == (("1", "ACTIVE", "COPIED"), True)


def test_promotion_of_a_source_without_metadata_makes_one_primary_image_set(service: Service) -> None:
    first = new_id(copy(service, PLAIN, promoteToPrimary=True))
    service.finish()
    second = new_id(copy(service, PLAIN, promoteToPrimary=True))
    assert second == first


def test_the_message_of_a_failure_ends_with_the_next_copy_and_with_the_deletion(service: Service) -> None:
    copy(service, FIRST, DIFFERENT)
    service.finish()
    assert "message" in service.get(DIFFERENT)
    copy(service, DIFFERENT, latest="2")
    assert "message" not in service.get(DIFFERENT)
    service.finish()
    assert service.state(DIFFERENT) == ("2", "ACTIVE", "COPIED")
    assert "message" not in service.get(DIFFERENT)
    copy(service, FIRST, DIFFERENT, destination_latest="2")
    service.finish()
    service.client.delete_image_set(datastoreId=DATASTORE, imageSetId=DIFFERENT)
    service.finish()
    assert "message" not in service.rows(DIFFERENT)[0]


REFUSALS: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "the source as its destination": (
        {"destination": FIRST},
        ("ValidationException", "The source and the destination ImageSet must be different."),
    ),
    "promotion into a destination": (
        {"destination": SECOND, "promoteToPrimary": True},
        ("ValidationException", "promoteToPrimary cannot be combined with destinationImageSet."),
    ),
    "a selection that is not JSON": (
        {"copies": "eyJ9"},
        ("ValidationException", "copiableAttributes must be a JSON object."),
    ),
    "a selection that is not an object": (
        {"copies": [1]},
        ("ValidationException", "copiableAttributes must be a JSON object."),
    ),
    "a selection with another key": (
        {"copies": {"study": {"Series": {SERIES: {}}}}},
        ("ValidationException", "copiableAttributes has the key 'study': expected SchemaVersion or Study."),
    ),
    "an empty selection": (
        {"copies": {"SchemaVersion": "1.1", "Study": {}}},
        ("ValidationException", "copiableAttributes must name a series."),
    ),
    "promotion of a primary image set": (
        {"promoteToPrimary": True},
        ("ValidationException", "The source ImageSet is primary already."),
    ),
    "an unknown source": (
        {"source": UNKNOWN},
        ("ResourceNotFoundException", f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."),
    ),
    "an unknown destination": (
        {"destination": UNKNOWN},
        ("ResourceNotFoundException", f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."),
    ),
    "a source version that is not the latest": ({"latest": "2"}, NOT_LATEST),
    "a destination version that is not the latest": ({"destination": SECOND, "destination_latest": "2"}, NOT_LATEST),
}


@pytest.mark.parametrize(("options", "expected"), REFUSALS.values(), ids=REFUSALS)
def test_a_refused_copy_changes_nothing(service: Service, options: dict[str, Any], expected: tuple[str, str]) -> None:
    assert refusal(copy, service, **options) == expected
    assert [service.state(id) for id in (FIRST, SECOND)] == [("1", "ACTIVE", "CREATED")] * 2


@pytest.mark.parametrize("locked", [FIRST, SECOND])
def test_a_locked_source_or_destination_refuses(service: Service, locked: str) -> None:
    service.update({"Patient": {"DICOM": {"PatientName": "TEST^TWO"}}}, id=locked)
    expected = ("ConflictException", f"ImageSet {locked} is LOCKED.")
    assert refusal(copy, service, FIRST, SECOND, latest="9", destination_latest="9") == expected


def test_both_image_sets_are_locked_against_writes_meanwhile(service: Service) -> None:
    copied = new_id(copy(service))
    for id in (FIRST, copied):
        expected = ("ConflictException", f"ImageSet {id} is LOCKED.")
        assert refusal(service.update, {}, id=id) == expected


def test_a_workflow_fault_lets_a_copy_fail(service: Service) -> None:
    service.emulator.faults.add(Fault.workflow("failed", "INVALID_REQUEST:  Out of luck.", operation="CopyImageSet"))
    copied = new_id(copy(service))
    service.finish()
    assert service.state(copied) == ("1", "ACTIVE", "COPY_FAILED")
    assert service.get(copied)["message"] == "INVALID_REQUEST:  Out of luck."


def test_of_two_promotions_at_the_same_time_the_second_joins_the_first(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_module = sys.modules[COPY_IMAGE_SET.handler.__module__]
    compute, others = copy_module._compute_outcome, [DIFFERENT]

    def compute_later(*arguments: Any) -> Any:
        """Let another promotion come between the look at the primary image sets and the commit."""
        if others:
            copy(service, others.pop(), promoteToPrimary=True)
            service.finish()
        return compute(*arguments)

    for image_set_id in (FIRST, SECOND):
        service.emulator.image_set(DATASTORE, image_set_id).remove()
    monkeypatch.setattr(copy_module, "_compute_outcome", compute_later)
    copy(service, OTHER, promoteToPrimary=True)
    service.finish()
    primary = {"filters": [{"operator": "EQUAL", "values": [{"isPrimary": True}]}]}
    found = service.client.search_image_sets(datastoreId=DATASTORE, searchCriteria=primary)
    assert [each["version"] for each in found["imageSetsMetadataSummaries"]] == [2]
