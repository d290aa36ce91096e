"""``error``: answer with an error of the service, or with any other."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.healthimaging.operations import OPERATIONS
from tests.demo import DATASTORE, MANY, SAMPLE

from .calls import (
    DATASTORE_ARN,
    FIRST,
    IDS,
    IMAGE_SET_ARN,
    INPUTS,
    JOB,
    SECOND,
    THIRD,
    call,
    list_all,
    make_client,
    send,
    update,
)

ERRORS = {
    "ThrottlingException": (429, "Rate exceeded"),
    "InternalServerException": (500, "An unexpected error occurred during processing of the request."),
    "ConflictException": (
        409,
        "Requested ImageSet metadata is not consistent yet. Please retry after a few seconds.",
    ),
    "AccessDeniedException": (
        403,
        "User: arn:aws:iam::000000000000:user/emulator is not authorized to perform: "
        f"medical-imaging:ListImageSetVersions on resource: {DATASTORE_ARN}/imageset/{MANY}",
    ),
    "ValidationException": (400, "The request does not satisfy the constraints of the service."),
    "ResourceNotFoundException": (404, f"ImageSet {MANY} was not found in Datastore {DATASTORE}."),
}
"""Status and default message of the errors that ListImageSetVersions models."""

RETRIED = {"ThrottlingException", "InternalServerException"}
ATTEMPTS = {"legacy": 5, "standard": 3, "adaptive": 3}


@pytest.mark.parametrize("mode", ATTEMPTS)
@pytest.mark.parametrize("page", [1, 2])
@pytest.mark.parametrize("code", ERRORS)
def test_boto3_raises_the_error_of_a_page_and_retries_as_its_mode_says(
    emulator: Emulator, code: str, page: int, mode: str
) -> None:
    emulator.faults.add(Fault.error(code, page=page))
    client, listed = make_client(emulator, mode), []
    with pytest.raises(getattr(client.exceptions, code)) as raised:
        listed.extend(client.get_paginator("list_image_set_versions").paginate(**IDS))
    status, message = ERRORS[code]
    response = raised.value.response
    assert (response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]) == (message, status)
    failed, attempts = emulator.calls[-1], ATTEMPTS[mode] if code in RETRIED else 1
    assert [attempt.code for attempt in failed.attempts] == [code] * attempts
    assert [attempt.number for attempt in failed.attempts] == list(range(1, attempts + 1))
    assert (failed.page, failed.retry_mode, failed.outcome, len(emulator.calls)) == (page, mode, code, page)


@pytest.mark.parametrize("code", ERRORS)
def test_the_wire_has_status_code_message_and_the_fault(emulator: Emulator, code: str) -> None:
    emulator.faults.add(Fault.error(code, id="mine"))
    response = send(emulator)
    status, message = ERRORS[code]
    assert (response.status_code, response.json) == (status, {"message": message})
    assert response.headers["x-amzn-ErrorType"] == code
    assert response.headers["x-emulator-fault"] == "mine"
    assert response.content_type == "application/json"


def test_a_retry_succeeds_once_the_fault_has_fired_its_times(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", page=2, times=2))
    assert list_all(emulator) == [FIRST, SECOND, THIRD]
    first, second, third = emulator.calls
    assert [attempt.code for attempt in second.attempts] == ["ThrottlingException", "ThrottlingException", None]
    assert (second.outcome, second.page) == ("Success", 2)
    assert [len(first.attempts), len(third.attempts)] == [1, 1]
    assert len({each.invocation_id for each in emulator.calls}) == 3


def test_an_attempt_can_be_matched(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("InternalServerException", attempt=[1, 2]))
    assert list_all(emulator) == [FIRST, SECOND, THIRD]
    assert [len(each.attempts) for each in emulator.calls] == [3, 3, 3]


def test_a_test_may_choose_code_message_and_status(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("ServiceQuotaExceededException", "Too {many}.", status=402))
    with pytest.raises(ClientError) as raised:
        list_all(emulator)
    assert raised.value.response["Error"] == {"Code": "ServiceQuotaExceededException", "Message": "Too {many}."}
    assert send(emulator).status_code == 402


def test_a_status_replaces_that_of_a_modelled_code(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", status=503))
    response = send(emulator)
    assert (response.status_code, response.json) == (503, {"message": "Rate exceeded"})


def test_an_empty_message_stays_empty(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", ""))
    assert send(emulator).json == {"message": ""}


def test_region_and_account_of_a_message_are_those_of_the_credential(emulator: Emulator) -> None:
    emulator.account("111111111111").faults.add(Fault.error("AccessDeniedException"))
    client = emulator.client(region_name="eu-west-1", aws_access_key_id="111111111111")
    with pytest.raises(ClientError) as raised:
        client.list_image_set_versions(**IDS)
    assert raised.value.response["Error"]["Message"] == (
        "User: arn:aws:iam::111111111111:user/emulator is not authorized to perform: "
        "medical-imaging:ListImageSetVersions on resource: "
        f"arn:aws:medical-imaging:eu-west-1:111111111111:datastore/{DATASTORE}/imageset/{MANY}"
    )


def test_retry_after_is_sent_in_seconds_and_milliseconds(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", retry_after=1.5))
    headers = send(emulator).headers
    assert (headers["Retry-After"], headers["x-amz-retry-after"]) == ("2", "1500")


@pytest.mark.newest_boto3
def test_boto3_obeys_retry_after(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.error("ThrottlingException", retry_after=1.5, times=1, page=1))
    assert list_all(emulator) == [FIRST, SECOND, THIRD]
    assert [attempt.pause for attempt in emulator.calls[0].attempts] == [None, 1.5]


def test_an_error_comes_before_validation(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("ThrottlingException"))
    assert send(emulator, size=99).status_code == 429


# Every operation.

IMAGE_SET_OPERATIONS = (
    *("ListImageSetVersions", "GetImageSet", "GetImageSetMetadata", "UpdateImageSetMetadata", "CopyImageSet"),
    *("DeleteImageSet", "GetImageFrame"),
)
DATASTORE_OPERATIONS = (
    *("GetDatastore", "DeleteDatastore", "SearchImageSets"),
    *("StartDICOMImportJob", "GetDICOMImportJob", "ListDICOMImportJobs"),
)
TAG_OPERATIONS = ("ListTagsForResource", "TagResource", "UntagResource")
OTHER_OPERATIONS = ("CreateDatastore", "ListDatastores")

RESOURCES = (
    dict.fromkeys(IMAGE_SET_OPERATIONS, IMAGE_SET_ARN)
    | dict.fromkeys(DATASTORE_OPERATIONS, DATASTORE_ARN)
    | dict.fromkeys(TAG_OPERATIONS, IMAGE_SET_ARN)
    | dict.fromkeys(OTHER_OPERATIONS, "*")
)
NOT_FOUND = (
    dict.fromkeys(IMAGE_SET_OPERATIONS, f"ImageSet {SAMPLE} was not found in Datastore {DATASTORE}.")
    | dict.fromkeys(DATASTORE_OPERATIONS, f"Datastore {DATASTORE} was not found.")
    | {"GetDICOMImportJob": f"Job {JOB} was not found in Datastore {DATASTORE}."}
    | dict.fromkeys(TAG_OPERATIONS, f"Resource {IMAGE_SET_ARN} was not found.")
    | {"CreateDatastore": "The requested resource was not found."}
)
CONFLICTS = (
    dict.fromkeys(IMAGE_SET_OPERATIONS, ERRORS["ConflictException"][1])
    | dict.fromkeys(DATASTORE_OPERATIONS, f"Datastore {DATASTORE} is not ACTIVE.")
    | {"CreateDatastore": "The request conflicts with an earlier one."}
)
STATUSES = {code: status for code, (status, _) in ERRORS.items()} | {
    "ServiceQuotaExceededException": 402,
    "NotAcceptableException": 406,
    "BadRequestException": 400,
}


def default_message(operation: str, code: str) -> str:
    """Return the message of an error whose fault gives none."""
    denied = (
        f"User: arn:aws:iam::000000000000:user/emulator is not authorized to perform: medical-imaging:{operation} "
        f"on resource: {RESOURCES[operation]}"
    )
    messages = {code: message for code, (_, message) in ERRORS.items()} | {
        "AccessDeniedException": denied,
        "ResourceNotFoundException": NOT_FOUND.get(operation, ""),
        "ConflictException": CONFLICTS.get(operation, ""),
        "ServiceQuotaExceededException": "A service quota is exceeded.",
        "NotAcceptableException": "The service answers in application/json, which the Accept header excludes.",
        "BadRequestException": "The request cannot be processed.",
    }
    return messages[code]


@pytest.mark.parametrize(
    ("operation", "code"), [(each.name, error.__name__) for each in OPERATIONS for error in each.errors]
)
@pytest.mark.newest_boto3
def test_every_error_of_every_operation_has_a_status_and_a_message_of_its_own(
    emulator: Emulator, operation: str, code: str
) -> None:
    emulator.faults.add(Fault.error(code, operation=operation))
    client = make_client(emulator, attempts=1)
    with pytest.raises(getattr(client.exceptions, code)) as raised:
        call(client, operation)
    response = raised.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == STATUSES[code]
    assert response["Error"]["Message"] == default_message(operation, code)
    (recorded,) = emulator.calls
    assert (recorded.operation, recorded.outcome, recorded.attempts[0].faults) == (operation, code, ["fault-1"])


@pytest.mark.parametrize("operation", INPUTS)
def test_an_error_of_ones_own_serves_every_operation(emulator: Emulator, operation: str) -> None:
    emulator.faults.add(Fault.error("Mine", "Not today.", status=418, operation=operation))
    with pytest.raises(ClientError) as raised:
        call(make_client(emulator), operation)
    assert raised.value.response["Error"] == {"Code": "Mine", "Message": "Not today."}


def test_an_error_matches_only_the_operations_that_model_it(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("ConflictException"))
    client = make_client(emulator)
    with pytest.raises(client.exceptions.ConflictException):
        call(client, "GetImageSet")
    call(client, "ListDatastores")
    assert (emulator.faults["fault-1"].matched, emulator.faults["fault-1"].fired) == (1, 1)


# After the operation.


def test_an_error_after_the_operation_leaves_its_version(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("AccessDeniedException", when="after", id="lost"))
    client = make_client(emulator)
    with pytest.raises(client.exceptions.AccessDeniedException):
        update(client)
    latest = emulator.image_set(DATASTORE, SAMPLE).versions[0]
    assert (latest.version_id, latest.image_set_state, latest.image_set_workflow_status) == ("5", "LOCKED", "UPDATING")
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.status, attempt.code, attempt.outcome) == (403, "AccessDeniedException", "Success")
    assert (attempt.faults, attempt.unused) == (["lost"], [])
    assert str(attempt) == "403 AccessDeniedException, by lost, although the operation answered Success"


def test_the_retry_of_an_update_that_was_carried_out_meets_the_lock(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("InternalServerException", when="after", times=1))
    client = make_client(emulator)
    with pytest.raises(client.exceptions.ConflictException) as raised:
        update(client)
    assert raised.value.response["Error"]["Message"] == f"ImageSet {SAMPLE} is LOCKED."
    (recorded,) = emulator.calls
    assert [(attempt.code, attempt.outcome) for attempt in recorded.attempts] == [
        ("InternalServerException", "Success"),
        ("ConflictException", None),
    ]
    assert len(emulator.image_set(DATASTORE, SAMPLE).versions) == 5


def test_the_retry_of_an_update_that_is_over_names_a_version_that_is_not_the_latest() -> None:
    emulator = Emulator.from_seed(transition_reads=0)
    emulator.faults.add(Fault.error("ThrottlingException", when="after", times=1))
    client = make_client(emulator)
    with pytest.raises(client.exceptions.ResourceNotFoundException) as raised:
        update(client)
    assert raised.value.response["Error"]["Message"] == "Requested version(s) of ImageSet(s) is not the latest."
    assert [attempt.outcome for attempt in emulator.calls[0].attempts] == ["Success", None]
    assert len(emulator.image_set(DATASTORE, SAMPLE).versions) == 5


def test_an_error_after_an_operation_that_answers_an_error_is_unused(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", when="after", times=1))
    client = make_client(emulator)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        update(client, latest="3")
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.code, attempt.faults, attempt.unused) == ("ResourceNotFoundException", [], ["fault-1"])
    assert (attempt.outcome, str(attempt)) == (None, "404 ResourceNotFoundException, without use for fault-1")
    status = emulator.faults["fault-1"]
    assert (status.matched, status.fired) == (1, 0)
    with pytest.raises(client.exceptions.ConflictException):  # the retry; the count was given back
        update(client)
    assert emulator.faults["fault-1"].fired == 1


def test_an_unused_fault_is_not_named_in_the_answer(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", when="after"))
    response = send(emulator, size=99)
    assert (response.status_code, "x-emulator-fault" in response.headers) == (400, False)


@pytest.mark.parametrize("when", ["before", None])
def test_without_after_the_operation_is_not_carried_out(emulator: Emulator, when: Any) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", when=when))
    client = make_client(emulator)
    with pytest.raises(client.exceptions.ThrottlingException):
        update(client)
    assert len(emulator.image_set(DATASTORE, SAMPLE).versions) == 4
    assert {attempt.outcome for attempt in emulator.calls[0].attempts} == {None}
