"""UpdateImageSetMetadata as boto3 sees it: a new version, its document, and every refusal.

The rules of the documents themselves are tested in ``tests/healthimaging/test_metadata_updates.py``.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from random import Random
from typing import Any

import pytest

from healthimaging_emulator import Emulator
from tests.demo import DATASTORE, UNKNOWN
from tests.healthimaging.documents import INSTANCE, SERIES

from .conftest import FIRST, PLAIN, SECOND, SEED, THIRD, Service, refusal

RENAMED = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "TEST^TWO"}}}
CREATED = datetime(2023, 3, 28, 18, 12, 6, 436000, timezone.utc)
NOW = datetime(2024, 1, 1, tzinfo=timezone.utc)
NOT_LATEST = ("ResourceNotFoundException", "Requested version(s) of ImageSet(s) is not the latest.")
LOCKED = ("ConflictException", f"ImageSet {FIRST} is LOCKED.")


def test_the_answer_is_the_version_that_is_being_written(service: Service) -> None:
    service.emulator.clock.freeze("2024-01-01T00:00:00Z")
    assert service.update(RENAMED) == {
        "datastoreId": DATASTORE,
        "imageSetId": FIRST,
        "latestVersionId": "2",
        "imageSetState": "LOCKED",
        "imageSetWorkflowStatus": "UPDATING",
        "createdAt": CREATED,
        "updatedAt": NOW,
    }


@pytest.mark.newest_boto3
def test_the_rows_while_it_goes_on_and_after_it(service: Service) -> None:
    service.emulator.clock.freeze("2024-01-01T00:00:00Z")
    service.update(RENAMED)
    meanwhile, first = service.rows()
    assert (meanwhile["versionId"], meanwhile["imageSetState"], meanwhile["ImageSetWorkflowStatus"]) == (
        "2",
        "LOCKED",
        "UPDATING",
    )
    service.emulator.clock.advance(5)
    service.finish()
    after, same = service.rows()
    assert (after["imageSetState"], after["ImageSetWorkflowStatus"]) == ("ACTIVE", "UPDATED")
    assert after["updatedAt"] == datetime(2024, 1, 1, 0, 0, 5, tzinfo=timezone.utc)
    assert (after["createdAt"], after["isPrimary"], "overrides" in after) == (CREATED, True, False)
    assert first == same


def test_force_is_noted_on_the_row_that_it_made(service: Service) -> None:
    service.update({"Study": {"DICOM": {"StudyID": "S-2"}}}, force=True)
    service.finish()
    assert [row.get("overrides") for row in service.rows()] == [{"forced": True}, None]


def test_updates_and_removals_make_a_new_document(service: Service) -> None:
    service.update(RENAMED, {"Study": {"DICOM": {"StudyDescription": "first"}}})
    service.finish()
    found = service.metadata()
    assert found["Patient"]["DICOM"]["PatientName"] == "TEST^TWO"
    assert "StudyDescription" not in found["Study"]["DICOM"]


def test_a_revert_makes_a_new_version_with_the_old_document(service: Service) -> None:
    service.update(RENAMED)
    service.finish()
    assert service.revert("1", latest="2")["latestVersionId"] == "3"
    service.finish()
    assert service.metadata() == service.metadata(versionId="1")
    assert service.state() == ("3", "ACTIVE", "UPDATED")


def test_a_revert_to_the_latest_version_is_allowed(service: Service) -> None:
    service.revert("1", latest="1")
    service.finish()
    assert service.state() == ("2", "ACTIVE", "UPDATED")


def test_a_failed_update_is_a_version_of_its_own_with_the_document_before(service: Service) -> None:
    before = service.metadata()
    service.update({"Study": {"Series": {"1.2.3": {"DICOM": {"Modality": "MR"}}}}})
    service.finish()
    assert service.state() == ("2", "ACTIVE", "UPDATE_FAILED")
    assert service.get()["message"] == "INVALID_REQUEST:  Series of ImageSet doesn't exist."
    assert service.metadata() == before
    assert service.update(RENAMED, latest="2")["latestVersionId"] == "3"


def test_a_changed_uid_renames_its_key(service: Service) -> None:
    new = "1.2.840.99999.999"
    instances = {INSTANCE: {"DICOM": {"SOPInstanceUID": new}}}
    service.update({"Study": {"Series": {SERIES: {"Instances": instances}}}}, id=THIRD, force=True)
    service.finish()
    found = service.metadata(THIRD)["Study"]["Series"][SERIES]["Instances"]
    assert INSTANCE not in found
    assert found[new]["DICOM"]["SOPInstanceUID"] == new


def test_uids_of_a_primary_image_set_cannot_be_changed(service: Service) -> None:
    instances = {INSTANCE: {"DICOM": {"SOPInstanceUID": "1.2.3"}}}
    updates = {"Study": {"Series": {SERIES: {"Instances": instances}}}}
    expected = ("ValidationException", "The study, series and instance UIDs of a primary ImageSet cannot be changed.")
    assert refusal(service.update, updates, force=True) == expected
    assert service.state() == ("1", "ACTIVE", "CREATED")


def test_the_other_primary_image_sets_of_the_study_get_its_patient_and_study_parts(service: Service) -> None:
    updates = RENAMED | {"Study": {"Series": {SERIES: {"DICOM": {"Modality": "MR"}}}}}
    service.update(updates, includeStudyImageSets=True)
    assert service.state(SECOND) == ("2", "LOCKED", "UPDATING_FOR_STUDY_CONSISTENCY")
    assert service.state(THIRD) == ("1", "ACTIVE", "CREATED")
    service.finish()
    assert [service.state(id) for id in (FIRST, SECOND)] == [("2", "ACTIVE", "UPDATED")] * 2
    names = {id: service.metadata(id)["Patient"]["DICOM"]["PatientName"] for id in (FIRST, SECOND, THIRD)}
    assert names == {FIRST: "TEST^TWO", SECOND: "TEST^TWO", THIRD: "TEST^ONE"}
    modalities = {id: service.metadata(id)["Study"]["Series"][SERIES]["DICOM"]["Modality"] for id in (FIRST, SECOND)}
    assert modalities == {FIRST: "MR", SECOND: "CT"}


def test_a_locked_sister_refuses_the_whole_update(service: Service) -> None:
    service.update(RENAMED, id=SECOND)
    expected = ("ConflictException", f"ImageSet {SECOND} is LOCKED.")
    assert refusal(service.update, RENAMED, includeStudyImageSets=True) == expected
    assert service.state() == ("1", "ACTIVE", "CREATED")


def test_image_sets_without_a_document_have_no_sisters(service: Service) -> None:
    service.update(RENAMED, id=PLAIN, includeStudyImageSets=True)
    assert service.state(SECOND) == ("1", "ACTIVE", "CREATED")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda service: service.revert("1", latest="1", includeStudyImageSets=True),
            ("ValidationException", "includeStudyImageSets cannot be combined with revertToVersionId."),
        ),
        (
            lambda service: service.revert("7", latest="1"),
            ("ResourceNotFoundException", f"Version 7 of ImageSet {FIRST} was not found."),
        ),
        (
            lambda service: service.update(RENAMED, id=UNKNOWN),
            ("ResourceNotFoundException", f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."),
        ),
        (lambda service: service.update(RENAMED, latest="2"), NOT_LATEST),
        (lambda service: service.update(RENAMED, latest="0"), NOT_LATEST),
    ],
)
def test_a_refused_update_changes_nothing(service: Service, change: Any, expected: tuple[str, str]) -> None:
    assert refusal(change, service) == expected
    assert service.state() == ("1", "ACTIVE", "CREATED")
    assert len(service.rows()) == 1


def test_a_deleted_image_set_is_not_found(service: Service) -> None:
    handle = service.emulator.image_set(DATASTORE, FIRST)
    handle.append(image_set_state="DELETED", image_set_workflow_status="DELETED")
    expected = ("ResourceNotFoundException", f"ImageSet {FIRST} was not found in Datastore {DATASTORE}.")
    assert refusal(service.update, RENAMED, latest="2") == expected


def test_a_locked_image_set_refuses_before_the_version_is_compared(service: Service) -> None:
    service.update(RENAMED)
    for latest in ("1", "2", "9"):
        assert refusal(service.update, RENAMED, latest=latest) == LOCKED


def test_a_locked_image_set_of_the_seed_stands_until_somebody_changes_it(service: Service) -> None:
    handle = service.emulator.image_set(DATASTORE, FIRST)
    handle.replace("1", image_set_state="LOCKED", image_set_workflow_status="UPDATING")
    for _ in range(3):
        assert refusal(service.update, RENAMED) == LOCKED
    handle.replace("1", image_set_state="ACTIVE", image_set_workflow_status="UPDATED")
    assert service.update(RENAMED)["latestVersionId"] == "2"


def test_a_test_that_replaces_the_locked_version_ends_the_transition(service: Service) -> None:
    service.update(RENAMED)
    handle = service.emulator.image_set(DATASTORE, FIRST)
    handle.replace("2", image_set_state="ACTIVE", image_set_workflow_status="UPDATE_FAILED")
    service.finish()
    assert service.state() == ("2", "ACTIVE", "UPDATE_FAILED")


def test_the_limit_of_versions_is_a_quota_on_the_wire() -> None:
    service = Service(Emulator.from_seed(SEED, max_versions=1, transition_seconds=0))
    service.update(RENAMED)
    expected = (
        "ServiceQuotaExceededException",
        "The emulator's limit is exceeded: 2 versions, but max_versions is 1.",
    )
    assert refusal(service.update, RENAMED, latest="2") == expected
    assert service.state() == ("2", "ACTIVE", "UPDATED")


def test_the_limit_of_metadata_is_a_quota_on_the_wire() -> None:
    service = Service(Emulator.from_seed(SEED, max_metadata=1000, transition_seconds=0))
    random = Random(0).random
    noise = [f"{random()}" for _ in range(200)]
    updates = {"Study": {"DICOM": {"StudyDescription": "".join(noise)}}}
    code, message = refusal(service.update, updates, force=True)
    assert code == "ServiceQuotaExceededException"
    assert re.fullmatch(r"The emulator's limit is exceeded: \S+ metadata, but max_metadata is 1,000\.", message)
    assert service.state() == ("1", "ACTIVE", "CREATED")


def test_a_version_with_leading_zeros_is_not_the_latest(service: Service) -> None:
    assert refusal(service.update, RENAMED, latest="01") == NOT_LATEST


def test_accounts_do_not_see_each_others_updates(service: Service) -> None:
    service.update(RENAMED)
    other = service.emulator.client(aws_access_key_id="111111111111")
    found = other.get_image_set(datastoreId=DATASTORE, imageSetId=FIRST)
    assert (found["versionId"], found["imageSetState"]) == ("1", "ACTIVE")


def test_a_reset_drops_versions_and_transitions(service: Service) -> None:
    service.update(RENAMED)
    service.emulator.reset()
    assert service.state() == ("1", "ACTIVE", "CREATED")
    assert service.emulator.account().store.transitions == []
