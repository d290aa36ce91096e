"""boto3 without a socket is boto3 in all but the socket. How connections break is in ``test_broken_connections.py``."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.retries.bucket import TokenBucket
from freezegun import freeze_time

from healthimaging_emulator import Emulator, Fault
from tests.demo import DATASTORE, SAMPLE, UNKNOWN

from .clients import IDS, newest


@pytest.fixture
def no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)


@pytest.mark.usefixtures("no_socket")
def test_no_socket_is_opened(emulator: Emulator) -> None:
    page = emulator.client().list_image_set_versions(**IDS)
    assert [entry["versionId"] for entry in page["imageSetPropertiesList"]] == ["4", "3", "2", "1"]
    assert page["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/json"


def test_options_are_those_of_boto3(emulator: Emulator) -> None:
    client = emulator.client(
        region_name="eu-west-1", config=Config(user_agent_extra="mine", retries={"mode": "standard"})
    )
    seen = []
    client.meta.events.register_first("before-send.*", lambda request, **_: seen.append(request.headers["User-Agent"]))
    client.list_image_set_versions(**IDS)
    assert client.meta.region_name == "eu-west-1"
    assert "mine" in seen[0].decode()
    assert emulator.client(config=Config(region_name="eu-west-2")).meta.region_name == "eu-west-2"


def test_errors_are_the_exceptions_of_boto3(emulator: Emulator) -> None:
    client = emulator.client()
    with pytest.raises(client.exceptions.ResourceNotFoundException) as raised:
        client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=UNKNOWN)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert raised.value.response["Error"]["Message"] == f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."


@pytest.mark.newest_boto3
def test_a_body_reaches_the_emulator(emulator: Emulator) -> None:
    client = emulator.client()
    client.update_image_set_metadata(
        **IDS, latestVersionId="4", updateImageSetMetadataUpdates={"revertToVersionId": "1"}
    )
    assert newest(client) == "5"
    (call, _) = emulator.calls
    assert call.input == {
        "datastoreId": DATASTORE,
        "imageSetId": SAMPLE,
        "latestVersionId": "4",
        "updateImageSetMetadataUpdates": {"revertToVersionId": "1"},
    }


def test_a_blob_is_a_stream_with_its_headers(emulator: Emulator) -> None:
    answer = emulator.client().get_image_set_metadata(**IDS)
    assert (answer["contentType"], answer["contentEncoding"]) == ("application/json", "gzip")
    content = answer["imageSetMetadataBlob"].read()
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-length"] == str(len(content))


def test_a_client_does_not_depend_on_the_users_profile(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "there-is-none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    client = emulator.client()
    assert (newest(client), client.meta.region_name) == ("4", "us-east-1")


def test_a_client_works_while_time_stands_still(emulator: Emulator) -> None:
    with freeze_time("2024-01-01"):
        assert newest(emulator.client()) == "4"


# Backoff.


def pauses(emulator: Emulator) -> list[float | None]:
    return [attempt.pause for attempt in emulator.calls[-1].attempts]


def make_own_client(emulator: Emulator, *, backoff: bool, config: Config) -> Any:
    return emulator.client(backoff=backoff, config=config)


def make_patched_client(emulator: Emulator, *, backoff: bool, config: Config) -> Any:
    with emulator.patch(backoff=backoff):
        client = boto3.client("medical-imaging", config=config)

    class Patched:
        def list_image_set_versions(self, **ids: str) -> Any:
            with emulator.patch(backoff=backoff):
                return client.list_image_set_versions(**ids)

    return Patched()


@pytest.mark.parametrize("make", [make_own_client, make_patched_client])
@pytest.mark.parametrize(("mode", "attempts"), [("legacy", 5), ("standard", 3), ("adaptive", 3)])
class TestBackoff:
    @pytest.fixture(autouse=True)
    def _throttled(self, emulator: Emulator) -> None:
        emulator.clock.freeze()  # so that the time which the machine takes is not counted
        emulator.faults.add(Fault.error("ThrottlingException", retry_after=1.5))

    def test_without_backoff_nobody_sleeps_and_the_pauses_are_recorded(
        self,
        emulator: Emulator,
        monkeypatch: pytest.MonkeyPatch,
        make: Callable[..., Any],
        mode: str,
        attempts: int,
    ) -> None:
        slept: list[float] = []
        monkeypatch.setattr(time, "sleep", slept.append)
        monkeypatch.setattr(TokenBucket, "acquire", None)
        client = make(emulator, backoff=False, config=Config(retries={"mode": mode}))
        with pytest.raises(ClientError, match="ThrottlingException"):
            client.list_image_set_versions(**IDS)
        assert set(slept) == {0}
        first, *rest = pauses(emulator)
        assert (first, len(rest)) == (None, attempts - 1)
        # Each is random, and may be less than a millisecond.
        assert all(pause is not None and 0 <= pause <= 20 for pause in rest)
        assert sum(pause for pause in rest if pause) > 0

    def test_with_backoff_boto3_sleeps(
        self,
        emulator: Emulator,
        monkeypatch: pytest.MonkeyPatch,
        make: Callable[..., Any],
        mode: str,
        attempts: int,
    ) -> None:
        slept: list[float] = []
        acquired: list[Any] = []
        monkeypatch.setattr(time, "sleep", slept.append)
        monkeypatch.setattr(TokenBucket, "acquire", lambda bucket: acquired.append(bucket))  # noqa: PLW0108  # a method
        client = make(emulator, backoff=True, config=Config(retries={"mode": mode}))
        with pytest.raises(ClientError, match="ThrottlingException"):
            client.list_image_set_versions(**IDS)
        assert (len(slept), min(slept) > 0) == (attempts - 1, True)
        assert len(acquired) == (attempts - 1 if mode == "adaptive" else 0)
        assert pauses(emulator) == [None, *[0.0] * (attempts - 1)]


def test_without_backoff_the_call_after_the_last_attempt_does_not_wait_either(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenBucket, "acquire", None)
    emulator.faults.add(Fault.error("ThrottlingException", times=1))
    client = emulator.client(backoff=False, config=Config(retries={"mode": "adaptive", "total_max_attempts": 1}))
    with pytest.raises(ClientError, match="ThrottlingException"):
        newest(client)
    assert newest(client) == "4"


def test_a_pause_that_nobody_asked_for_is_not_counted(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.error("ConflictException", times=1))
    client = emulator.client(backoff=False)
    with pytest.raises(ClientError, match="ConflictException"):
        client.list_image_set_versions(**IDS)
    client.list_image_set_versions(**IDS)
    assert [[attempt.pause for attempt in call.attempts] for call in emulator.calls] == [[None], [None]]
