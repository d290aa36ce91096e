"""``latency``: answer late. Under a frozen clock it is virtual, and takes no time."""

from __future__ import annotations

from contextlib import suppress

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from freezegun import freeze_time

from healthimaging_emulator import Emulator, Fault, Latency
from tests.demo import DATASTORE, SAMPLE

from .calls import INPUTS, SAMPLE_IDS, call, list_all, make_client, send, update


def test_a_virtual_latency_is_recorded_and_moves_no_clock(emulator: Emulator) -> None:
    emulator.clock.freeze(1000)
    emulator.faults.add(Fault.latency(30), Fault.error("ConflictException", page=2))
    with pytest.raises(ClientError, match="ConflictException"):
        list_all(emulator)
    assert [[attempt.delay for attempt in each.attempts] for each in emulator.calls] == [[30], [30]]
    assert [attempt.faults for attempt in emulator.calls[-1].attempts] == [["fault-1", "fault-2"]]
    assert emulator.clock.now() == 1000
    assert str(emulator.calls[-1].attempts[0]) == "409 ConflictException, by fault-1, fault-2, 30 s late"


def test_latency_goes_with_any_effect(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.error("ThrottlingException", latency=Latency(5)), Fault.latency(2))
    assert send(emulator).status_code == 429
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.delay, attempt.faults) == (5, ["fault-1"])


@pytest.mark.parametrize("operation", INPUTS)
def test_every_operation_can_be_late(emulator: Emulator, operation: str) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.latency(7, operation=operation))
    with suppress(ClientError):  # some find nothing of their ids
        call(make_client(emulator), operation)
    (recorded,) = emulator.calls
    assert (recorded.operation, recorded.attempts[0].delay, recorded.attempts[0].faults) == (operation, 7, ["fault-1"])


# Later than the client waits.


def test_a_virtual_latency_beyond_the_read_timeout_is_a_timeout(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.latency(5.001))
    client = make_client(emulator, attempts=1, read_timeout=5)
    with pytest.raises(ReadTimeoutError):
        call(client, "GetImageSet")
    (recorded,) = emulator.calls
    (attempt,) = recorded.attempts
    assert (attempt.status, attempt.code, attempt.delay, attempt.faults) == (None, None, 5.001, ["fault-1"])
    assert recorded.outcome == "NoAnswer"
    assert str(attempt) == "no answer, by fault-1, 5.001 s late"


def test_a_real_latency_beyond_the_read_timeout_is_a_timeout(emulator: Emulator) -> None:
    emulator.faults.add(Fault.latency(3600))
    client = make_client(emulator, attempts=1, read_timeout=0.01)
    with pytest.raises(ReadTimeoutError):
        call(client, "GetImageSet")
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.status, attempt.delay) == (None, 3600)


@pytest.mark.parametrize("seconds", [5, 4.999])
def test_a_latency_within_the_read_timeout_is_answered(emulator: Emulator, seconds: float) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.latency(seconds))
    call(make_client(emulator, attempts=1, read_timeout=5), "GetImageSet")
    assert emulator.calls[0].attempts[0].status == 200


@pytest.mark.parametrize(("seconds", "status"), [(60, 200), (60.001, None)])
def test_boto3_waits_for_60_seconds_by_default(emulator: Emulator, seconds: float, status: int | None) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.latency(seconds))
    with suppress(ReadTimeoutError):
        call(make_client(emulator, attempts=1), "GetImageSet")
    assert [attempt.status for attempt in emulator.calls[0].attempts] == [status]


def test_latencies_add_up_to_a_timeout(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.latency(3), Fault.latency(3))
    with pytest.raises(ReadTimeoutError):
        call(make_client(emulator, attempts=1, read_timeout=5), "GetImageSet")
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.status, attempt.delay, attempt.faults) == (None, 6, ["fault-1", "fault-2"])


def test_a_retry_has_the_whole_read_timeout_again(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.latency(6, attempt=1), Fault.latency(4))
    call(make_client(emulator, read_timeout=5, attempts=2), "ListImageSetVersions")
    assert [(attempt.status, attempt.delay) for attempt in emulator.calls[0].attempts] == [(None, 10), (200, 4)]


def test_a_timeout_is_retried_until_the_client_gives_up(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.latency(6))
    with pytest.raises(ReadTimeoutError):
        call(make_client(emulator, read_timeout=5), "GetImageSet")
    assert [(attempt.status, attempt.delay) for attempt in emulator.calls[0].attempts] == [(None, 6)] * 3


def test_a_client_that_gives_up_does_not_stop_the_operation(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.latency(6, times=1))
    client = make_client(emulator, read_timeout=5)
    with pytest.raises(client.exceptions.ConflictException):
        update(client)
    assert [attempt.status for attempt in emulator.calls[0].attempts] == [None, 409]
    assert len(emulator.image_set(DATASTORE, SAMPLE).versions) == 5


def test_a_timeout_hides_a_later_error(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.error("ThrottlingException", latency=Latency(6)))
    with pytest.raises(ReadTimeoutError):
        call(make_client(emulator, attempts=1, read_timeout=5), "GetImageSet")
    assert (emulator.calls[0].outcome, emulator.calls[0].attempts[0].code) == ("NoAnswer", None)


def test_freezegun_makes_a_latency_virtual_and_a_timeout_too(emulator: Emulator) -> None:
    emulator.faults.add(Fault.latency(30))
    with freeze_time("2024-01-01"):
        call(make_client(emulator, attempts=1), "GetImageSet")
        with pytest.raises(ReadTimeoutError):
            call(make_client(emulator, attempts=1, read_timeout=5), "GetImageSet")
    assert [each.attempts[0].status for each in emulator.calls] == [200, None]


# After the operation.


def test_latency_after_the_operation_lets_others_see_its_version_first(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.latency(6, when="after", operation="UpdateImageSetMetadata", times=1))
    client = make_client(emulator, read_timeout=5, attempts=1)
    with pytest.raises(ReadTimeoutError):
        update(client)
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.status, attempt.delay, attempt.faults) == (None, 6, ["fault-1"])
    with pytest.raises(client.exceptions.ConflictException) as raised:
        update(client)
    assert raised.value.response["Error"]["Message"] == f"ImageSet {SAMPLE} is LOCKED."


def test_latency_after_comes_before_the_error_of_the_same_fault(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.error("ThrottlingException", when="after", latency=Latency(3)))
    client = make_client(emulator, attempts=1)
    with pytest.raises(client.exceptions.ThrottlingException):
        update(client)
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.delay, attempt.outcome, attempt.code) == (3, "Success", "ThrottlingException")


def test_latency_after_an_error_is_unused(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.latency(1, id="before"), Fault.latency(3, when="after", id="after", times=1))
    client = make_client(emulator)
    with pytest.raises(client.exceptions.ValidationException):
        client.list_image_set_versions(**SAMPLE_IDS, maxResults=51)
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.delay, attempt.faults, attempt.unused) == (1, ["before"], ["after"])
    assert [(each.matched, each.fired) for each in emulator.faults] == [(1, 1), (1, 0)]
    call(client, "ListImageSetVersions")
    (attempt,) = emulator.calls[1].attempts
    assert (attempt.delay, attempt.faults, attempt.unused) == (4, ["before", "after"], [])
