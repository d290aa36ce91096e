"""The Python client of the control API."""

from __future__ import annotations

import json
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import pytest
from freezegun import freeze_time

from healthimaging_emulator import (
    Emulator,
    EmulatorError,
    Fault,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    RemoteAccount,
    UnreachableError,
)
from healthimaging_emulator.seeds.loader import load_seed
from healthimaging_emulator.server.listener import Server
from tests.conftest import DEMO
from tests.demo import DATASTORE, ONE, SAMPLE, UNKNOWN
from tests.raw import HANG_SECONDS

ACCOUNT = "111111111111"


@pytest.fixture
def remote(server: Server) -> RemoteAccount:
    return RemoteAccount(server.url, ACCOUNT)


def client(emulator: Emulator) -> Any:
    return emulator.client(aws_access_key_id=ACCOUNT, backoff=False)


def listed(emulator: Emulator, image_set_id: str = SAMPLE) -> list[dict[str, Any]]:
    page = client(emulator).list_image_set_versions(datastoreId=DATASTORE, imageSetId=image_set_id)
    return list(page["imageSetPropertiesList"])


def test_faults_are_added_counted_and_removed(emulator: Emulator, remote: RemoteAccount) -> None:
    (added,) = remote.faults.add(Fault.error("ThrottlingException", times=1))
    assert listed(emulator)
    assert (remote.faults[str(added.id)].fired, len(remote.faults), len(emulator.faults)) == (1, 1, 0)
    remote.faults.remove(str(added.id))
    remote.faults.add(Fault.latency(0), {"latency": {"seconds": 0}})
    assert [fault.fired for fault in remote.faults] == [0, 0]
    remote.faults.clear()
    assert list(remote.faults) == []


def test_calls_are_those_of_the_account(emulator: Emulator, remote: RemoteAccount) -> None:
    listed(emulator)
    assert list(remote.calls) == list(emulator.account(ACCOUNT).calls)
    assert (str(remote.calls), remote.calls.dropped) == (str(emulator.account(ACCOUNT).calls), 0)
    assert len(remote.calls.filter(image_set_id=SAMPLE)) == 1
    assert remote.calls[-1].outcome == "Success"


def test_the_clock_is_that_of_the_account(emulator: Emulator, remote: RemoteAccount) -> None:
    clock = emulator.account(ACCOUNT).clock
    remote.clock.freeze(datetime(2024, 1, 1, tzinfo=timezone.utc))
    remote.clock.advance(1.5)
    assert (remote.clock.now(), clock.now(), remote.clock.is_frozen) == (1704067201.5, 1704067201.5, True)
    remote.clock.freeze("2024-01-02T00:00:00Z")
    remote.clock.freeze(5)
    remote.clock.freeze()
    assert clock.now() == 5
    remote.clock.run()
    assert not remote.clock.is_frozen


def test_image_sets_are_changed_now_and_later(emulator: Emulator, remote: RemoteAccount) -> None:
    remote.clock.freeze()
    image_set = remote.image_set(DATASTORE, SAMPLE)
    image_set.append(image_set_state="LOCKED", image_set_workflow_status="UPDATING")
    image_set.replace("5", after=30, image_set_state="ACTIVE", image_set_workflow_status="UPDATED")
    assert listed(emulator)[0]["ImageSetWorkflowStatus"] == "UPDATING"
    assert image_set.versions == emulator.image_set(DATASTORE, SAMPLE, account=ACCOUNT).versions
    remote.clock.advance(30)
    assert listed(emulator)[0]["ImageSetWorkflowStatus"] == "UPDATED"


def test_an_image_set_is_added(emulator: Emulator, remote: RemoteAccount) -> None:
    remote.clock.freeze(1704067200)
    remote.add_image_set(DATASTORE, UNKNOWN).append(image_set_state="ACTIVE")
    later, first = listed(emulator, UNKNOWN)
    assert (first["ImageSetWorkflowStatus"], first["createdAt"].timestamp()) == ("CREATED", 1704067200)
    assert later["versionId"] == "2"


