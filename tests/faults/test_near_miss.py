"""The reason that is given for a fault that never fired."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.faults.near_miss import explain_miss
from tests.demo import DATASTORE, MANY, SAMPLE, UNKNOWN

from .calls import DESTINATION, FRAME, IDS, IMAGE_SET_ARN, SAMPLE_IDS, call, list_all, make_client


def missed(image_set_id: str, page: int) -> str:
    return f"the nearest miss was attempt 1 of ListImageSetVersions {DATASTORE}/{image_set_id}, page {page}: Success"


def list_two(emulator: Emulator) -> None:
    """List one page of an image set, and then three of another."""
    client = emulator.client()
    client.list_image_set_versions(**SAMPLE_IDS)
    list(client.get_paginator("list_image_set_versions").paginate(**IDS))


def explain(emulator: Emulator, id: str = "fault-1") -> str:
    return explain_miss(emulator.faults[id], emulator.calls)


@pytest.mark.parametrize(
    ("fault", "miss"),
    [
        (Fault.latency(0, page=4), f"{missed(MANY, 3)}: its page is 3, not 4"),
        (Fault.latency(0, page=[4, 5]), f"{missed(MANY, 3)}: its page is 3, not 4 or 5"),
        (Fault.latency(0, page=2, attempt=3), f"{missed(MANY, 2)}: its attempt is 1, not 3"),
        (Fault.latency(0, image_set_id=SAMPLE, attempt=2), f"{missed(SAMPLE, 1)}: its attempt is 1, not 2"),
        (
            Fault.latency(0, image_set_id=SAMPLE, page=3),
            f"{missed(MANY, 3)}: its imageSetId is {MANY}, not {SAMPLE}",
        ),
        (
            Fault.latency(0, datastore_id=UNKNOWN, page=9),
            f"{missed(MANY, 3)}: its page is 3, not 9 and its datastoreId is {DATASTORE}, not {UNKNOWN}",
        ),
        (
            Fault.latency(0, operation="GetImageSet"),
            f"{missed(MANY, 3)}: its operation is ListImageSetVersions, not GetImageSet",
        ),
        (
            Fault.latency(0, operation=["GetImageSet", "GetImageSetMetadata"]),
            f"{missed(MANY, 3)}: its operation is ListImageSetVersions, not GetImageSet or GetImageSetMetadata",
        ),
        (Fault.latency(0, image_frame_id=FRAME), f"{missed(MANY, 3)}: its imageFrameId is not given, not {FRAME}"),
        (Fault.latency(0, job_id="1"), f"{missed(MANY, 3)}: its jobId is not given, not 1"),
        (
            Fault.latency(0, resource_arn=IMAGE_SET_ARN),
            f"{missed(MANY, 3)}: its resourceArn is not given, not {IMAGE_SET_ARN}",
        ),
        (
            Fault.pagination("cycle", image_set_id=SAMPLE, attempt=1),
            f"{missed(MANY, 3)}: its imageSetId is {MANY}, not {SAMPLE}",
        ),
    ],
)
def test_the_nearest_request_is_named_with_its_differences(emulator: Emulator, fault: Fault, miss: str) -> None:
    emulator.faults.add(fault)
    list_two(emulator)
    assert explain(emulator) == miss


def test_a_page_without_a_token_to_repeat_is_too_early(emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("repeat-token"))
    emulator.client().list_image_set_versions(**SAMPLE_IDS)
    assert explain(emulator) == f"{missed(SAMPLE, 1)}: its page is 1, and repeat-token is for page 2 and later"


def test_a_copy_is_named_with_its_source_and_its_destination(emulator: Emulator) -> None:
    emulator.faults.add(Fault.latency(0, image_set_id=UNKNOWN))
    with pytest.raises(ClientError):
        call(make_client(emulator), "CopyImageSet")
    assert explain(emulator) == (
        f"the nearest miss was attempt 1 of CopyImageSet {DATASTORE}/{SAMPLE}: ResourceNotFoundException: "
        f"its imageSetId is {SAMPLE} or {DESTINATION}, not {UNKNOWN}"
    )


@pytest.mark.parametrize(
    ("fault", "objection"),
    [
        (Fault.workflow("failed"), "GetImageSet does not continue after its answer"),
        (Fault.pagination("cycle"), "GetImageSet has no pages"),
        (Fault.pagination("drop-token"), "GetImageSet has no pages"),
        (
            Fault.error("ServiceQuotaExceededException", operation=["GetImageSet", "CreateDatastore"]),
            "GetImageSet does not model ServiceQuotaExceededException, so it needs a status; it models "
            "ThrottlingException, AccessDeniedException, ValidationException, InternalServerException, "
            "ConflictException, ResourceNotFoundException",
        ),
    ],
)
def test_an_effect_that_is_not_for_the_operation_says_why(emulator: Emulator, fault: Fault, objection: str) -> None:
    emulator.faults.add(fault)
    call(make_client(emulator), "GetImageSet")
    assert explain(emulator) == (
        f"the nearest miss was attempt 1 of GetImageSet {DATASTORE}/{SAMPLE}: Success: {objection}"
    )


def test_a_request_for_no_operation_is_no_near_miss(emulator: Emulator) -> None:
    emulator.faults.add(Fault.latency(0))
    emulator.app.test_client().get("/datastores")
    assert explain(emulator) == (
        "the nearest miss was attempt 1 of /datastores: UnknownOperationException: it is not an operation"
    )


def test_without_a_request_it_says_so(emulator: Emulator) -> None:
    emulator.faults.add(Fault.latency(0))
    assert explain(emulator) == "no request came"


def test_another_fault_came_before_it(emulator: Emulator) -> None:
    emulator.faults.add(Fault.corrupt("unknown-enum", id="first"), Fault.corrupt("html", id="second"))
    emulator.client().list_image_set_versions(**SAMPLE_IDS)
    assert explain(emulator, "second") == f"{missed(SAMPLE, 1)}: fault first came before it"


def test_the_fault_was_not_there_yet(emulator: Emulator) -> None:
    list_two(emulator)
    emulator.faults.add(Fault.latency(0))
    assert explain(emulator) == f"{missed(MANY, 3)}: it came before the fault"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.corrupt("empty", skip=4), "it skips 4"),
        (Fault.rate_limit(1000, 1000), "the rate was not exceeded"),
        (Fault.corrupt("empty", probability=0), "its probability did not select the request"),
        (
            Fault.corrupt("empty", probability=0, expires_after=1),
            "it had expired or its probability did not select the request",
        ),
    ],
)
def test_a_fault_that_matched_was_held_back(emulator: Emulator, fault: Fault, reason: str) -> None:
    emulator.faults.add(fault)
    list_two(emulator)
    assert explain(emulator) == f"it matched 4 requests, but {reason}"


def test_one_request_is_counted_in_the_singular(emulator: Emulator) -> None:
    emulator.faults.add(Fault.rate_limit(1000, 1000))
    call(make_client(emulator), "GetImageSet")
    assert explain(emulator) == "it matched 1 request, but the rate was not exceeded"


def test_a_fault_was_picked_and_had_nothing_to_do(emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("drop-token", page=3))
    list_all(emulator)
    assert explain(emulator) == "it was picked, but the answer had nothing to change"


def test_a_fault_had_nothing_to_do_in_calls_that_are_forgotten(emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("drop-token", page=3))
    list_all(emulator)
    emulator.reset("calls")
    assert explain(emulator) == "it matched 1 request, but the answers left it nothing to do"
