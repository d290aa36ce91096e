"""The order of errors: of every two neighbours, a request that meets both gets the first.

The numbers are those of the list in docs/fidelity.md.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from healthimaging_emulator import Emulator, Fault
from tests.demo import DATASTORE, UNKNOWN

from .operations.conftest import FIRST, PLAIN, SECOND, SEED, THIRD

JSON = "application/json"
NOT_LATEST = "Requested version(s) of ImageSet(s) is not the latest."
NO_VERSION = f"Version 9 of ImageSet {FIRST} was not found."
COPY_NOT_JSON = "copiableAttributes must be a JSON object."
NO_IMAGE_SET = f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."


def path(operation: str, image_set_id: str = FIRST, datastore_id: str = DATASTORE, query: str = "") -> str:
    return f"/datastore/{datastore_id}/imageSet/{image_set_id}/{operation}{query}"


def update(updatable: Any = None, *, revert: str | None = None) -> Any:
    if revert is not None:
        return {"revertToVersionId": revert}
    content = updatable if isinstance(updatable, bytes) else json.dumps(updatable or {}).encode()
    return {"DICOMUpdates": {"updatableAttributes": base64.b64encode(content).decode()}}


def copy(*, latest: str = "1", destination: str | None = None, destination_latest: str = "1", text: str = "") -> Any:
    source: dict[str, Any] = {"latestVersionId": latest}
    if text:
        source["DICOMCopies"] = {"copiableAttributes": text}
    target = {"destinationImageSet": {"imageSetId": destination, "latestVersionId": destination_latest}}
    return {"sourceImageSet": source} | (target if destination else {})


class Sender:
    """Sends requests to an emulator, whose writes go on until they are finished by hand."""

    def __init__(self, **settings: Any) -> None:
        self.emulator = Emulator.from_seed(SEED, transition_reads=None, transition_seconds=None, **settings)
        self._client = self.emulator.app.test_client()

    def send(self, target: str, body: Any = None, **headers: str) -> tuple[int, str, str]:
        """Return status, error type and message of the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        sent = {"Content-Type": JSON} | {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self._client.post(target, data=data, headers=sent)
        if answer.status_code == 200:
            return 200, "", ""
        return answer.status_code, answer.headers["x-amzn-ErrorType"], (answer.json or {})["message"]

    def lock(self, image_set_id: str = FIRST) -> None:
        """Begin an update that does not end: version 2 is LOCKED."""
        answer = self.send(path("updateImageSetMetadata", image_set_id, query="?latestVersion=1"), update())
        assert answer == (200, "", "")

    def fill(self) -> None:
        """Add the one version that the limit allows."""
        self.emulator.image_set(DATASTORE, PLAIN).append(image_set_state="ACTIVE")


Send = Callable[[Sender], tuple[int, str, str]]
UPDATE = "updateImageSetMetadata"
BAD_ID = "1 validation error detected: Value 'X' at 'datastoreId' failed to satisfy constraint: "
NOT_JSON = "updatableAttributes must be a JSON object, base64-encoded once: Expecting value: line 1 column 1 (char 0)."


def throttled(sender: Sender) -> None:
    sender.emulator.faults.add(Fault.error("ThrottlingException"))


def send_1_2(sender: Sender) -> tuple[int, str, str]:
    return sender.send(path(UPDATE), b"{", Accept="text/html")


def send_2_3(sender: Sender) -> tuple[int, str, str]:
    throttled(sender)
    return sender.send(path(UPDATE), b"{")


def send_3_4(sender: Sender) -> tuple[int, str, str]:
    throttled(sender)
    return sender.send(path(UPDATE, datastore_id="X"), update())


def send_4_5(sender: Sender) -> tuple[int, str, str]:
    return sender.send(path(UPDATE, datastore_id="X", query="?latestVersion=1"), update(b"x"))


def send_4_5_search(sender: Sender) -> tuple[int, str, str]:
    values = [{"createdAt": 1}]
    return sender.send("/datastore/X/searchImageSets", {"filters": [{"operator": "BETWEEN", "values": values}]})


def send_5_6(sender: Sender) -> tuple[int, str, str]:
    return sender.send(path(UPDATE, datastore_id=UNKNOWN, query="?latestVersion=1"), update(b"x"))


def send_5_6_copy(sender: Sender) -> tuple[int, str, str]:
    return sender.send(path("copyImageSet", datastore_id=UNKNOWN), copy(text="x"))


def send_5_6_search(sender: Sender) -> tuple[int, str, str]:
    values = [{"createdAt": 1}]
    filters = [{"operator": "BETWEEN", "values": values}]
    return sender.send(f"/datastore/{UNKNOWN}/searchImageSets", {"filters": filters})


def send_5_6_token(sender: Sender) -> tuple[int, str, str]:
    return sender.send(path("listImageSetVersions", datastore_id=UNKNOWN, query="?nextToken=x"))


def send_6_7(sender: Sender) -> tuple[int, str, str]:
    return sender.send(path(UPDATE, UNKNOWN, UNKNOWN, "?latestVersion=1"), update())


def send_7_8(sender: Sender) -> tuple[int, str, str]:
    sender.lock()
    return sender.send(path(UPDATE, query="?latestVersion=2"), update(revert="9"))


def send_7_8_copy(sender: Sender) -> tuple[int, str, str]:
    sender.lock()
    return sender.send(path("copyImageSet"), copy(latest="2", destination=UNKNOWN))


def send_8_9(sender: Sender) -> tuple[int, str, str]:
    sender.lock()
    return sender.send(path(UPDATE, query="?latestVersion=1"), update())


def send_8_9_copy(sender: Sender) -> tuple[int, str, str]:
    sender.lock(SECOND)
    return sender.send(path("copyImageSet"), copy(latest="7", destination=SECOND))


def send_8_9_study(sender: Sender) -> tuple[int, str, str]:
    sender.lock(SECOND)
    return sender.send(path(UPDATE, query="?latestVersion=7&includeStudyImageSets=true"), update())


def send_7_10(sender: Sender) -> tuple[int, str, str]:
    sender.lock()
    return sender.send(path("getImageSetMetadata", query="?version=9"))


def send_9_11(sender: Sender) -> tuple[int, str, str]:
    sender.fill()
    return sender.send(path(UPDATE, THIRD, query="?latestVersion=7"), update())


def send_9_11_copy(sender: Sender) -> tuple[int, str, str]:
    sender.fill()
    return sender.send(path("copyImageSet"), copy(latest="1", destination=THIRD, destination_latest="7"))


PAIRS: list[tuple[str, Send, int, str, str]] = [
    ("1 front end, 2 parse", send_1_2, 406, "NotAcceptableException", ""),
    ("2 parse, 3 fault", send_2_3, 400, "SerializationException", ""),
    ("3 fault, 4 constraint", send_3_4, 429, "ThrottlingException", "Rate exceeded"),
    ("4 constraint, 5 rule", send_4_5, 400, "ValidationException", BAD_ID),
    ("4 constraint, 5 rule: search", send_4_5_search, 400, "ValidationException", BAD_ID),
    ("5 rule, 6 data store", send_5_6, 400, "ValidationException", NOT_JSON),
    (
        "5 rule, 6 data store: copy",
        send_5_6_copy,
        400,
        "ValidationException",
        COPY_NOT_JSON,
    ),
    ("5 rule, 6 data store: search", send_5_6_search, 400, "ValidationException", "A filter with the operator BETWEEN"),
    ("5 token, 6 data store", send_5_6_token, 400, "ValidationException", "Invalid nextToken."),
    ("6 data store, 7 image set", send_6_7, 404, "ResourceNotFoundException", f"Datastore {UNKNOWN} was not found."),
    (
        "7 version, 8 LOCKED",
        send_7_8,
        404,
        "ResourceNotFoundException",
        NO_VERSION,
    ),
    ("7 destination, 8 LOCKED", send_7_8_copy, 404, "ResourceNotFoundException", NO_IMAGE_SET),
    ("8 LOCKED, 9 not latest", send_8_9, 409, "ConflictException", f"ImageSet {FIRST} is LOCKED."),
    ("8 LOCKED destination, 9 not latest", send_8_9_copy, 409, "ConflictException", f"ImageSet {SECOND} is LOCKED."),
    ("8 LOCKED sister, 9 not latest", send_8_9_study, 409, "ConflictException", f"ImageSet {SECOND} is LOCKED."),
    ("7 version, 10 being written", send_7_10, 404, "ResourceNotFoundException", f"Version 9 of ImageSet {FIRST}"),
    ("9 not latest, 11 quota", send_9_11, 404, "ResourceNotFoundException", NOT_LATEST),
    ("9 destination not latest, 11 quota", send_9_11_copy, 404, "ResourceNotFoundException", NOT_LATEST),
]


@pytest.mark.parametrize(
    ("send", "status", "code", "message"), [each[1:] for each in PAIRS], ids=[each[0] for each in PAIRS]
)
def test_the_first_of_two_errors_is_answered(send: Send, status: int, code: str, message: str) -> None:
    found = send(Sender(max_versions=1))
    assert found[:2] == (status, code)
    assert found[2].startswith(message)


@pytest.mark.parametrize(
    "send",
    [
        lambda sender: sender.send(path(UPDATE, THIRD, query="?latestVersion=1"), update()),
        lambda sender: sender.send(path("copyImageSet"), copy()),
    ],
)
def test_the_quota_of_the_pairs_is_met(send: Send) -> None:
    sender = Sender(max_versions=1)
    sender.fill()
    assert send(sender)[:2] == (402, "ServiceQuotaExceededException")