def test_a_seed_is_put_exported_and_reset(emulator: Emulator, remote: RemoteAccount) -> None:
    one = {"datastoreId": DATASTORE, "imageSets": [{"imageSetId": ONE, "generate": {"versions": 3}}]}
    remote.put_seed({"datastores": [one]})
    remote.image_set(DATASTORE, ONE).append(image_set_state="LOCKED")
    remote.faults.add(Fault.latency(0))
    assert load_seed(json.loads(remote.export_seed())).faults
    remote.reset("faults")
    assert (len(listed(emulator, ONE)), len(remote.faults)) == (4, 0)
    remote.reset()
    assert len(listed(emulator, ONE)) == 3
    remote.forget()
    assert len(listed(emulator, ONE)) == 1


def test_transitions_are_finished(emulator: Emulator, remote: RemoteAccount) -> None:
    document = json.dumps({"SchemaVersion": "1.1", "Patient": {"DICOM": {"PatientName": "A^B"}}})
    client(emulator).update_image_set_metadata(
        datastoreId=DATASTORE,
        imageSetId=SAMPLE,
        latestVersionId="4",
        updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": document}},
    )
    assert remote.image_set(DATASTORE, SAMPLE).versions[0].image_set_workflow_status == "UPDATING"
    remote.finish_transitions()
    assert remote.image_set(DATASTORE, SAMPLE).versions[0].image_set_workflow_status == "UPDATED"


def test_metadata_is_sent_and_versions_come_without_it(emulator: Emulator, remote: RemoteAccount) -> None:
    added = remote.add_image_set(DATASTORE, UNKNOWN, metadata={"Study": {"DICOM": {"StudyID": "1"}}})
    added.append(image_set_state="ACTIVE", metadata={"Study": {"DICOM": {"StudyID": "2"}}})
    held = emulator.image_set(DATASTORE, UNKNOWN, account=ACCOUNT).versions
    studies = [version.metadata.parse()["Study"]["DICOM"]["StudyID"] for version in held if version.metadata]
    assert studies == ["2", "1"]
    assert [version.metadata for version in added.versions] == [None, None]


def test_a_refusal_has_its_path(remote: RemoteAccount) -> None:
    with pytest.raises(InvalidError) as raised:
        remote.faults.add(Fault.latency(0), Fault.latency(-1))
    assert (raised.value.message, raised.value.path) == ("Expected `float` >= 0.0", "$[1].latency.seconds")
    assert str(raised.value) == "$[1].latency.seconds: Expected `float` >= 0.0"


def test_health_is_checked(remote: RemoteAccount) -> None:
    remote.check_health()
    with pytest.raises(UnreachableError) as raised:
        RemoteAccount("http://127.0.0.1:1").check_health()
    assert str(raised.value) == "cannot reach http://127.0.0.1:1: Connection refused"
    assert isinstance(raised.value, OSError)


def test_the_generation_changes_with_the_emulator(server: Server, remote: RemoteAccount) -> None:
    before = remote.generation
    assert RemoteAccount(server.url, "222222222222").generation == remote.generation == before
    server.stop()
    with Emulator.from_seed(DEMO).serve(port=server.port):
        assert remote.generation != before


