"""Inputs of every operation from AWS's model, good and broken: the answers fit it, and a refusal leaves no trace."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from healthimaging_emulator import Emulator
from healthimaging_emulator.messages import Request, Response
from tests.aws_model import MODEL, serialize
from tests.demo import DATASTORE, UNKNOWN
from tests.healthimaging.documents import INSTANCE, SERIES, document
from tests.raw import HANG_SECONDS

from .answers import check_answer
from .conftest import ask
from .inputs import Broken, Known, broken_arguments, good_arguments

pytestmark = pytest.mark.newest_boto3

FIRST, SECOND = "a" * 32, "b" * 32
FRAME = "f" * 32
INPUT = "s3://input/scan/"
ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}"
RENAMED = json.dumps({"Patient": {"DICOM": {"PatientName": "TEST^TWO"}}}).encode()
REMOVED = json.dumps({"Patient": {"DICOM": {"PatientID": "P-1"}}}).encode()
COPIED = json.dumps({"Study": {"Series": {SERIES: {"Instances": {INSTANCE: {}}}}}})


def image_set(id: str) -> dict[str, Any]:
    content = document()
    content["Study"]["Series"][SERIES]["Instances"][INSTANCE]["ImageFrames"] = [{"ID": FRAME}]
    return {"imageSetId": id, "metadata": content, "frames": {FRAME: {"base64": "AAEC"}}} | {
        "versions": [{"versionId": "1", "imageSetState": "ACTIVE", "createdAt": 1.5, "isPrimary": id == FIRST}]
    }


SEED = {
    "datastores": [{"datastoreId": DATASTORE, "tags": {"a": "b"}, "imageSets": [image_set(FIRST), image_set(SECOND)]}],
    "imports": [{"inputS3Uri": INPUT, "imageSets": [{"metadata": document(PatientID="P-2")}]}],
}

KNOWN: Known = {
    "DatastoreId": st.sampled_from([DATASTORE] * 9 + [UNKNOWN]),
    "ImageSetId": st.sampled_from([FIRST] * 5 + [SECOND] * 4 + [UNKNOWN]),
    "ImageFrameId": st.sampled_from([FRAME, UNKNOWN]),
    "ImageSetExternalVersionId": st.sampled_from(["1", "1", "1", "2", "007", "9" * 18]),
    "Arn": st.sampled_from([ARN, f"{ARN}/imageset/{FIRST}", f"{ARN}/imageset/{UNKNOWN}"]),
    "S3Uri": st.sampled_from([INPUT, "s3://other/"]),
    "ClientToken": st.sampled_from(["token-1", "token-2"]),
    "DICOMAttribute": st.sampled_from([RENAMED, REMOVED, b"{}", b"{", b"[]", b'{"SchemaVersion": 2}']),
    "String": st.sampled_from([COPIED, "{}", "null", "{" * 500]),
    "DICOMPatientId": st.sampled_from(["P-1", "P-2", ""]),
}
"""Values that mean something to the emulator of this seed. All of them keep the model's constraints."""

OPERATIONS = sorted(MODEL.operation_names)
EXAMPLES = settings.default.max_examples if settings.default else 50
EMULATOR = Emulator.from_seed(SEED, transition_reads=None, transition_seconds=None)
"""Writes go on until they are finished by hand, so that a refusal does not end one."""


def send(operation: str, arguments: dict[str, Any]) -> Response:
    request: Request = serialize(operation, arguments)
    return ask(EMULATOR, request.method, f"{request.path}?{request.query}", [], request.body)


def state() -> tuple[bytes, int]:
    """Return all that the account has, and how many events there were, when no job is at work."""
    for thread in threading.enumerate():
        if thread.name.startswith("import "):
            thread.join(HANG_SECONDS)
    account = EMULATOR.account()
    return account.export_seed(), len(account.events)


def check(operation: str, arguments: dict[str, Any]) -> tuple[str | None, str]:
    """Send a request and check its answer. Return the code and the message of the first one, if refused."""
    before = state()
    code, parsed = check_answer(operation, send(operation, arguments))
    is_read = operation.startswith(("Get", "List", "Search"))
    if code is not None or is_read:
        assert state() == before
    return code, parsed["Error"]["Message"] if code else ""


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=EXAMPLES // 2)
@given(data=st.data())
def test_a_good_input_is_answered_by_the_model(operation: str, data: st.DataObject) -> None:
    EMULATOR.reset()
    for _ in range(data.draw(st.integers(1, 2))):
        code, message = check(operation, data.draw(good_arguments(operation, KNOWN)))
        assert code != "SerializationException", message
        assert "validation error" not in message
        if data.draw(st.booleans()):
            EMULATOR.account().finish_transitions()


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=EXAMPLES // 2)
@given(data=st.data())
def test_an_input_that_is_broken_in_one_place_is_refused(operation: str, data: st.DataObject) -> None:
    broken: Broken = data.draw(broken_arguments(operation, KNOWN))
    note(broken.how)
    code, message = check(operation, broken.arguments)
    assert code == broken.code, message
    assert ("validation error" in message) == (code == "ValidationException")


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_operations_in_any_order_are_answered_by_the_model(data: st.DataObject) -> None:
    EMULATOR.reset()
    for operation in data.draw(st.lists(st.sampled_from(OPERATIONS), min_size=2, max_size=8)):
        check(operation, data.draw(good_arguments(operation, KNOWN)))
        if data.draw(st.integers(0, 3)) == 0:
            EMULATOR.account().finish_transitions()
