"""``workflow``: change how an operation that goes on by itself ends, and when."""

from __future__ import annotations

from typing import Any

import pytest

from healthimaging_emulator import Emulator, Fault, InvalidError
from healthimaging_emulator.healthimaging.operations import OPERATIONS
from tests.demo import DATASTORE, SAMPLE

from .calls import SAMPLE_IDS, call, make_client, update

START = 1700000000.0
DEFAULT_MESSAGE = "INVALID_REQUEST:  The request could not be completed."

State = tuple[str, str, str | None]
UPDATING: State = ("LOCKED", "UPDATING", None)
UPDATED: State = ("ACTIVE", "UPDATED", None)
FAILED: State = ("ACTIVE", "UPDATE_FAILED", DEFAULT_MESSAGE)


@pytest.fixture
def client(emulator: Emulator) -> Any:
    emulator.clock.freeze(START)
    return make_client(emulator)


def read(client: Any) -> State:
    """Return the state of the latest version, as a client that polls sees it."""
    answer = client.get_image_set(**SAMPLE_IDS)
    return answer["imageSetState"], answer["imageSetWorkflowStatus"], answer.get("message")


# The outcome.


def test_an_update_fails_although_nothing_is_wrong_with_it(emulator: Emulator, client: Any) -> None:
    emulator.faults.add(Fault.workflow("failed"))
    answer = update(client)
    assert (answer["latestVersionId"], answer["imageSetState"], answer["imageSetWorkflowStatus"]) == (
        "5",
        "LOCKED",
        "UPDATING",
    )
    assert "message" not in answer
    assert [read(client), read(client)] == [UPDATING, FAILED]
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.status, attempt.faults, attempt.unused) == (200, ["fault-1"], [])


def test_a_failed_update_may_have_a_message_of_the_tests_own(emulator: Emulator, client: Any) -> None:
    emulator.faults.add(Fault.workflow("failed", "INVALID_REQUEST:  Series doesn't match."))
    update(client)
    assert [read(client), read(client)] == [
        UPDATING,
        ("ACTIVE", "UPDATE_FAILED", "INVALID_REQUEST:  Series doesn't match."),
    ]


def test_a_failed_version_keeps_the_document_of_the_one_before(emulator: Emulator) -> None:
    def document(client: Any, version: str) -> Any:
        return client.get_image_set_metadata(**SAMPLE_IDS, versionId=version)["imageSetMetadataBlob"].read()

    documents = {"1": {"SchemaVersion": "1.1", "Study": {}}, "2": {"SchemaVersion": "1.1", "Patient": {}}}
    for number, content in documents.items():
        emulator.image_set(DATASTORE, SAMPLE).append(
            image_set_state="ACTIVE", metadata=content, version_id=f"1{number}"
        )
    emulator.faults.add(Fault.workflow("failed", reads=0))
    client = make_client(emulator)
    update(client, latest="12", revert_to="11")
    assert document(client, "13") == document(client, "12") != document(client, "11")


def test_a_failed_version_counts(emulator: Emulator, client: Any) -> None:
    emulator.faults.add(Fault.workflow("failed", reads=0, times=1))
    update(client)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        update(client, latest="4")
    assert update(client, latest="5")["latestVersionId"] == "6"


def test_it_succeeds_by_default_at_another_pace(emulator: Emulator, client: Any) -> None:
    emulator.faults.add(Fault.workflow(reads=2))
    update(client)
    assert [read(client) for _ in range(3)] == [UPDATING, UPDATING, UPDATED]


# Its end: whichever of reads and seconds is first.


@pytest.mark.parametrize("reads", [1, 2, 5])
def test_it_ends_after_as_many_reads(emulator: Emulator, client: Any, reads: int) -> None:
    emulator.faults.add(Fault.workflow("failed", reads=reads))
    update(client)
    assert [read(client) for _ in range(reads + 2)] == [UPDATING] * reads + [FAILED] * 2


def test_it_ends_after_as_many_seconds(emulator: Emulator, client: Any) -> None:
    emulator.faults.add(Fault.workflow("failed", reads=None, seconds=30))
    update(client)
    emulator.clock.advance(29.999)
    assert read(client) == UPDATING
    emulator.clock.advance(0.001)
    assert read(client) == FAILED
    assert emulator.image_set(DATASTORE, SAMPLE).versions[0].updated_at == START + 30


def test_reads_end_it_before_its_seconds(emulator: Emulator, client: Any) -> None:
    emulator.faults.add(Fault.workflow("failed", reads=2, seconds=30))
    update(client)
    assert [read(client) for _ in range(3)] == [UPDATING, UPDATING, FAILED]


def test_seconds_end_it_before_its_reads(emulator: Emulator, client: Any) -> None:
    emulator.faults.add(Fault.workflow("failed", reads=9, seconds=30))
    update(client)
    emulator.clock.advance(30)
    assert read(client) == FAILED


@pytest.mark.parametrize(
    "pace", [{"reads": 0}, {"seconds": 0}, {"reads": 0, "seconds": 30}, {"reads": 9, "seconds": 0}]
)
def test_zero_ends_it_with_the_answer(emulator: Emulator, client: Any, pace: Any) -> None:
    emulator.faults.add(Fault.workflow("failed", **pace))
    assert update(client)["imageSetState"] == "LOCKED"
    assert read(client) == FAILED


def test_null_switches_both_off_until_a_test_ends_it(emulator: Emulator, client: Any) -> None:
    emulator.faults.add({"workflow": {"outcome": "failed", "reads": None, "seconds": None}})
    update(client)
    emulator.clock.advance(1e6)
    assert [read(client) for _ in range(20)] == [UPDATING] * 20
    emulator.account().finish_transitions()
    assert read(client) == FAILED


