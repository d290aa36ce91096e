"""ListImageSetVersions as boto3 sees it in process: its entries, page by page and account by account."""

from __future__ import annotations

from datetime import datetime, timezone
from itertools import chain
from typing import Any

import pytest
from botocore.exceptions import ClientError
from freezegun import freeze_time

from healthimaging_emulator import Emulator
from tests.conftest import DEMO
from tests.demo import DATASTORE, FIFTY, FIFTY_ONE, MANY, ONE, SAMPLE, UNKNOWN


def pages(client: Any, image_set_id: str = MANY, **arguments: Any) -> list[dict[str, Any]]:
    paginator = client.get_paginator("list_image_set_versions")
    return list(paginator.paginate(datastoreId=DATASTORE, imageSetId=image_set_id, **arguments))


def numbers(pages: list[dict[str, Any]]) -> list[list[int]]:
    return [[int(entry["versionId"]) for entry in page["imageSetPropertiesList"]] for page in pages]


def flat(lists: list[list[int]]) -> list[int]:
    return list(chain.from_iterable(lists))


def error(client: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        client.list_image_set_versions(**({"datastoreId": DATASTORE, "imageSetId": MANY} | arguments))
    return raised.value.response["Error"]["Code"], raised.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("image_set_id", "sizes"), [(ONE, [1]), (FIFTY, [50]), (FIFTY_ONE, [50, 1]), (MANY, [50, 50, 37])]
)
def test_pages_are_disjoint_whole_and_newest_first(emulator: Emulator, image_set_id: str, sizes: list[int]) -> None:
    listed = numbers(pages(emulator.client(), image_set_id))
    assert [len(page) for page in listed] == sizes
    assert flat(listed) == list(range(sum(sizes), 0, -1))


def test_times_are_datetimes_and_version_1_was_never_updated(emulator: Emulator) -> None:
    (page,) = pages(emulator.client(), SAMPLE)
    newest, *_, oldest = page["imageSetPropertiesList"]
    assert newest["createdAt"] == datetime(2023, 3, 28, 18, 12, 6, 436000, timezone.utc)
    assert newest["updatedAt"] == datetime(2023, 3, 28, 18, 50, 36, 304000, timezone.utc)
    assert "updatedAt" not in oldest


def test_the_page_size_is_a_setting() -> None:
    small = Emulator.from_seed(DEMO, page_size=40)
    assert [len(page) for page in numbers(pages(small.client()))] == [40, 40, 40, 17]


def test_max_items_that_ends_inside_a_page_goes_on_where_it_ended(emulator: Emulator) -> None:
    client, token, seen = emulator.client(), None, []
    while True:
        paginator = client.get_paginator("list_image_set_versions")
        config = {"MaxItems": 30, "PageSize": 20, "StartingToken": token}
        result = paginator.paginate(datastoreId=DATASTORE, imageSetId=MANY, PaginationConfig=config).build_full_result()
        seen += [int(entry["versionId"]) for entry in result["imageSetPropertiesList"]]
        token = result.get("NextToken")
        if token is None:
            break
    assert seen == list(range(137, 0, -1))


def test_a_token_is_also_a_starting_token_of_boto3(emulator: Emulator) -> None:
    client = emulator.client()
    token = client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY, maxResults=7)["nextToken"]
    rest = numbers(pages(client, PaginationConfig={"StartingToken": token}))
    assert flat(rest) == list(range(130, 0, -1))


def test_a_token_of_another_image_set_account_key_or_lifetime_is_refused(emulator: Emulator) -> None:
    token = emulator.client().list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY)["nextToken"]
    refusal = ("ValidationException", "Invalid nextToken.")
    assert error(emulator.client(), imageSetId=FIFTY_ONE, nextToken=token) == refusal
    assert error(emulator.client(aws_access_key_id="111111111111"), nextToken=token) == refusal
    assert error(Emulator.from_seed(DEMO, token_key="x").client(), nextToken=token) == refusal
    assert error(Emulator.from_seed(DEMO, token_lifetime=5).client(), nextToken=token) == refusal


def test_a_token_survives_a_restart(emulator: Emulator) -> None:
    token = emulator.client().list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY)["nextToken"]
    again = Emulator.from_seed(DEMO).client()
    page = again.list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY, nextToken=token)
    assert page["imageSetPropertiesList"][0]["versionId"] == "87"


