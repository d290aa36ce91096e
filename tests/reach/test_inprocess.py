"""The boto3 client without a socket is boto3 in all but the socket."""

from __future__ import annotations

import socket

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from emulator import Emulator
from tests.demo import DATASTORE, SAMPLE, UNKNOWN


def test_no_socket_is_opened(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)
    page = emulator.client().list_image_set_versions(datastoreId=DATASTORE, imageSetId=SAMPLE)
    assert [entry["versionId"] for entry in page["imageSetPropertiesList"]] == ["4", "3", "2", "1"]
    assert page["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/json"


def test_options_are_boto3s(emulator: Emulator) -> None:
    client = emulator.client(
        region_name="eu-west-1", config=Config(user_agent_extra="mine", retries={"mode": "standard"})
    )
    seen = []
    client.meta.events.register_first("before-send.*", lambda request, **_: seen.append(request.headers["User-Agent"]))
    client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=SAMPLE)
    assert client.meta.region_name == "eu-west-1"
    assert "mine" in seen[0].decode()


def test_errors_are_boto3s_exceptions(emulator: Emulator) -> None:
    client = emulator.client()
    with pytest.raises(client.exceptions.ResourceNotFoundException) as raised:
        client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=UNKNOWN)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_an_operation_that_is_not_emulated(emulator: Emulator) -> None:
    with pytest.raises(ClientError, match="UnknownOperationException"):
        emulator.client().list_datastores()


def test_a_body_reaches_the_emulator(emulator: Emulator) -> None:
    with pytest.raises(ClientError, match=r"POST /datastore/.*/updateImageSetMetadata"):
        emulator.client().update_image_set_metadata(
            datastoreId=DATASTORE,
            imageSetId=SAMPLE,
            latestVersionId="4",
            updateImageSetMetadataUpdates={"revertToVersionId": "1"},
        )
