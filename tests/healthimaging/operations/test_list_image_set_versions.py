"""ListImageSetVersions as boto3 sees it, in process: what it returns, page by page, account by account."""

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
def test_all_pages_newest_first(emulator: Emulator, image_set_id: str, sizes: list[int]) -> None:
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


def test_a_token_of_ours_is_a_starting_token(emulator: Emulator) -> None:
    client = emulator.client()
    token = client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY, maxResults=7)["nextToken"]
    rest = numbers(pages(client, PaginationConfig={"StartingToken": token}))
    assert flat(rest) == list(range(130, 0, -1))


def test_a_token_of_another_image_set_account_or_key(emulator: Emulator) -> None:
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


def test_freezegun_moves_the_clock_of_a_token() -> None:
    client = Emulator.from_seed(DEMO, token_lifetime=60).client()
    with freeze_time("2024-01-01") as clock:
        token = client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY)["nextToken"]
        clock.tick(59.999)
        client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY, nextToken=token)
        clock.tick(0.001)
        assert error(client, nextToken=token) == ("ValidationException", "Invalid nextToken.")


def test_a_version_appended_between_two_pages(emulator: Emulator) -> None:
    client, image_set = emulator.client(), emulator.image_set(DATASTORE, MANY)
    listed: list[dict[str, Any]] = []
    for page in client.get_paginator("list_image_set_versions").paginate(datastoreId=DATASTORE, imageSetId=MANY):
        image_set.append(image_set_state="ACTIVE", image_set_workflow_status="UPDATED")
        listed.append(page)
    assert flat(numbers(listed)) == list(range(137, 0, -1))
    assert numbers(pages(client))[0][0] == 140


def test_an_unknown_image_set(emulator: Emulator) -> None:
    assert error(emulator.client(), imageSetId=UNKNOWN)[0] == "ResourceNotFoundException"
