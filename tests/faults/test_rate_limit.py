"""``rateLimit``: throttle requests that exceed a rate, by a token bucket."""

from __future__ import annotations

import pytest

from healthimaging_emulator import Emulator, Fault

from .calls import call, make_client, send


def statuses(emulator: Emulator, count: int) -> list[int]:
    return [send(emulator).status_code for _ in range(count)]


def test_a_burst_passes_and_then_as_many_as_the_rate_refills(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.rate_limit(per_second=25, burst=50))
    assert statuses(emulator, 60) == [200] * 50 + [429] * 10
    emulator.clock.advance(0.2)
    assert statuses(emulator, 6) == [200] * 5 + [429]


def test_it_answers_as_the_service_throttles(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.rate_limit(1, 1))
    send(emulator)
    response = send(emulator)
    assert (response.status_code, response.json) == (429, {"message": "Rate exceeded"})
    assert response.headers["x-amzn-ErrorType"] == "ThrottlingException"
    assert response.headers["x-emulator-fault"] == "fault-1"


def test_only_throttled_requests_count_as_fired(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.rate_limit(1, 3))
    statuses(emulator, 5)
    status = emulator.faults["fault-1"]
    assert (status.matched, status.fired) == (5, 2)


def test_one_bucket_serves_all_operations_that_it_matches(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.rate_limit(1, 2, operation=["GetImageSet", "GetDatastore"]))
    client = make_client(emulator, attempts=1)
    call(client, "GetImageSet")
    with pytest.raises(client.exceptions.ClientError, match=r"GetDatastore is not emulated yet\.$"):
        call(client, "GetDatastore")
    with pytest.raises(client.exceptions.ThrottlingException):
        call(client, "GetDatastore")
    with pytest.raises(client.exceptions.ThrottlingException):
        call(client, "GetImageSet")
    call(client, "ListImageSetVersions")


def test_a_bucket_of_another_account_is_full(emulator: Emulator) -> None:
    for id in ("000000000000", "111111111111"):
        emulator.account(id).clock.freeze()
        emulator.account(id).faults.add(Fault.rate_limit(1, 1))
        client = emulator.client(backoff=False, aws_access_key_id=id)
        call(client, "GetImageSet")
        with pytest.raises(client.exceptions.ThrottlingException):
            call(client, "GetImageSet")
