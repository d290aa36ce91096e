"""An emulator with image sets that have metadata, and short ways to call the operations through boto3."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from healthimaging_emulator import Emulator
from tests.demo import DATASTORE
from tests.healthimaging.documents import document

FIRST, SECOND, THIRD, PLAIN = (letter * 32 for letter in "abcd")
CREATED_AT = 1680027126.436


def image_set(id: str, *, is_primary: bool, metadata: dict[str, Any] | None) -> dict[str, Any]:
    version = {
        "versionId": "1",
        "imageSetState": "ACTIVE",
        "ImageSetWorkflowStatus": "CREATED",
        "createdAt": CREATED_AT,
        "isPrimary": is_primary,
    }
    return {"imageSetId": id, "versions": [version]} | ({"metadata": metadata} if metadata else {})


SEED = {
    "datastores": [
        {
            "datastoreId": DATASTORE,
            "imageSets": [
                image_set(FIRST, is_primary=True, metadata=document()),
                image_set(SECOND, is_primary=True, metadata=document()),
                image_set(THIRD, is_primary=False, metadata=document()),
                image_set(PLAIN, is_primary=False, metadata=None),
            ],
        }
    ]
}
"""Two primary image sets of one study, one that is not primary, and one without a document."""


class Service:
    """The operations of one emulator, called through boto3."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.client = emulator.client()

    def get(self, image_set_id: str = FIRST, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.get_image_set(datastoreId=DATASTORE, imageSetId=image_set_id, **arguments)
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    def state(self, image_set_id: str = FIRST) -> tuple[str, str, str]:
        found = self.get(image_set_id)
        return found["versionId"], found["imageSetState"], found["imageSetWorkflowStatus"]

    def rows(self, image_set_id: str = FIRST) -> list[dict[str, Any]]:
        answer = self.client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=image_set_id)
        return list(answer["imageSetPropertiesList"])

    def metadata(self, image_set_id: str = FIRST, **arguments: Any) -> dict[str, Any]:
        answer = self.client.get_image_set_metadata(datastoreId=DATASTORE, imageSetId=image_set_id, **arguments)
        return dict(json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read())))

    def update(
        self,
        updatable: Any = None,
        removable: Any = None,
        *,
        id: str = FIRST,
        latest: str = "1",
        **arguments: Any,
    ) -> dict[str, Any]:
        documents = {"updatableAttributes": updatable, "removableAttributes": removable}
        updates = {name: json.dumps(value).encode() for name, value in documents.items() if value is not None}
        return self.change({"DICOMUpdates": updates}, id=id, latest=latest, **arguments)

    def revert(self, version_id: str, *, id: str = FIRST, latest: str, **arguments: Any) -> dict[str, Any]:
        return self.change({"revertToVersionId": version_id}, id=id, latest=latest, **arguments)

    def change(self, updates: dict[str, Any], *, id: str, latest: str, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.update_image_set_metadata(
            datastoreId=DATASTORE,
            imageSetId=id,
            latestVersionId=latest,
            updateImageSetMetadataUpdates=updates,
            **arguments,
        )
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    def finish(self) -> None:
        self.emulator.account().finish_transitions()


@pytest.fixture
def service() -> Service:
    """Return an emulator on which a write goes on until it is finished by hand."""
    return Service(Emulator.from_seed(SEED, transition_reads=None, transition_seconds=None))


def refusal(call: Any, *arguments: Any, **options: Any) -> tuple[str, str]:
    """Return code and message of the error that a call raises."""
    with pytest.raises(ClientError) as raised:
        call(*arguments, **options)
    return raised.value.response["Error"]["Code"], raised.value.response["Error"]["Message"]
