"""An emulator elsewhere does what one here does."""

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

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.control.client import ControlError, Remote
from healthimaging_emulator.seeds import loader as seeds
from healthimaging_emulator.server.listener import Server
from tests.conftest import DEMO
from tests.demo import DATASTORE, ONE, SAMPLE, UNKNOWN
from tests.raw import HANG_SECONDS

ACCOUNT = "111111111111"


@pytest.fixture
def remote(server: Server) -> Remote:
    return Remote(server.url, ACCOUNT)


def client(emulator: Emulator) -> Any:
    return emulator.client(aws_access_key_id=ACCOUNT, backoff=False)


def listed(emulator: Emulator, image_set_id: str = SAMPLE) -> list[dict[str, Any]]:
    page = client(emulator).list_image_set_versions(datastoreId=DATASTORE, imageSetId=image_set_id)
    return list(page["imageSetPropertiesList"])


def test_faults(emulator: Emulator, remote: Remote) -> None:
    (added,) = remote.faults.add(Fault.error("ThrottlingException", times=1))
    assert listed(emulator)
    assert (remote.faults[str(added.id)].fired, len(remote.faults), len(emulator.faults)) == (1, 1, 0)
    remote.faults.remove(str(added.id))
    remote.faults.add(Fault.delay(0), Fault.delay(0))
    assert [rule.fired for rule in remote.faults] == [0, 0]
    remote.faults.clear()
    assert list(remote.faults) == []


def test_calls(emulator: Emulator, remote: Remote) -> None:
    listed(emulator)
    assert list(remote.calls) == list(emulator.account(ACCOUNT).calls)
    assert (str(remote.calls), remote.calls.dropped) == (str(emulator.account(ACCOUNT).calls), 0)
    assert len(remote.calls.filter(image_set_id=SAMPLE)) == 1
    assert remote.calls[-1].outcome == "Success"


def test_the_clock(emulator: Emulator, remote: Remote) -> None:
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


def test_image_sets(emulator: Emulator, remote: Remote) -> None:
    remote.clock.freeze()
    image_set = remote.image_set(DATASTORE, SAMPLE)
    image_set.append(image_set_state="LOCKED", image_set_workflow_status="UPDATING")
    image_set.replace("5", after=30, image_set_state="ACTIVE", image_set_workflow_status="UPDATED")
    assert listed(emulator)[0]["ImageSetWorkflowStatus"] == "UPDATING"
    assert image_set.versions == emulator.image_set(DATASTORE, SAMPLE, account=ACCOUNT).versions
    remote.clock.advance(30)
    assert listed(emulator)[0]["ImageSetWorkflowStatus"] == "UPDATED"


def test_a_new_image_set(emulator: Emulator, remote: Remote) -> None:
    remote.clock.freeze(1704067200)
    remote.add_image_set(DATASTORE, UNKNOWN).append(image_set_state="ACTIVE")
    later, first = listed(emulator, UNKNOWN)
    assert (first["ImageSetWorkflowStatus"], first["createdAt"].timestamp()) == ("CREATED", 1704067200)
    assert later["versionId"] == "2"


def test_the_seed_and_reset(emulator: Emulator, remote: Remote) -> None:
    one = {"datastoreId": DATASTORE, "imageSets": [{"imageSetId": ONE, "generate": {"versions": 3}}]}
    remote.put_seed({"datastores": [one]})
    remote.image_set(DATASTORE, ONE).append(image_set_state="LOCKED")
    remote.faults.add(Fault.delay(0))
    assert seeds.load(json.loads(remote.seed())).faults
    remote.reset("faults")
    assert (len(listed(emulator, ONE)), len(remote.faults)) == (4, 0)
    remote.reset()
    assert len(listed(emulator, ONE)) == 3
    remote.forget()
    assert len(listed(emulator, ONE)) == 1


def test_a_refusal_has_its_path(remote: Remote) -> None:
    with pytest.raises(ControlError, match=r"\$\[0\]\.error: Mine is not one of the operation's") as raised:
        remote.faults.add(Fault.error("Mine"))
    assert (raised.value.code, raised.value.path) == ("BadRequest", "$[0].error")
    with pytest.raises(ControlError, match="there is no rule x"):
        remote.faults.remove("x")
    with pytest.raises(ControlError, match="was not found"):
        remote.image_set(DATASTORE, UNKNOWN).append(image_set_state="ACTIVE")


def test_the_control_token() -> None:
    with Emulator.from_seed(DEMO, control_token="sésame €").serve() as server:
        assert len(Remote(server.url, control_token="sésame €").calls) == 0
        with pytest.raises(ControlError, match="does not hold the control token"):
            _ = Remote(server.url).calls


@pytest.mark.parametrize("url", ["", "127.0.0.1:4580", "ftp://127.0.0.1", "https://"])
def test_what_is_no_url_of_an_emulator(url: str) -> None:
    with pytest.raises(ValueError, match="is not the URL of an emulator"):
        Remote(url)


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


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\n\r\n<html>", b"HTTP/1.1 404 x\r\n\r\nx", b"SSH-2.0\r\n"])
def test_another_server_there_is_said_to_be_one(answer: bytes) -> None:
    with answering(answer) as url, pytest.raises(ControlError, match=r"is not an emulator|does not speak HTTP"):
        _ = Remote(url).calls


@pytest.mark.parametrize("body", [b"[]", b"null", b'{"a":1}', b""])
def test_a_server_that_answers_json_is_not_yet_an_emulator(body: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with answering(answer) as url, pytest.raises(ControlError, match="is not an emulator"):
        Remote(url).seed()


def test_errors_go_from_one_process_to_another(remote: Remote) -> None:
    refused: list[Callable[[], object]] = [
        lambda: remote.faults.remove("x"),
        lambda: remote.faults.add({}),
        lambda: Emulator.from_seed({}).faults.add({}),
    ]
    for refuse in refused:
        with pytest.raises(ValueError, match=r"rule") as raised:
            refuse()
        copied = pickle.loads(pickle.dumps(raised.value))
        assert (type(copied), str(copied), vars(copied)) == (type(raised.value), str(raised.value), vars(raised.value))


def test_the_environment_is_the_accounts(remote: Remote) -> None:
    assert remote.environment["AWS_ACCESS_KEY_ID"] == ACCOUNT
    assert remote.environment["AWS_ENDPOINT_URL_MEDICAL_IMAGING"] == remote.url
