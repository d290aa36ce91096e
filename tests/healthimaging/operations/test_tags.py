"""TagResource, UntagResource and ListTagsForResource as boto3 sees them."""

from __future__ import annotations

from typing import Any

import pytest

from healthimaging_emulator import Emulator
from tests.demo import DATASTORE, UNKNOWN

from .conftest import FIRST, Service, refusal

STORE = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}"
IMAGE_SET = f"{STORE}/imageset/{FIRST}"


def tags(service: Service, arn: str) -> dict[str, str]:
    return dict(service.client.list_tags_for_resource(resourceArn=arn)["tags"])


@pytest.mark.parametrize("arn", [STORE, IMAGE_SET])
def test_tags_are_added_replaced_and_removed(service: Service, arn: str) -> None:
    assert tags(service, arn) == {}
    service.client.tag_resource(resourceArn=arn, tags={"a": "1", "b": ""})
    service.client.tag_resource(resourceArn=arn, tags={"a": "2"})
    assert tags(service, arn) == {"a": "2", "b": ""}
    service.client.untag_resource(resourceArn=arn, tagKeys=["a", "never"])
    assert tags(service, arn) == {"b": ""}


@pytest.mark.parametrize("arn", [STORE, IMAGE_SET])
def test_the_answers_have_no_body(service: Service, arn: str) -> None:
    answer = service.client.tag_resource(resourceArn=arn, tags={"a": "1"})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    answer = service.client.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_a_data_store_and_its_image_sets_have_tags_of_their_own(service: Service) -> None:
    service.client.tag_resource(resourceArn=STORE, tags={"a": "1"})
    assert tags(service, IMAGE_SET) == {}
    service.client.tag_resource(resourceArn=IMAGE_SET, tags={"b": "2"})
    service.emulator.account().reset()
    assert (tags(service, STORE), tags(service, IMAGE_SET)) == ({}, {})


def test_tagging_makes_no_version_and_a_copy_has_no_tags(service: Service) -> None:
    service.client.tag_resource(resourceArn=IMAGE_SET, tags={"a": "1"})
    assert len(service.rows(FIRST)) == 1
    answer = service.client.copy_image_set(
        datastoreId=DATASTORE,
        sourceImageSetId=FIRST,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
    )
    assert tags(service, answer["destinationImageSetProperties"]["imageSetArn"]) == {}
    service.finish()
    assert tags(service, IMAGE_SET) == {"a": "1"}


def test_a_resource_has_at_most_50_tags(service: Service) -> None:
    service.client.tag_resource(resourceArn=STORE, tags={f"k{number}": "" for number in range(50)})
    message = "A resource can have at most 50 tags."
    call = service.client.tag_resource
    assert refusal(call, resourceArn=STORE, tags={"more": ""}) == ("ValidationException", message)
    call(resourceArn=STORE, tags={"k1": "new"})
    assert len(tags(service, STORE)) == 50


@pytest.mark.parametrize(
    "arn",
    [
        STORE.replace(DATASTORE, UNKNOWN),
        IMAGE_SET.replace(FIRST, UNKNOWN),
        IMAGE_SET.replace("000000000000", "111111111111"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda client, arn: client.list_tags_for_resource(resourceArn=arn),
        lambda client, arn: client.tag_resource(resourceArn=arn, tags={"a": "b"}),
        lambda client, arn: client.untag_resource(resourceArn=arn, tagKeys=["a"]),
    ],
)
def test_an_unknown_resource_is_not_found(service: Service, call: Any, arn: str) -> None:
    assert refusal(call, service.client, arn) == ("ResourceNotFoundException", f"Resource {arn} was not found.")


def test_a_deleted_image_set_is_not_found(service: Service) -> None:
    service.client.delete_image_set(datastoreId=DATASTORE, imageSetId=FIRST)
    service.finish()
    assert refusal(tags, service, IMAGE_SET)[0] == "ResourceNotFoundException"


def test_an_arn_with_raw_slashes_is_understood(service: Service) -> None:
    service.client.tag_resource(resourceArn=IMAGE_SET, tags={"a": "1"})
    answer = service.emulator.app.test_client().get(f"/tags/{IMAGE_SET}")
    assert answer.json == {"tags": {"a": "1"}}


def test_tags_of_a_seed() -> None:
    image_set = {"imageSetId": FIRST, "generate": {"versions": 1}, "tags": {"a": "1"}}
    emulator = Emulator.from_seed({"datastores": [{"datastoreId": DATASTORE, "imageSets": [image_set]}]})
    assert tags(Service(emulator), IMAGE_SET) == {"a": "1"}
