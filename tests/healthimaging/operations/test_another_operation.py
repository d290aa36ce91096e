"""A second operation is one file and one row: here is such a file, with GetImageSet in it, cut short."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from msgspec import Struct

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator import pipeline as app
from healthimaging_emulator.aws import errors
from healthimaging_emulator.aws.pagination import Listing
from healthimaging_emulator.aws.rest_json import Operation
from healthimaging_emulator.faults import engine as faults
from healthimaging_emulator.healthimaging.operations import OPERATIONS
from healthimaging_emulator.healthimaging.shapes import (
    DatastoreId,
    ImageSetExternalVersionId,
    ImageSetId,
    ImageSetState,
)
from healthimaging_emulator.healthimaging.store import Store
from tests.demo import DATASTORE, SAMPLE

IDS = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}


class GetImageSetInput(Struct, frozen=True, kw_only=True, rename="camel"):
    datastore_id: DatastoreId
    image_set_id: ImageSetId
    version: ImageSetExternalVersionId | None = None


class GetImageSetOutput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    datastore_id: DatastoreId
    image_set_id: ImageSetId
    version_id: ImageSetExternalVersionId
    image_set_state: ImageSetState


def get_image_set(input: GetImageSetInput, store: Store, _: Listing) -> GetImageSetOutput:
    history = store.history(input.datastore_id, input.image_set_id)
    version = next(each for each in history[::-1] if input.version in (None, each.version_id))
    return GetImageSetOutput(
        datastore_id=input.datastore_id,
        image_set_id=input.image_set_id,
        version_id=version.version_id,
        image_set_state=version.image_set_state,
    )


GET_IMAGE_SET = Operation(
    name="GetImageSet",
    method="POST",
    path="/datastore/{datastoreId}/imageSet/{imageSetId}/getImageSet",
    input=GetImageSetInput,
    output=GetImageSetOutput,
    errors=(errors.ThrottlingException, errors.ValidationException, errors.ResourceNotFoundException),
    handler=get_image_set,
)


@pytest.fixture(autouse=True)
def _row(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (app, faults):
        monkeypatch.setattr(module, "OPERATIONS", (*OPERATIONS, GET_IMAGE_SET))


def test_it_is_routed_parsed_and_answered(emulator: Emulator) -> None:
    client = emulator.client()
    assert client.get_image_set(**IDS)["versionId"] == "4"
    assert client.get_image_set(**IDS, versionId="2")["versionId"] == "2"
    assert len(client.list_image_set_versions(**IDS)["imageSetPropertiesList"]) == 4


def test_it_is_validated(emulator: Emulator) -> None:
    with pytest.raises(ClientError, match=r"Value 'UPPER' at 'imageSetId' .* \[0-9a-z\]\{32\}"):
        emulator.client().get_image_set(**IDS | {"imageSetId": "UPPER"})


def test_it_is_bent_and_recorded(emulator: Emulator) -> None:
    emulator.faults.add(Fault.page("drop-token"), Fault.error("ThrottlingException", operation="GetImageSet", times=1))
    emulator.client(backoff=False).get_image_set(**IDS)
    (call,) = emulator.calls
    assert (call.operation, call.image_set_id, call.page) == ("GetImageSet", SAMPLE, None)
    assert [attempt.code for attempt in call.attempts] == ["ThrottlingException", None]
    assert emulator.faults["fault-1"].matched == 0  # it has no pages
    assert str(call).startswith(f"GetImageSet {DATASTORE}/{SAMPLE}: Success\n")
