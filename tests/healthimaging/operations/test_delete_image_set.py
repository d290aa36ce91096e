"""DeleteImageSet as boto3 sees it: DELETING, then DELETED, and not found by everything but the version history."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from healthimaging_emulator import Fault, NotFoundError
from tests.demo import DATASTORE, UNKNOWN

from .conftest import FIRST, Service, refusal

NOT_FOUND = ("ResourceNotFoundException", f"ImageSet {FIRST} was not found in Datastore {DATASTORE}.")
LOCKED = ("ConflictException", f"ImageSet {FIRST} is LOCKED.")
IDS = {"datastoreId": DATASTORE, "imageSetId": FIRST}
RENAMED = {"Patient": {"DICOM": {"PatientName": "TEST^TWO"}}}


def delete(service: Service, **ids: str) -> dict[str, Any]:
    answer = service.client.delete_image_set(**IDS | ids)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_the_answer_is_locked_and_deleting_and_nothing_else(service: Service) -> None:
    assert delete(service) == IDS | {"imageSetState": "LOCKED", "imageSetWorkflowStatus": "DELETING"}


def test_the_latest_row_is_deleting_and_then_deleted_without_a_new_one(service: Service) -> None:
    service.emulator.clock.freeze("2024-01-01T00:00:00Z")
    service.update(RENAMED)
    service.finish()
    delete(service)
    assert service.state() == ("2", "LOCKED", "DELETING")
    service.emulator.clock.advance(5)
    service.finish()
    newest, first = service.rows()
    at = datetime(2024, 1, 1, 0, 0, 5, tzinfo=timezone.utc)
    assert (newest["versionId"], newest["imageSetState"], newest["deletedAt"]) == ("2", "DELETED", at)
    assert (first["imageSetState"], "deletedAt" in first) == ("ACTIVE", False)
    assert service.state() == ("2", "DELETED", "DELETED")


def test_all_other_operations_do_not_find_it_afterwards(service: Service) -> None:
    delete(service)
    service.finish()
    assert refusal(service.metadata) == NOT_FOUND
    assert refusal(service.update, RENAMED) == NOT_FOUND
    assert refusal(delete, service) == NOT_FOUND


def test_a_deleted_image_set_keeps_no_document_that_the_account_has_made(service: Service) -> None:
    service.update(RENAMED)
    service.finish()
    handle = service.emulator.image_set(DATASTORE, FIRST)
    delete(service)
    assert handle.metadata("2")["Patient"]["DICOM"]["PatientName"] == "TEST^TWO"
    service.finish()
    newest, first = handle.versions
    assert newest.metadata is None
    assert first.metadata is not None  # the seed's, which other accounts still show
    with pytest.raises(NotFoundError, match=f"image set {FIRST} is deleted: it has no metadata"):
        handle.metadata("1")
    other = service.emulator.account("111111111111").image_set(DATASTORE, FIRST)
    assert other.metadata()["ImageSetID"] == FIRST


def test_while_it_is_deleted_it_is_locked_and_still_readable(service: Service) -> None:
    delete(service)
    assert refusal(delete, service) == LOCKED
    assert refusal(service.update, RENAMED) == LOCKED
    assert service.metadata()["ImageSetID"] == FIRST


def test_a_locked_image_set_cannot_be_deleted(service: Service) -> None:
    service.update(RENAMED)
    assert refusal(delete, service) == LOCKED
    assert service.state() == ("2", "LOCKED", "UPDATING")


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ({"imageSetId": UNKNOWN}, f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."),
        ({"datastoreId": UNKNOWN}, f"Datastore {UNKNOWN} was not found."),
    ],
)
def test_an_unknown_resource_is_not_found(service: Service, ids: dict[str, str], message: str) -> None:
    assert refusal(delete, service, **ids) == ("ResourceNotFoundException", message)


def test_a_failed_deletion_leaves_the_image_set_as_it_was(service: Service) -> None:
    service.emulator.faults.add(Fault.workflow("failed", operation="DeleteImageSet"))
    before = service.rows()
    delete(service)
    service.finish()
    assert service.rows() == before