def test_null_reads_leave_the_seconds_of_the_settings() -> None:
    emulator = Emulator.from_seed()
    emulator.clock.freeze()
    client = make_client(emulator)
    emulator.faults.add(Fault.workflow(reads=None))
    update(client)
    assert [read(client) for _ in range(3)] == [UPDATING] * 3
    emulator.clock.advance(1)
    assert read(client) == UPDATED


def test_without_numbers_those_of_the_settings_hold() -> None:
    emulator = Emulator.from_seed(transition_reads=3, transition_seconds=None)
    emulator.faults.add(Fault.workflow("failed"))
    client = make_client(emulator)
    update(client)
    assert [read(client) for _ in range(4)] == [UPDATING] * 3 + [FAILED]


def test_a_transition_keeps_its_end_when_its_fault_is_removed(emulator: Emulator, client: Any) -> None:
    emulator.faults.add(Fault.workflow("failed", reads=2))
    update(client)
    emulator.faults.clear()
    assert [read(client) for _ in range(3)] == [UPDATING, UPDATING, FAILED]


def test_a_refusal_by_the_lock_counts_as_a_read(emulator: Emulator, client: Any) -> None:
    emulator.faults.add(Fault.workflow("failed", reads=1))
    update(client)
    with pytest.raises(client.exceptions.ConflictException):
        update(client, latest="5")
    assert read(client) == FAILED
    assert [(each.attempts[0].met, each.attempts[0].ended) for each in emulator.calls] == [
        ([], []),
        ([f"UpdateImageSetMetadata of {SAMPLE}"], [f"UpdateImageSetMetadata of {SAMPLE}"]),
        ([], []),
    ]


# Requests that do not go on.


def test_an_update_that_is_refused_gives_the_count_back(emulator: Emulator, client: Any) -> None:
    emulator.faults.add(Fault.workflow("failed", times=1))
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        update(client, latest="3")
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.faults, attempt.unused) == ([], ["fault-1"])
    assert (emulator.faults["fault-1"].matched, emulator.faults["fault-1"].fired) == (1, 0)
    update(client)
    assert emulator.faults["fault-1"].fired == 1
    assert [read(client), read(client)] == [UPDATING, FAILED]


def test_it_matches_only_operations_that_go_on(emulator: Emulator, client: Any) -> None:
    emulator.faults.add(Fault.workflow("failed"))
    for operation in ("GetImageSet", "ListImageSetVersions", "GetImageSetMetadata"):
        call(client, operation)
    assert emulator.faults["fault-1"].matched == 0


@pytest.mark.parametrize("operation", [each.name for each in OPERATIONS if not each.is_asynchronous])
def test_it_is_refused_for_an_operation_that_does_not_go_on(emulator: Emulator, operation: str) -> None:
    with pytest.raises(InvalidError) as raised:
        emulator.faults.add(Fault.workflow("failed", operation=operation))
    reason = f"{operation} does not continue after its answer"
    assert (raised.value.path, raised.value.message) == ("$[0].workflow", f"can never do anything: {reason}")


@pytest.mark.parametrize(
    "operation", [each.name for each in OPERATIONS if each.is_asynchronous and each.name != "StartDICOMImportJob"]
)
def test_files_fail_in_imports_only(emulator: Emulator, operation: str) -> None:
    with pytest.raises(InvalidError) as raised:
        emulator.faults.add(Fault.workflow(failed_files=0.5, operation=operation))
    assert raised.value.message == f"can never do anything: {operation} imports no files"


@pytest.mark.parametrize(
    ("workflow", "path", "message"),
    [
        ({"outcome": "lost"}, ".outcome", "Invalid enum value 'lost': expected one of failed, succeeded"),
        ({"outcome": "failed", "message": "é"}, ".message", "Expected `str` matching regex '[A-Za-z0-9_ -:`]+'"),
        ({"outcome": "failed", "message": ""}, ".message", "Expected `str` of length >= 1"),
        ({"message": "never seen"}, ".message", "message is only valid with outcome failed"),
        ({"reads": -1}, ".reads", "Expected `int` >= 0"),
        ({"reads": 1.5}, ".reads", "Expected `int | null`, got `float`"),
        ({"seconds": -0.001}, ".seconds", "Expected `float` >= 0.0"),
        ({"seconds": 1e10}, ".seconds", "Expected `float` <= 1000000000.0"),
        ({"second": 1}, "", "Object contains unknown field `second` (did you mean seconds?)"),
        ({"failedFiles": 0}, ".failedFiles", "Expected `float` > 0.0"),
        ({"failedFiles": 1.1}, ".failedFiles", "Expected `float` <= 1.0"),
        ({"outcome": "failed", "failedFiles": 1}, ".failedFiles", "failedFiles is only valid with outcome succeeded"),
    ],
)
def test_a_mistake_is_refused_with_its_path(emulator: Emulator, workflow: Any, path: str, message: str) -> None:
    with pytest.raises(InvalidError) as raised:
        emulator.faults.add({"workflow": workflow})
    assert (raised.value.path, raised.value.message) == (f"$[0].workflow{path}", message)


def test_one_that_changes_nothing_is_refused(emulator: Emulator) -> None:
    with pytest.raises(InvalidError) as raised:
        emulator.faults.add({"workflow": {}})
    assert (
        str(raised.value)
        == "$[0].workflow: can never do anything: it changes neither the outcome, nor the pace, nor files"
    )