def test_an_answer_without_a_generation_is_of_no_emulator() -> None:
    with answering(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n") as url, pytest.raises(UnreachableError) as raised:
        _ = RemoteAccount(url).generation
    assert str(raised.value) == f"{url} is not an emulator: it answered 503"


def test_the_control_token_is_sent() -> None:
    with Emulator.from_seed(DEMO, control_token="sésame €").serve() as server:
        assert len(RemoteAccount(server.url, control_token="sésame €").calls) == 0
        with pytest.raises(ForbiddenError) as raised:
            _ = RemoteAccount(server.url).calls
    assert str(raised.value) == "the header x-emulator-token is missing or wrong"


@pytest.mark.parametrize("id", ["", "11111111111", "\u0661" * 12, 111111111111])
def test_an_id_of_no_account_is_refused_before_anything_is_sent(id: Any) -> None:
    with pytest.raises(InvalidError) as raised:
        RemoteAccount("http://127.0.0.1:1", id)
    assert str(raised.value) == f"invalid account id {id!r}: expected 12 digits"


@pytest.mark.parametrize("url", ["", "127.0.0.1:4580", "ftp://127.0.0.1", "https://"])
def test_a_url_without_a_scheme_or_a_host_is_refused(url: str) -> None:
    with pytest.raises(InvalidError) as raised:
        RemoteAccount(url)
    assert str(raised.value) == (f"invalid url {url!r}: expected the URL of an emulator, such as http://127.0.0.1:4580")


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Serve one answer to one request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as accepted:
                accepted.recv(65536)
                accepted.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(HANG_SECONDS)


@pytest.mark.parametrize(
    ("answer", "mistake"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "is not an emulator: it answered 200"),
        (b"HTTP/1.1 404 x\r\n\r\nx", "is not an emulator: it answered 404"),
        (b'HTTP/1.1 404 x\r\n\r\n{"error": "x"}', "is not an emulator: it answered 404"),
        (b"SSH-2.0\r\n", "does not speak HTTP: BadStatusLine('SSH-2.0\\r\\n')"),
    ],
)
def test_another_server_is_no_emulator(answer: bytes, mistake: str) -> None:
    with answering(answer) as url, pytest.raises(UnreachableError) as raised:
        _ = RemoteAccount(url).calls
    assert str(raised.value) == f"{url} {mistake}"


def test_dates_of_freezegun_are_dates(server: Server) -> None:
    with freeze_time("2024-03-01"):
        account = RemoteAccount(server.url)
        account.clock.freeze(datetime.now(timezone.utc))
        account.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE", created_at=datetime.now(timezone.utc))
    assert account.image_set(DATASTORE, SAMPLE).versions[0].created_at == 1709251200
    with pytest.raises(TypeError, match="Encoding objects of type object is unsupported"):
        account.faults.add({"error": object()})


def test_a_server_that_closes_the_connection_cannot_be_reached() -> None:
    with answering(b"") as url, pytest.raises(UnreachableError) as raised:
        _ = RemoteAccount(url).calls
    assert str(raised.value) == f"cannot reach {url}: it closes connections without an answer"


@pytest.mark.parametrize(
    ("body", "mistake"),
    [
        (b"[]", "$: Expected `object`, got `array`"),
        (b"null", "$: Expected `object`, got `null`"),
        (b'{"a":1}', "$: Object contains unknown field `a`: expected one of datastores, imports, faults"),
    ],
)
def test_a_server_that_answers_other_json_is_no_emulator(body: bytes, mistake: str) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with answering(answer) as url, pytest.raises(UnreachableError) as raised:
        RemoteAccount(url).export_seed()
    assert str(raised.value) == f"{url} is not an emulator: {mistake}"


def test_a_server_that_answers_nothing_is_no_emulator() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as url, pytest.raises(UnreachableError) as raised:
        RemoteAccount(url).export_seed()
    assert str(raised.value) == f"{url} is not an emulator: $: Expected `object`, got `null`"


def test_errors_go_from_one_process_to_another(remote: RemoteAccount) -> None:
    refused: list[Callable[[], object]] = [
        lambda: remote.faults.remove("x"),
        lambda: remote.faults.add({}),
        lambda: Emulator.from_seed({}).faults.add({}),
        lambda: Emulator.from_seed("nowhere.json"),
        lambda: Emulator.from_seed({}).image_set(DATASTORE, ONE),
    ]
    for refuse in refused:
        with pytest.raises(EmulatorError) as raised:
            refuse()
        copied = pickle.loads(pickle.dumps(raised.value))
        assert (type(copied), str(copied), vars(copied)) == (type(raised.value), str(raised.value), vars(raised.value))


def test_the_environment_is_that_of_the_account(remote: RemoteAccount) -> None:
    assert remote.environment["AWS_ACCESS_KEY_ID"] == ACCOUNT
    assert remote.environment["AWS_ENDPOINT_URL_MEDICAL_IMAGING"] == remote.url


def test_a_number_is_no_fault(remote: RemoteAccount) -> None:
    with pytest.raises(NotFoundError, match="there is no fault 0"):
        remote.faults[0]  # type: ignore[index]
