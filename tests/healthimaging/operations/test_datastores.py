"""CreateDatastore, GetDatastore, ListDatastores and DeleteDatastore as boto3 sees them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import pytest

from healthimaging_emulator import Emulator, Fault
from tests.demo import DATASTORE, UNKNOWN

from .conftest import FIRST, SEED, Service, refusal

NOW = datetime(2024, 1, 1, tzinfo=timezone.utc)
KEY = "arn:aws:kms:us-east-1:111122223333:key/12345678-1234-1234-1234-123456789012"
LAMBDA = "arn:aws:lambda:us-east-1:111122223333:function:authorize"
EMPTY = "e" * 32


@pytest.fixture
def service() -> Service:
    """Return an emulator with an empty data store besides the usual one, on which a write goes on until it is ended."""
    seed = {"datastores": [*SEED["datastores"], {"datastoreId": EMPTY, "createdAt": 1600000000.0}]}
    emulator = Emulator.from_seed(seed, transition_reads=None, transition_seconds=None)
    emulator.clock.freeze("2024-01-01T00:00:00Z")
    return Service(emulator)


def create(service: Service, **members: Any) -> dict[str, Any]:
    answer = service.client.create_datastore(**members)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def get(service: Service, datastore_id: str) -> dict[str, Any]:
    return dict(service.client.get_datastore(datastoreId=datastore_id)["datastoreProperties"])


def delete(service: Service, datastore_id: str) -> dict[str, Any]:
    answer = service.client.delete_datastore(datastoreId=datastore_id)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def listed(service: Service, **options: Any) -> list[tuple[str, str]]:
    found = service.client.list_datastores(**options)["datastoreSummaries"]
    return [(each["datastoreId"], each["datastoreStatus"]) for each in found]


def status(service: Service, datastore_id: str) -> str:
    return str(get(service, datastore_id)["datastoreStatus"])


# Creating.


def test_a_new_data_store_is_creating_and_then_active(service: Service) -> None:
    answer = create(service, datastoreName="mine", tags={"a": "b"}, kmsKeyArn=KEY, lambdaAuthorizerArn=LAMBDA)
    id = answer["datastoreId"]
    assert (len(id), answer) == (32, {"datastoreId": id, "datastoreStatus": "CREATING"})
    expected = {
        "datastoreId": id,
        "datastoreName": "mine",
        "datastoreStatus": "CREATING",
        "kmsKeyArn": KEY,
        "lambdaAuthorizerArn": LAMBDA,
        "losslessStorageFormat": "HTJ2K",
        "datastoreArn": f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{id}",
        "createdAt": NOW,
        "updatedAt": NOW,
    }
    assert get(service, id) == expected
    service.emulator.clock.advance(5)
    service.finish()
    later = datetime(2024, 1, 1, 0, 0, 5, tzinfo=timezone.utc)
    assert get(service, id) == expected | {"datastoreStatus": "ACTIVE", "updatedAt": later}


def test_names_need_not_be_unique_and_none_is_needed(service: Service) -> None:
    ids = {create(service, datastoreName=name)["datastoreId"] for name in ("a", "a")}
    unnamed = create(service, losslessStorageFormat="JPEG_2000_LOSSLESS")["datastoreId"]
    assert (len(ids), "datastoreName" in get(service, unnamed)) == (2, False)
    assert get(service, unnamed)["losslessStorageFormat"] == "JPEG_2000_LOSSLESS"


def test_the_same_token_and_input_get_the_first_answer_and_make_nothing(service: Service) -> None:
    first = create(service, clientToken="t", datastoreName="a")
    service.finish()
    assert create(service, clientToken="t", datastoreName="a") == first
    assert len(listed(service)) == 3
    message = "The clientToken was used for another request."
    assert refusal(create, service, clientToken="t", datastoreName="b") == ("ConflictException", message)


def test_a_retry_after_a_lost_answer_meets_its_own_data_store(service: Service) -> None:
    service.emulator.faults.add(Fault.error("InternalServerException", when="after", times=1))
    client = service.emulator.client(backoff=False)
    answer = client.create_datastore(datastoreName="a")
    assert [attempt.status for attempt in service.emulator.calls[-1].attempts] == [500, 200]
    assert [id for id, _ in listed(service)] == [answer["datastoreId"], EMPTY, DATASTORE]


def test_a_creation_can_fail(service: Service) -> None:
    service.emulator.faults.add(Fault.workflow("failed", operation="CreateDatastore"))
    id = create(service)["datastoreId"]
    service.finish()
    assert status(service, id) == "CREATE_FAILED"
    delete(service, id)
    service.finish()
    assert status(service, id) == "DELETED"


def test_ids_differ_although_a_test_replaces_uuid4(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uuid.uuid4", lambda: UUID(int=5))
    assert len({create(service, clientToken=token)["datastoreId"] for token in "ab"}) == 2


def test_by_default_one_read_sees_it_creating() -> None:
    ours = Service(Emulator.from_seed(SEED))
    ours.emulator.clock.freeze()
    id = create(ours)["datastoreId"]
    assert [status(ours, id) for _ in range(3)] == ["CREATING", "ACTIVE", "ACTIVE"]
    id = create(ours)["datastoreId"]
    assert [dict(listed(ours))[id] for _ in range(2)] == ["CREATING", "ACTIVE"]


@pytest.mark.parametrize(
    "call",
    [
        lambda client, id: client.search_image_sets(datastoreId=id),
        lambda client, id: client.get_image_set(datastoreId=id, imageSetId=FIRST),
        lambda client, id: client.list_image_set_versions(datastoreId=id, imageSetId=FIRST),
        lambda client, id: client.get_image_set_metadata(datastoreId=id, imageSetId=FIRST),
        lambda client, id: client.delete_image_set(datastoreId=id, imageSetId=FIRST),
        lambda client, id: client.delete_datastore(datastoreId=id),
    ],
)
@pytest.mark.parametrize("state", ["CREATING", "DELETING"])
def test_while_it_is_not_active_its_operations_are_refused(service: Service, state: str, call: Any) -> None:
    id = create(service)["datastoreId"]
    if state == "DELETING":
        service.finish()
        delete(service, id)
    assert status(service, id) == state
    assert refusal(call, service.client, id) == ("ConflictException", f"Datastore {id} is not ACTIVE.")


def test_a_refusal_because_of_it_counts_as_seen() -> None:
    ours = Service(Emulator.from_seed(SEED, transition_seconds=None))
    id = create(ours)["datastoreId"]
    assert refusal(ours.client.search_image_sets, datastoreId=id)[0] == "ConflictException"
    assert ours.client.search_image_sets(datastoreId=id)["imageSetsMetadataSummaries"] == []


def test_more_tags_than_a_resource_can_have_are_refused(service: Service) -> None:
    many = {f"k{number}": "" for number in range(51)}
    assert refusal(create, service, tags=many) == ("ValidationException", "A resource can have at most 50 tags.")


def test_data_stores_are_limited() -> None:
    ours = Service(Emulator.from_seed(SEED, max_versions=1))
    create(ours)
    message = "The emulator's limit is exceeded: 2 versions, but max_versions is 1."
    assert refusal(create, ours) == ("ServiceQuotaExceededException", message)


# Deleting.


def test_an_empty_data_store_is_deleting_and_then_deleted(service: Service) -> None:
    assert delete(service, EMPTY) == {"datastoreId": EMPTY, "datastoreStatus": "DELETING"}
    assert status(service, EMPTY) == "DELETING"
    service.finish()
    assert (status(service, EMPTY), get(service, EMPTY)["updatedAt"]) == ("DELETED", NOW)
    assert listed(service) == [(EMPTY, "DELETED"), (DATASTORE, "ACTIVE")]
    gone = ("ResourceNotFoundException", f"Datastore {EMPTY} was not found.")
    assert refusal(delete, service, EMPTY) == gone
    assert refusal(service.client.search_image_sets, datastoreId=EMPTY) == gone


def test_one_that_is_not_empty_is_refused_until_its_image_sets_are_deleted(service: Service) -> None:
    conflict = ("ConflictException", f"Datastore {DATASTORE} is not empty.")
    assert refusal(delete, service, DATASTORE) == conflict
    for image_set in service.emulator.datastore(DATASTORE).image_sets:
        service.client.delete_image_set(datastoreId=DATASTORE, imageSetId=image_set.image_set_id)
    assert refusal(delete, service, DATASTORE) == conflict  # they are still DELETING
    service.finish()
    assert delete(service, DATASTORE)["datastoreStatus"] == "DELETING"


def test_a_deletion_can_fail(service: Service) -> None:
    service.emulator.faults.add(Fault.workflow("failed", operation="DeleteDatastore"))
    delete(service, EMPTY)
    service.finish()
    assert status(service, EMPTY) == "ACTIVE"


@pytest.mark.parametrize("call", [get, delete])
def test_an_unknown_data_store_is_not_found(service: Service, call: Any) -> None:
    message = f"Datastore {UNKNOWN} was not found."
    assert refusal(call, service, UNKNOWN) == ("ResourceNotFoundException", message)


# Listing.


def test_the_newest_comes_first_and_a_status_filters(service: Service) -> None:
    first = create(service)["datastoreId"]
    service.emulator.clock.advance(1)
    second = create(service)["datastoreId"]
    assert [id for id, _ in listed(service)] == [second, first, EMPTY, DATASTORE]
    assert listed(service, datastoreStatus="ACTIVE") == [(EMPTY, "ACTIVE"), (DATASTORE, "ACTIVE")]
    assert listed(service, datastoreStatus="DELETED") == []


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_every_data_store_is_on_one_page(service: Service, size: int) -> None:
    for seconds in range(3):
        service.emulator.clock.advance(seconds)
        create(service)
    pages = service.client.get_paginator("list_datastores").paginate(PaginationConfig={"PageSize": size})
    ids = [[each["datastoreId"] for each in page["datastoreSummaries"]] for page in pages]
    assert sorted(id for page in ids for id in page) == sorted(id for id, _ in listed(service))
    assert list(map(len, ids)) == [size] * (5 // size) + ([5 % size] if 5 % size else [])


def test_a_token_of_another_list_is_refused(service: Service) -> None:
    token = service.client.list_datastores(maxResults=1)["nextToken"]
    answer = refusal(service.client.list_datastores, datastoreStatus="ACTIVE", nextToken=token)
    assert answer == ("ValidationException", "Invalid nextToken.")


# The seed.


@pytest.mark.newest_boto3
def test_a_seed_describes_a_data_store_and_an_export_keeps_it() -> None:
    described = {
        "datastoreId": EMPTY,
        "datastoreName": "mine",
        "datastoreStatus": "CREATE_FAILED",
        "createdAt": 1600000000.0,
        "updatedAt": 1600000001.0,
        "kmsKeyArn": KEY,
        "lambdaAuthorizerArn": LAMBDA,
        "losslessStorageFormat": "JPEG_2000_LOSSLESS",
        "tags": {"a": "b"},
    }
    emulator = Emulator.from_seed({"datastores": [described]})
    again = Emulator.from_seed(json.loads(emulator.account().export_seed()))
    for each in (emulator, again):
        found = get(Service(each), EMPTY)
        assert {name: found[name] for name in described if name in found and not name.endswith("At")} == {
            name: value for name, value in described.items() if name != "tags" and not name.endswith("At")
        }
        arn = found["datastoreArn"]
        assert each.client().list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "b"}


def test_the_journal_names_the_data_store_whose_transition_a_request_saw(service: Service) -> None:
    id = create(service)["datastoreId"]
    get(service, id)
    assert service.emulator.calls[-1].attempts[-1].met == [f"CreateDatastore of {id}"]
