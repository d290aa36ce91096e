"""Writes that were carried out although boto3 was told otherwise: what its retry meets, and that it does no harm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from healthimaging_emulator import Emulator, Fault
from tests.demo import DATASTORE
from tests.healthimaging.operations.conftest import FIRST, PLAIN, SEED, refusal

from .calls import make_client

IDS = {"datastoreId": DATASTORE, "imageSetId": FIRST}
INFORMATION: dict[str, Any] = {"sourceImageSet": {"latestVersionId": "1"}}
DESTINATION = {"destinationImageSet": {"imageSetId": PLAIN, "latestVersionId": "1"}}


def update(client: Any) -> Any:
    updates = {"DICOMUpdates": {"updatableAttributes": b'{"Patient": {"DICOM": {"PatientName": "TEST^TWO"}}}'}}
    return client.update_image_set_metadata(**IDS, latestVersionId="1", updateImageSetMetadataUpdates=updates)


def copy(client: Any, information: dict[str, Any] = INFORMATION) -> Any:
    return client.copy_image_set(
        datastoreId=DATASTORE, sourceImageSetId=FIRST, copyImageSetInformation=information, force=True
    )


def copy_into(client: Any) -> Any:
    return copy(client, INFORMATION | DESTINATION)


def delete(client: Any) -> Any:
    return client.delete_image_set(**IDS)


class Write(NamedTuple):
    """A write, and the data that it leaves: versions and statuses, and how many image sets a search finds."""

    call: Callable[[Any], Any]
    first: list[str]
    plain: list[str]
    found: int


UPDATE = Write(update, ["2 UPDATED", "1 CREATED"], ["1 CREATED"], 4)
COPY = Write(copy, ["1 COPIED"], ["1 CREATED"], 5)
COPY_INTO = Write(copy_into, ["1 COPIED"], ["2 COPIED", "1 CREATED"], 4)
DELETE = Write(delete, ["1 DELETED"], ["1 CREATED"], 3)


def check(emulator: Emulator, write: Write) -> None:
    """Check the data, as a client sees it."""
    emulator.account().finish_transitions()
    client = make_client(emulator)
    for id, expected in ((FIRST, write.first), (PLAIN, write.plain)):
        rows = client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=id)["imageSetPropertiesList"]
        assert [f"{row['versionId']} {row['ImageSetWorkflowStatus']}" for row in rows] == expected
    assert len(client.search_image_sets(datastoreId=DATASTORE)["imageSetsMetadataSummaries"]) == write.found


LOST = [
    pytest.param(Fault.error("InternalServerException", when="after", times=1), 500, id="error"),
    pytest.param(Fault.connection("reset", when="after", times=1), None, id="reset"),
]
"""Faults that lose an answer, and the status that the client sees instead, if any."""


@pytest.mark.parametrize(("fault", "status"), LOST)
@pytest.mark.parametrize("write", [UPDATE, COPY, COPY_INTO, DELETE], ids=["update", "copy", "copy into", "delete"])
def test_the_retry_meets_the_lock_of_the_write_and_writes_nothing(
    write: Write, fault: Fault, status: int | None
) -> None:
    emulator = Emulator.from_seed(SEED, transition_seconds=None)
    emulator.faults.add(fault)
    assert refusal(write.call, make_client(emulator)) == ("ConflictException", f"ImageSet {FIRST} is LOCKED.")
    lost, retry = emulator.calls[-1].attempts
    assert (lost.status, lost.outcome) == (status, "Success")
    assert (retry.status, len(retry.met), retry.ended) == (409, 1, retry.met)
    check(emulator, write)


NOT_LATEST = ("ResourceNotFoundException", "Requested version(s) of ImageSet(s) is not the latest.")
NOT_FOUND = ("ResourceNotFoundException", f"ImageSet {FIRST} was not found in Datastore {DATASTORE}.")


@pytest.mark.parametrize(("fault", "status"), LOST)
@pytest.mark.parametrize(
    ("write", "error"),
    [(UPDATE, NOT_LATEST), (COPY_INTO, NOT_LATEST), (DELETE, NOT_FOUND)],
    ids=["update", "copy into", "delete"],
)
def test_if_the_write_is_over_the_retry_finds_nothing_to_write_to(
    write: Write, error: tuple[str, str], fault: Fault, status: int | None
) -> None:
    emulator = Emulator.from_seed(SEED, transition_reads=0)
    emulator.faults.add(fault)
    assert refusal(write.call, make_client(emulator)) == error
    assert [attempt.status for attempt in emulator.calls[-1].attempts] == [status, 404]
    check(emulator, write)


@pytest.mark.parametrize(("fault", "status"), LOST)
def test_if_a_copy_to_a_new_image_set_is_over_the_retry_makes_another_one(fault: Fault, status: int | None) -> None:
    """Its source has the same version as before, and the request has no token that makes it known."""
    emulator = Emulator.from_seed(SEED, transition_reads=0)
    emulator.faults.add(fault)
    copy(make_client(emulator))
    assert [attempt.status for attempt in emulator.calls[-1].attempts] == [status, 200]
    check(emulator, COPY._replace(found=6))
