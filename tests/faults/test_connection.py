"""``connection``, in process. On a socket it is in ``tests/server/test_connection_faults.py``."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from healthimaging_emulator import Emulator, Fault
from tests.demo import DATASTORE, SAMPLE

from .calls import FIRST, IDS, INPUTS, call, list_all, list_all_leniently, make_client, send, update

BROKEN: list[tuple[Any, type[Exception]]] = [
    ("reset", ConnectionClosedError),
    ("close", ConnectionClosedError),
    ("stall", ReadTimeoutError),
]


@pytest.mark.parametrize(("kind", "error"), BROKEN)
def test_boto3_tries_again_and_gives_up(emulator: Emulator, kind: Any, error: type[Exception]) -> None:
    emulator.faults.add(Fault.connection(kind, page=2))
    with pytest.raises(error):
        list_all(emulator)
    first, second = emulator.calls
    assert first.outcome == "Success"
    assert second.outcome == "NoAnswer"
    assert [(attempt.status, attempt.code, attempt.faults) for attempt in second.attempts] == [
        (None, None, ["fault-1"])
    ] * 3
    assert str(second.attempts[0]) == "no answer, by fault-1"


@pytest.mark.parametrize(("kind", "error"), BROKEN)
@pytest.mark.parametrize("operation", INPUTS)
def test_it_breaks_the_connection_of_any_operation(
    emulator: Emulator, operation: str, kind: Any, error: type[Exception]
) -> None:
    emulator.faults.add(Fault.connection(kind, operation=operation))
    with pytest.raises(error):
        call(make_client(emulator, attempts=1), operation)
    assert emulator.faults["fault-1"].fired == 1


def test_cut_in_process_is_a_silent_loss(emulator: Emulator) -> None:
    emulator.faults.add(Fault.connection("cut", page=2))
    assert list_all_leniently(emulator) == [FIRST, []]
    assert [len(each.attempts) for each in emulator.calls] == [1, 1]
    assert [(each.attempts[0].status, each.attempts[0].faults) for each in emulator.calls] == [
        (200, []),
        (200, ["fault-1"]),
    ]


@pytest.mark.parametrize("kind", ["reset", "close", "stall", "cut"])
def test_another_server_cannot_break_a_connection(
    emulator: Emulator, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.faults.add(Fault.connection(kind))
    assert send(emulator).status_code == 500
    assert str(caplog.records[-1].exc_info[1]) == (  # type: ignore[index]
        "only the emulator's own server, or its in-process client, can break a connection"
    )


# Before the operation, and after it.


@pytest.mark.parametrize(("kind", "error"), BROKEN)
def test_before_the_operation_nothing_is_carried_out(emulator: Emulator, kind: Any, error: type[Exception]) -> None:
    emulator.faults.add(Fault.connection(kind))
    with pytest.raises(error):
        update(make_client(emulator))
    assert len(emulator.image_set(DATASTORE, SAMPLE).versions) == 4
    assert {attempt.outcome for attempt in emulator.calls[0].attempts} == {None}


@pytest.mark.parametrize(("kind", "error"), BROKEN)
def test_after_the_operation_its_version_is_there(emulator: Emulator, kind: Any, error: type[Exception]) -> None:
    emulator.faults.add(Fault.connection(kind, when="after", id="lost"))
    with pytest.raises(error):
        update(make_client(emulator, attempts=1))
    assert [each.version_id for each in emulator.image_set(DATASTORE, SAMPLE).versions] == ["5", "4", "3", "2", "1"]
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.status, attempt.code, attempt.outcome, attempt.faults) == (None, None, "Success", ["lost"])
    assert emulator.calls[0].outcome == "NoAnswer"
    assert str(attempt) == "no answer, by lost, although the operation answered Success"


@pytest.mark.parametrize("kind", [kind for kind, _ in BROKEN])
def test_the_retry_of_a_lost_answer_meets_the_lock(emulator: Emulator, kind: Any) -> None:
    emulator.faults.add(Fault.connection(kind, when="after", times=1))
    client = make_client(emulator)
    with pytest.raises(client.exceptions.ConflictException) as raised:
        update(client)
    assert raised.value.response["Error"]["Message"] == f"ImageSet {SAMPLE} is LOCKED."
    assert [(attempt.status, attempt.outcome) for attempt in emulator.calls[0].attempts] == [
        (None, "Success"),
        (409, None),
    ]


@pytest.mark.parametrize("kind", [kind for kind, _ in BROKEN])
def test_the_retry_of_a_lost_answer_that_is_over_is_not_the_latest(kind: Any) -> None:
    emulator = Emulator.from_seed(transition_reads=0)
    emulator.faults.add(Fault.connection(kind, when="after", times=1))
    client = make_client(emulator)
    with pytest.raises(client.exceptions.ResourceNotFoundException) as raised:
        update(client)
    assert raised.value.response["Error"]["Message"] == "Requested version(s) of ImageSet(s) is not the latest."


def test_cut_is_after_the_operation_either_way(emulator: Emulator) -> None:
    for when in ("before", "after"):
        emulator.reset()
        emulator.faults.add(Fault.connection("cut", when=when))
        update(make_client(emulator))
        assert len(emulator.image_set(DATASTORE, SAMPLE).versions) == 5
        (attempt,) = emulator.calls[0].attempts
        assert (attempt.status, attempt.outcome, attempt.faults) == (200, None, ["fault-1"])


@pytest.mark.parametrize("kind", ["reset", "close", "stall", "cut"])
def test_after_an_error_it_is_unused_and_the_client_gets_the_error(emulator: Emulator, kind: Any) -> None:
    emulator.faults.add(Fault.connection(kind, when="after", times=1))
    client = make_client(emulator)
    with pytest.raises(client.exceptions.ValidationException):
        client.list_image_set_versions(**IDS, maxResults=51)
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.status, attempt.faults, attempt.unused) == (400, [], ["fault-1"])
    assert emulator.faults["fault-1"].fired == 0
