"""GetImageSet as boto3 sees it: the latest version or another one, and every member of the answer."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

from healthimaging_emulator import Emulator
from tests.demo import DATASTORE, SAMPLE, UNKNOWN

from .conftest import FIRST, Service, refusal

CREATED = datetime(2023, 3, 28, 18, 12, 6, 436000, timezone.utc)
UPDATED = datetime(2023, 3, 28, 18, 50, 36, 304000, timezone.utc)


@pytest.mark.newest_boto3
def test_without_a_version_it_is_the_latest() -> None:
    service = Service(Emulator.from_seed())
    found = service.get(SAMPLE)
    assert found == {
        "datastoreId": DATASTORE,
        "imageSetId": SAMPLE,
        "versionId": "4",
        "imageSetState": "ACTIVE",
        "imageSetWorkflowStatus": "UPDATED",
        "createdAt": CREATED,
        "updatedAt": UPDATED,
        "imageSetArn": f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}/imageset/{SAMPLE}",
        "storageTier": "FREQUENT_ACCESS",
    }


def test_a_version_is_that_row() -> None:
    found = Service(Emulator.from_seed()).get(SAMPLE, versionId="2")
    assert (found["versionId"], found["imageSetWorkflowStatus"]) == ("2", "COPY_FAILED")
    assert found["message"] == "INVALID_REQUEST:  Series of SourceImageSet and DestinationImageSet don't match."


def test_version_1_has_its_creation_as_updated_at_here_but_not_in_the_list() -> None:
    service = Service(Emulator.from_seed())
    assert service.get(SAMPLE, versionId="1")["updatedAt"] == CREATED
    assert "updatedAt" not in service.rows(SAMPLE)[-1]


def test_the_arn_names_the_account_and_the_region_of_the_caller() -> None:
    client = Emulator.from_seed().client(aws_access_key_id="111111111111", region_name="eu-west-1")
    arn = client.get_image_set(datastoreId=DATASTORE, imageSetId=SAMPLE)["imageSetArn"]
    assert arn == f"arn:aws:medical-imaging:eu-west-1:111111111111:datastore/{DATASTORE}/imageset/{SAMPLE}"


@pytest.mark.newest_boto3
def test_last_accessed_at_is_set_when_the_metadata_is_read(service: Service) -> None:
    service.emulator.clock.freeze("2024-01-01T00:00:00Z")
    assert "lastAccessedAt" not in service.get()
    service.metadata()
    assert service.get()["lastAccessedAt"] == datetime(2024, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"imageSetId": UNKNOWN}, f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."),
        ({"datastoreId": UNKNOWN}, f"Datastore {UNKNOWN} was not found."),
        ({"versionId": "2"}, f"Version 2 of ImageSet {FIRST} was not found."),
        ({"versionId": "01"}, f"Version 01 of ImageSet {FIRST} was not found."),
    ],
)
def test_an_unknown_resource_is_not_found(service: Service, arguments: dict[str, str], message: str) -> None:
    ids = {"datastoreId": DATASTORE, "imageSetId": FIRST}
    assert refusal(service.client.get_image_set, **ids | arguments) == ("ResourceNotFoundException", message)


def test_unset_members_are_null_and_keys_are_sorted() -> None:
    response = Emulator.from_seed().app.test_client().post(f"/datastore/{DATASTORE}/imageSet/{SAMPLE}/getImageSet")
    document = json.loads(response.data)
    assert list(document) == sorted(document)
    assert [name for name, value in document.items() if value is None] == [
        "deletedAt",
        "isPrimary",
        "lastAccessedAt",
        "message",
        "overrides",
    ]


def test_a_setting_leaves_unset_members_out() -> None:
    client = Emulator.from_seed(omit_unset=True).app.test_client()
    document = json.loads(client.post(f"/datastore/{DATASTORE}/imageSet/{SAMPLE}/getImageSet").data)
    assert None not in document.values()
    assert "deletedAt" not in document
