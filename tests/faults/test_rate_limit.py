"""``rateLimit``: throttle requests that exceed a rate, by a token bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthimaging_emulator import Emulator, Fault, InvalidError
from healthimaging_emulator.faults.rate_limit import AWS_RATES, Bucket, Rate
from healthimaging_emulator.healthimaging.operations import OPERATIONS_BY_NAME

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


def test_with_the_rates_of_aws_each_operation_has_a_bucket_of_its_own() -> None:
    emulator = Emulator.from_seed()
    emulator.clock.freeze()
    emulator.faults.add(Fault.rate_limit("aws"))
    assert statuses(emulator, 51) == [200] * 50 + [429]
    client = make_client(emulator, attempts=1)
    for _ in range(100):
        call(client, "GetImageSetMetadata")
    with pytest.raises(client.exceptions.ThrottlingException):
        call(client, "GetImageSetMetadata")
    call(client, "DeleteImageSet")
    with pytest.raises(client.exceptions.ThrottlingException):
        call(client, "DeleteImageSet")
    emulator.clock.advance(3.999)
    with pytest.raises(client.exceptions.ThrottlingException):
        call(client, "DeleteImageSet")
    emulator.clock.advance(0.001)
    with pytest.raises(client.exceptions.ClientError, match=r"ImageSet \w+ was not found"):  # it is not throttled
        call(client, "DeleteImageSet")


def test_aws_has_a_rate_for_every_operation() -> None:
    assert set(AWS_RATES) == set(OPERATIONS_BY_NAME)


def test_the_rates_of_aws_can_be_limited_to_some_operations_and_are_written_as_one_word(emulator: Emulator) -> None:
    (added,) = emulator.faults.add({"match": {"operation": "GetImageSet"}, "rateLimit": "aws"})
    assert added.rate_limit_effect == "aws"
    emulator.clock.freeze()
    assert statuses(emulator, 51) == [200] * 51


def test_a_rate_without_a_burst_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^a rate needs a burst$"):
        Fault.rate_limit(25)  # type: ignore[call-overload]


def test_another_word_is_refused(emulator: Emulator) -> None:
    with pytest.raises(InvalidError) as raised:
        emulator.faults.add({"rateLimit": "azure"})
    assert str(raised.value) == "$[0].rateLimit: Invalid enum value 'azure': expected one of aws"


def test_a_bucket_refills_also_between_requests_that_come_in_less_than_a_millisecond() -> None:
    bucket = Bucket(Rate(1000, 2000), 0.0)
    passed = sum(bucket.take(number * 0.0003) for number in range(30_000))
    assert passed == pytest.approx(2000 + 9000, abs=2)


def test_the_documentation_lists_the_rates_of_aws() -> None:
    text = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    table = text.partition("| quota of | a second | at once |\n| --- | --- | --- |\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    listed = {name: Rate(float(rate), int(burst)) for names, rate, burst in rows for name in names.split(", ")}
    assert listed == AWS_RATES