def test_freezegun_moves_the_clock_that_a_token_expires_by() -> None:
    client = Emulator.from_seed(DEMO, token_lifetime=60).client()
    with freeze_time("2024-01-01") as clock:
        token = client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY)["nextToken"]
        clock.tick(59.999)
        client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY, nextToken=token)
        clock.tick(0.001)
        assert error(client, nextToken=token) == ("ValidationException", "Invalid nextToken.")


def test_a_version_appended_between_two_pages_neither_repeats_nor_skips_one(emulator: Emulator) -> None:
    client, image_set = emulator.client(), emulator.image_set(DATASTORE, MANY)
    listed: list[dict[str, Any]] = []
    for page in client.get_paginator("list_image_set_versions").paginate(datastoreId=DATASTORE, imageSetId=MANY):
        image_set.append(image_set_state="ACTIVE", image_set_workflow_status="UPDATED")
        listed.append(page)
    assert flat(numbers(listed)) == list(range(137, 0, -1))
    assert numbers(pages(client))[0][0] == 140


def test_an_unknown_image_set_is_not_found(emulator: Emulator) -> None:
    message = f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."
    assert error(emulator.client(), imageSetId=UNKNOWN) == ("ResourceNotFoundException", message)


def test_the_page_size_may_change_between_pages(emulator: Emulator) -> None:
    client, token, seen = emulator.client(), None, []
    for size in (7, 50, 1, 50, 29):
        options: dict[str, Any] = {"nextToken": token} if token else {}
        page = client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY, maxResults=size, **options)
        seen.append([int(entry["versionId"]) for entry in page["imageSetPropertiesList"]])
        token = page.get("nextToken")
    assert [len(each) for each in seen] == [7, 50, 1, 50, 29]
    assert flat(seen) == list(range(137, 0, -1))
    assert token is None


@pytest.mark.parametrize(("versions", "sizes"), [(1, [1]), (49, [49]), (50, [50]), (51, [50, 1]), (100, [50, 50])])
def test_the_last_page_has_no_token(versions: int, sizes: list[int]) -> None:
    image_set = {"imageSetId": UNKNOWN, "generate": {"versions": versions}}
    emulator = Emulator.from_seed({"datastores": [{"datastoreId": DATASTORE, "imageSets": [image_set]}]})
    listed = pages(emulator.client(), UNKNOWN)
    assert [len(page["imageSetPropertiesList"]) for page in listed] == sizes
    assert ["nextToken" in page for page in listed] == [True] * (len(sizes) - 1) + [False]


def test_missing_numbers_are_no_pages_of_their_own() -> None:
    numbers_with_gaps = [1, 2, 5, 9, 40, 41, 42, 100]
    versions = [{"versionId": str(number), "imageSetState": "ACTIVE"} for number in numbers_with_gaps]
    datastore = {"datastoreId": DATASTORE, "imageSets": [{"imageSetId": UNKNOWN, "versions": versions}]}
    client = Emulator.from_seed({"datastores": [datastore]}).client()
    listed = numbers(pages(client, UNKNOWN, PaginationConfig={"PageSize": 3}))
    assert listed == [[100, 42, 41], [40, 9, 5], [2, 1]]


def test_a_version_that_is_replaced_between_two_pages_is_listed_as_it_is_then(emulator: Emulator) -> None:
    client, image_set = emulator.client(), emulator.image_set(DATASTORE, FIFTY_ONE)
    first = client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=FIFTY_ONE)
    image_set.replace("1", image_set_state="DELETED")
    last = client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=FIFTY_ONE, nextToken=first["nextToken"])
    assert [(entry["versionId"], entry["imageSetState"]) for entry in last["imageSetPropertiesList"]] == [
        ("1", "DELETED")
    ]


def test_version_1_never_shows_when_it_was_updated(emulator: Emulator) -> None:
    emulator.image_set(DATASTORE, SAMPLE).replace("1", image_set_state="ACTIVE", updated_at=5.0)
    (page,) = pages(emulator.client(), SAMPLE)
    assert "updatedAt" not in page["imageSetPropertiesList"][-1]
